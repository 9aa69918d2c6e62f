#include <inttypes.h>
#include <string.h>

#include "raft/quorum.h"
#include "runner.h"

// Scripts of committed indexes and votes:
//     committed cfg=(1,2) cfgj=(2,3) idx=(10,_,12)
//     vote cfg=(1,2) votes=(y,_)
// The values belong to the ids of cfg, then those of cfgj that are new.

struct asked {
    struct raft_id_set half[2];
    bool joint;
    struct raft_id_set ids; // in order of appearance, not sorted
    uint64_t values[SCRIPT_VALUES_MAX];
    size_t value_count;
};

static bool acked(const void *ctx, uint64_t id, uint64_t *ret_index)
{
    const struct asked *a = ctx;
    for (uint32_t i = 0; i < a->ids.count; i++) {
        if (a->ids.ids[i] == id && i < a->value_count && a->values[i] != 0) {
            *ret_index = a->values[i];
            return true;
        }
    }
    return false;
}

static enum raft_vote voted(const void *ctx, uint64_t id)
{
    uint64_t value;
    if (!acked(ctx, id, &value)) {
        return RAFT_VOTE_MISSING;
    }
    return value == 1 ? RAFT_VOTE_NO : RAFT_VOTE_YES;
}

static void read_half(struct asked *a, int half, const struct script_arg *arg)
{
    for (size_t i = 0; i < arg->value_count; i++) {
        uint64_t id = script_number(arg->values[i], 0);
        if (id == 0) {
            continue; // "zero": no members
        }
        raft_id_set_add(&a->half[half], id);
        if (!raft_id_set_has(&a->ids, id)) {
            a->ids.ids[a->ids.count++] = id;
        }
    }
}

static uint64_t read_value(const char *text)
{
    if (text[0] == 'y') {
        return 2;
    }
    if (text[0] == 'n') {
        return 1;
    }
    return script_number(text, 0); // 0 for "_"
}

static void add_index(struct text *t, uint64_t index)
{
    if (index == UINT64_MAX) {
        text_add(t, "∞");
    } else {
        text_add(t, "%" PRIu64, index);
    }
}

// A picture: the bar of a member is as long as there are members with a lower index.
static void describe(struct text *t, const struct asked *a, const struct raft_id_set *set)
{
    uint32_t n = set->count;
    if (n == 0) {
        text_add(t, "<empty majority quorum>");
        return;
    }
    text_add(t, "%*s    idx\n", (int)n, "");
    for (uint32_t i = 0; i < n; i++) {
        uint64_t own = 0;
        bool known = acked(a, set->ids[i], &own);
        uint32_t bar = 0;
        for (uint32_t j = 0; j < n; j++) {
            uint64_t other = 0;
            bar += acked(a, set->ids[j], &other) ? other < own : 0 < own;
        }
        if (known) {
            for (uint32_t j = 0; j < bar; j++) {
                text_add(t, "x");
            }
            text_add(t, ">%*s", (int)(n - bar), "");
        } else {
            text_add(t, "?%*s", (int)n, "");
        }
        text_add(t, " %5" PRIu64 "    (id=%" PRIx64 ")\n", own, set->ids[i]);
    }
}

static void handle_committed(const struct asked *a, struct text *answer)
{
    static const struct raft_id_set nobody;
    const struct raft_id_set *left = &a->half[0];
    const struct raft_id_set *right = a->joint ? &a->half[1] : &nobody;
    struct raft_id_set all = *left;
    for (uint32_t i = 0; i < right->count; i++) {
        raft_id_set_add(&all, right->ids[i]);
    }
    describe(answer, a, &all);
    uint64_t index = raft_joint_committed(left, right, acked, a);
    if (raft_joint_committed(right, left, acked, a) != index) {
        text_add(answer, "<-- differs via symmetry\n");
    }
    if (!a->joint && (raft_majority_committed(left, acked, a) != index ||
                      raft_joint_committed(left, left, acked, a) != index)) {
        text_add(answer, "<-- differs via self-joint quorum\n");
    }
    add_index(answer, index);
    text_add(answer, "\n");
}

static void handle_vote(const struct asked *a, struct text *answer)
{
    static const char *const names[] = {
        [RAFT_VOTE_PENDING] = "VotePending",
        [RAFT_VOTE_LOST] = "VoteLost",
        [RAFT_VOTE_WON] = "VoteWon",
    };
    enum raft_vote_result result = raft_joint_vote(&a->half[0], &a->half[1], voted, a);
    if (raft_joint_vote(&a->half[1], &a->half[0], voted, a) != result) {
        text_add(answer, "<-- differs via symmetry\n");
    }
    text_add(answer, "%s\n", names[result]);
}

static void add_mismatch(const struct asked *a, struct text *answer)
{
    struct raft_id_set sorted = {.count = 0};
    text_add(answer, "error: mismatched input (explicit or _) for voters map[");
    for (uint32_t i = 0; i < a->ids.count; i++) {
        raft_id_set_add(&sorted, a->ids.ids[i]);
    }
    for (uint32_t i = 0; i < sorted.count; i++) {
        text_add(answer, "%s%" PRIu64 ":{}", i == 0 ? "" : " ", sorted.ids[i]);
    }
    text_add(answer, "]: [");
    for (size_t i = 0; i < a->value_count; i++) {
        text_add(answer, "%s%" PRIu64, i == 0 ? "" : " ", a->values[i]);
    }
    text_add(answer, "]");
}

bool quorum_handle(const struct script_step *step, struct text *answer)
{
    bool vote = strcmp(step->command, "vote") == 0;
    if (!vote && strcmp(step->command, "committed") != 0) {
        return false;
    }
    struct asked a;
    memset(&a, 0, sizeof(a));
    for (size_t i = 0; i < step->arg_count; i++) {
        const struct script_arg *arg = &step->args[i];
        if (strcmp(arg->key, "cfg") == 0) {
            read_half(&a, 0, arg);
        } else if (strcmp(arg->key, "cfgj") == 0) {
            a.joint = true;
            read_half(&a, 1, arg);
        } else if (strcmp(arg->key, vote ? "votes" : "idx") == 0) {
            for (size_t j = 0; j < arg->value_count; j++) {
                a.values[a.value_count++] = read_value(arg->values[j]);
            }
        }
    }
    if (a.value_count != a.ids.count) {
        add_mismatch(&a, answer);
    } else if (vote) {
        handle_vote(&a, answer);
    } else {
        handle_committed(&a, answer);
    }
    return true;
}
