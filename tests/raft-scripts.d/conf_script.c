#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"
#include "raft/changer.h"
#include "runner.h"

// Scripts of configuration changes: simple, enter-joint, leave-joint on a
// configuration without a node around it.

struct changes {
    struct raft_tracker tracker;
    uint64_t last_index; // one more for each command
};

struct changes *changes_new(void)
{
    static const struct raft_inflight_limits limits = {.messages = 10, .bytes = UINT64_MAX};
    struct changes *c = must(calloc(1, sizeof(*c)));
    raft_tracker_init(&c->tracker, &limits);
    return c;
}

void changes_free(struct changes *c)
{
    raft_tracker_release(&c->tracker);
    free(c);
}

static const char *result_text(enum raft_change_result result)
{
    static const char *const texts[] = {
        [RAFT_CHANGER_OK] = "",
        [RAFT_CHANGER_ALREADY_JOINT] = "config is already joint",
        [RAFT_CHANGER_NO_VOTERS_YET] = "can't make a zero-voter config joint",
        [RAFT_CHANGER_NOT_JOINT] = "can't leave a non-joint config",
        [RAFT_CHANGER_SIMPLE_IN_JOINT] = "can't apply simple config change in joint config",
        [RAFT_CHANGER_NO_VOTERS_LEFT] = "removed all voters",
        [RAFT_CHANGER_TOO_FAR] = "more than one voter changed without entering joint config",
        [RAFT_CHANGER_TOO_MANY_MEMBERS] = "too many members",
    };
    return texts[result];
}

static bool is_command(const char *name)
{
    return strcmp(name, "simple") == 0 || strcmp(name, "enter-joint") == 0 ||
           strcmp(name, "leave-joint") == 0;
}

static bool wants_auto_leave(const struct script_step *step)
{
    const struct script_arg *arg = script_arg(step, "autoleave");
    return arg != NULL && arg->value_count == 1 && strcmp(arg->values[0], "true") == 0;
}

bool changes_handle(struct changes *c, const struct script_step *step, struct text *answer)
{
    if (!is_command(step->command)) {
        return false;
    }
    uint64_t last_index = c->last_index++;
    struct raft_conf_change change;
    memset(&change, 0, sizeof(change));
    if (!parse_changes(text_get(&step->input), &change)) {
        text_add(answer, "unknown input: %s", text_get(&step->input));
        return true;
    }
    struct raft_tracker next = c->tracker;
    enum raft_change_result result;
    if (strcmp(step->command, "simple") == 0) {
        result = raft_changer_simple(&next, last_index, change.changes, change.change_count);
    } else if (strcmp(step->command, "enter-joint") == 0) {
        result = raft_changer_enter_joint(&next, last_index, wants_auto_leave(step), change.changes,
                                          change.change_count);
    } else if (change.change_count > 0) {
        text_add(answer, "this command takes no input\n");
        return true;
    } else {
        result = raft_changer_leave_joint(&next);
    }
    if (result != RAFT_CHANGER_OK) {
        text_add(answer, "%s\n", result_text(result));
        return true;
    }
    c->tracker = next;
    format_conf(answer, &c->tracker.conf);
    text_add(answer, "\n");
    for (uint32_t i = 0; i < c->tracker.count; i++) {
        struct raft_peer_status status;
        raft_progress_describe(&c->tracker.progress[i], &c->tracker.limits, &status);
        text_add(answer, "%" PRIu64 ": ", status.id);
        format_progress(answer, &status);
        text_add(answer, "\n");
    }
    return true;
}
