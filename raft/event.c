#include "raft/event.h"

#include <string.h>

#include "raft/hook.h"

void raft_hook_emit(const struct raft_log_hook *hook, const struct raft_event *event)
{
    hook->fn(hook->ctx, event);
}

const char *raft_progress_state_name(enum raft_progress_state state)
{
    switch (state) {
    case RAFT_PROGRESS_PROBE:
        return "probe";
    case RAFT_PROGRESS_REPLICATE:
        return "replicate";
    case RAFT_PROGRESS_SNAPSHOT:
        return "snapshot";
    }
    return "unknown";
}

static const char *const words[] = {
#define X(kind, level, text) text,
    RAFT_EVENTS(X)
#undef X
};

struct out {
    char *buf;
    size_t size;
    size_t length; // as if the buffer were endless
};

static void put_bytes(struct out *o, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (o->length + 1 < o->size) {
            o->buf[o->length] = text[i];
            o->buf[o->length + 1] = '\0';
        }
        o->length++;
    }
}

static void put(struct out *o, const char *text)
{
    put_bytes(o, text, strlen(text));
}

static void put_number(struct out *o, uint64_t value)
{
    char digits[20]; // of 2^64-1
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    put_bytes(o, digits + at, sizeof(digits) - at);
}

static void put_ids(struct out *o, const char *label, const struct raft_id_set *set)
{
    if (set->count == 0) {
        return;
    }
    put(o, label);
    for (uint32_t i = 0; i < set->count; i++) {
        put(o, i == 0 ? "" : ",");
        put_number(o, set->ids[i]);
    }
}

static void put_conf(struct out *o, const struct raft_event *e)
{
    if (e->conf == NULL) {
        return;
    }
    put_ids(o, "voters ", &e->conf->voters);
    put_ids(o, " leaving ", &e->conf->voters_outgoing);
    put_ids(o, " learners ", &e->conf->learners);
    put_ids(o, " becoming learners ", &e->conf->learners_next);
}

static void put_change(struct out *o, const struct raft_event *e)
{
    static const char *const names[] = {"add", "remove", "add learner", "update"};
    if (e->change == NULL) {
        return;
    }
    if (e->change->change_count == 0) {
        put(o, "leave joint");
    }
    for (uint32_t i = 0; i < e->change->change_count; i++) {
        put(o, i == 0 ? "" : ", ");
        put(o, names[e->change->changes[i].type]);
        put(o, " ");
        put_number(o, e->change->changes[i].node);
    }
}

static void put_reason(struct out *o, const struct raft_event *e)
{
    switch (e->refusal) {
    case RAFT_CHANGE_PENDING:
        put(o, "the change at ");
        put_number(o, e->index);
        put(o, " may not be applied yet");
        break;
    case RAFT_CHANGE_IN_JOINT:
        put(o, "the joint configuration comes to its end first");
        break;
    case RAFT_CHANGE_NOT_JOINT:
        put(o, "there is no joint configuration to leave");
        break;
    }
}

static void put_progress(struct out *o, const struct raft_event *e)
{
    const struct raft_peer_status *p = e->progress;
    if (p == NULL) {
        return;
    }
    put(o, raft_progress_state_name(p->state));
    put(o, ", match ");
    put_number(o, p->match);
    put(o, ", next ");
    put_number(o, p->next);
    put(o, ", in flight ");
    put_number(o, p->inflight_count);
    put(o, p->paused ? ", paused" : "");
    put(o, p->recent_active ? "" : ", silent");
}

static void put_message(struct out *o, const struct raft_event *e)
{
    put(o, raft_message_type_name(e->message));
}

// Fields that are numbers, then those that need more.
#define NUMBER_FIELDS(X)                                                                           \
    X(node)                                                                                        \
    X(term)                                                                                        \
    X(peer)                                                                                        \
    X(peer_term)                                                                                   \
    X(index)                                                                                       \
    X(log_term)                                                                                    \
    X(hint)                                                                                        \
    X(last_index)                                                                                  \
    X(last_term)                                                                                   \
    X(first_index)                                                                                 \
    X(vote)                                                                                        \
    X(commit)                                                                                      \
    X(applied)                                                                                     \
    X(applying)                                                                                    \
    X(offset)                                                                                      \
    X(in_progress)                                                                                 \
    X(count)                                                                                       \
    X(granted)                                                                                     \
    X(rejected)                                                                                    \
    X(ticks)

static const struct {
    const char *name;
    size_t offset;
} numbers[] = {
#define X(field) {#field, offsetof(struct raft_event, field)},
    NUMBER_FIELDS(X)
#undef X
};

static const struct {
    const char *name;
    void (*put)(struct out *o, const struct raft_event *e);
} others[] = {
    {"conf", put_conf},         {"change", put_change},   {"reason", put_reason},
    {"progress", put_progress}, {"message", put_message},
};

static void put_field(struct out *o, const struct raft_event *e, const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (strlen(numbers[i].name) == length && memcmp(numbers[i].name, name, length) == 0) {
            uint64_t value;
            memcpy(&value, (const char *)e + numbers[i].offset, sizeof(value));
            put_number(o, value);
            return;
        }
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (strlen(others[i].name) == length && memcmp(others[i].name, name, length) == 0) {
            others[i].put(o, e);
            return;
        }
    }
}

size_t raft_event_format(const struct raft_event *event, char *buf, size_t size)
{
    struct out o = {.buf = buf, .size = size};
    if (size > 0) {
        buf[0] = '\0';
    }
    const char *at = words[event->kind];
    while (*at != '\0') {
        const char *open = strchr(at, '{');
        if (open == NULL) {
            put(&o, at);
            break;
        }
        put_bytes(&o, at, (size_t)(open - at));
        const char *close = strchr(open, '}');
        put_field(&o, event, open + 1, (size_t)(close - open) - 1);
        at = close + 1;
    }
    return o.length;
}
