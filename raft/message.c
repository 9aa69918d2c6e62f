#include "raft/message.h"

#include <assert.h>
#include <string.h>

#include "raft/alloc.h"
#include "raft/error.h"

static const struct {
    const char *name;
    bool local;
    bool response;
} types[RAFT_MESSAGE_TYPE_COUNT] = {
#define X(type_name, is_local, is_response) {#type_name, is_local, is_response},
    RAFT_MESSAGE_TYPES(X)
#undef X
};

static bool is_type(enum raft_message_type type)
{
    return (unsigned)type < RAFT_MESSAGE_TYPE_COUNT;
}

const char *raft_message_type_name(enum raft_message_type type)
{
    return is_type(type) ? types[type].name : "UNKNOWN";
}

bool raft_message_is_local(enum raft_message_type type)
{
    return is_type(type) && types[type].local;
}

bool raft_message_is_response(enum raft_message_type type)
{
    return is_type(type) && types[type].response;
}

bool raft_message_is_transfer_campaign(const struct raft_message *m)
{
    return m->context_size == sizeof(RAFT_TRANSFER_CONTEXT) - 1 &&
           memcmp(m->context, RAFT_TRANSFER_CONTEXT, m->context_size) == 0;
}

bool raft_is_worker(uint64_t id)
{
    return id == RAFT_APPEND_WORKER || id == RAFT_APPLY_WORKER;
}

struct raft_snapshot *raft_snapshot_alloc(size_t size)
{
    if (size > SIZE_MAX - sizeof(struct raft_snapshot)) {
        return NULL;
    }
    struct raft_snapshot *snapshot = raft_mem_alloc(sizeof(*snapshot) + size);
    if (snapshot == NULL) {
        return NULL;
    }
    memset(snapshot, 0, sizeof(*snapshot) + size);
    atomic_init(&snapshot->refs, 1);
    snapshot->size = size;
    return snapshot;
}

struct raft_snapshot *raft_snapshot_ref(struct raft_snapshot *snapshot)
{
    unsigned before = atomic_fetch_add_explicit(&snapshot->refs, 1, memory_order_relaxed);
    assert(before > 0);
    return snapshot;
}

void raft_snapshot_unref(struct raft_snapshot *snapshot)
{
    if (snapshot == NULL) {
        return;
    }
    unsigned before = atomic_fetch_sub_explicit(&snapshot->refs, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1) {
        raft_mem_free(snapshot);
    }
}

void raft_message_init(struct raft_message *m, enum raft_message_type type)
{
    memset(m, 0, sizeof(*m));
    m->type = type;
}

void raft_message_release(struct raft_message *m)
{
    for (size_t i = 0; i < m->entry_count; i++) {
        raft_entry_unref(m->entries[i]);
    }
    raft_mem_free(m->entries);
    m->entries = NULL;
    m->entry_count = 0;
    raft_snapshot_unref(m->snapshot);
    m->snapshot = NULL;
    // One level deep: a response carries no responses.
    for (size_t i = 0; i < m->response_count; i++) {
        assert(m->responses[i].response_count == 0);
        raft_message_release(&m->responses[i]);
    }
    raft_mem_free(m->responses);
    m->responses = NULL;
    m->response_count = 0;
}

void raft_message_move(struct raft_message *to, struct raft_message *from)
{
    *to = *from;
    from->entries = NULL;
    from->entry_count = 0;
    from->snapshot = NULL;
    from->responses = NULL;
    from->response_count = 0;
}

int raft_message_copy(struct raft_message *to, const struct raft_message *from)
{
    struct raft_message copy = *from;
    copy.entries = NULL;
    copy.entry_count = 0;
    copy.snapshot = from->snapshot != NULL ? raft_snapshot_ref(from->snapshot) : NULL;
    copy.responses = NULL;
    copy.response_count = 0;
    int rc = raft_message_set_entries(&copy, from->entries, from->entry_count);
    if (rc == 0 && from->response_count > 0) {
        copy.responses = raft_mem_alloc(from->response_count * sizeof(*copy.responses));
        rc = copy.responses == NULL ? RAFT_E_NO_MEMORY : 0;
    }
    for (size_t i = 0; rc == 0 && i < from->response_count; i++) {
        rc = raft_message_copy(&copy.responses[i], &from->responses[i]);
        copy.response_count += rc == 0;
    }
    if (rc != 0) {
        raft_message_release(&copy);
        return rc;
    }
    *to = copy;
    return 0;
}

int raft_message_set_entries(struct raft_message *m, struct raft_entry *const *entries,
                             size_t count)
{
    assert(m->entries == NULL);
    if (count == 0) {
        return 0;
    }
    struct raft_entry **array = raft_mem_alloc(count * sizeof(struct raft_entry *));
    if (array == NULL) {
        return RAFT_E_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        array[i] = raft_entry_ref(entries[i]);
    }
    m->entries = array;
    m->entry_count = count;
    return 0;
}
