#ifndef KEEL_RAFT_HOOK_H
#define KEEL_RAFT_HOOK_H

#include "raft/event.h"

// Emitting events. The fields are composed only when somebody listens at that level.

#define RAFT_LOG_LEVEL_OF(kind_, level_, words_) RAFT_LEVEL_##kind_ = RAFT_LOG_##level_,
enum { RAFT_EVENTS(RAFT_LOG_LEVEL_OF) };

static inline bool raft_hook_wants(const struct raft_log_hook *hook, enum raft_log_level level)
{
    return hook->fn != NULL && level >= hook->level;
}

void raft_hook_emit(const struct raft_log_hook *hook, const struct raft_event *event);

// RAFT_TELL(hook, KIND, .field = value, ...)
#define RAFT_TELL(hook_, kind_, ...)                                                               \
    do {                                                                                           \
        if (raft_hook_wants((hook_), (enum raft_log_level)RAFT_LEVEL_##kind_)) {                   \
            raft_hook_emit((hook_),                                                                \
                           &(struct raft_event){.kind = RAFT_EVENT_##kind_,                        \
                                                .level = (enum raft_log_level)RAFT_LEVEL_##kind_,  \
                                                __VA_ARGS__});                                     \
        }                                                                                          \
    } while (0)

#endif
