#include "raft/event.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
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

static void put(struct out *o, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct out *o, const char *format, ...)
{
    size_t room = o->length < o->size ? o->size - o->length : 0;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(room > 0 ? o->buf + o->length : NULL, room, format, args);
    va_end(args);
    if (n > 0) {
        o->length += (size_t)n;
    }
}

static void put_ids(struct out *o, const char *label, const struct raft_id_set *set)
{
    if (set->count == 0) {
        return;
    }
    put(o, "%s", label);
    for (uint32_t i = 0; i < set->count; i++) {
        put(o, "%s%" PRIu64, i == 0 ? "" : ",", set->ids[i]);
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
        put(o, "%s%s %" PRIu64, i == 0 ? "" : ", ", names[e->change->changes[i].type],
            e->change->changes[i].node);
    }
}

static void put_reason(struct out *o, const struct raft_event *e)
{
    switch (e->refusal) {
    case RAFT_CHANGE_PENDING:
        put(o, "the change at %" PRIu64 " may not be applied yet (applied %" PRIu64 ")", e->index,
            e->applied);
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
    put(o, "%s, match %" PRIu64 ", next %" PRIu64 ", in flight %" PRIu32 "%s%s",
        raft_progress_state_name(p->state), p->match, p->next, p->inflight_count,
        p->paused ? ", paused" : "", p->recent_active ? "" : ", silent");
}

static void put_message(struct out *o, const struct raft_event *e)
{
    put(o, "%s", raft_message_type_name(e->message));
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
            put(o, "%" PRIu64, value);
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
            put(&o, "%s", at);
            break;
        }
        put(&o, "%.*s", (int)(open - at), at);
        const char *close = strchr(open, '}');
        put_field(&o, event, open + 1, (size_t)(close - open) - 1);
        at = close + 1;
    }
    return o.length;
}
