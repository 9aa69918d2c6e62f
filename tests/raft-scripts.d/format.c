#include "format.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "script.h"

static const char *const message_names[RAFT_MESSAGE_TYPE_COUNT] = {
    [RAFT_MESSAGE_HUP] = "MsgHup",
    [RAFT_MESSAGE_BEAT] = "MsgBeat",
    [RAFT_MESSAGE_PROPOSE] = "MsgProp",
    [RAFT_MESSAGE_APPEND] = "MsgApp",
    [RAFT_MESSAGE_APPEND_RESPONSE] = "MsgAppResp",
    [RAFT_MESSAGE_REQUEST_VOTE] = "MsgVote",
    [RAFT_MESSAGE_REQUEST_VOTE_RESPONSE] = "MsgVoteResp",
    [RAFT_MESSAGE_SNAPSHOT] = "MsgSnap",
    [RAFT_MESSAGE_HEARTBEAT] = "MsgHeartbeat",
    [RAFT_MESSAGE_HEARTBEAT_RESPONSE] = "MsgHeartbeatResp",
    [RAFT_MESSAGE_UNREACHABLE] = "MsgUnreachable",
    [RAFT_MESSAGE_SNAP_STATUS] = "MsgSnapStatus",
    [RAFT_MESSAGE_CHECK_QUORUM] = "MsgCheckQuorum",
    [RAFT_MESSAGE_TRANSFER_LEADER] = "MsgTransferLeader",
    [RAFT_MESSAGE_TIMEOUT_NOW] = "MsgTimeoutNow",
    [RAFT_MESSAGE_READ_INDEX] = "MsgReadIndex",
    [RAFT_MESSAGE_READ_INDEX_RESPONSE] = "MsgReadIndexResp",
    [RAFT_MESSAGE_PRE_VOTE] = "MsgPreVote",
    [RAFT_MESSAGE_PRE_VOTE_RESPONSE] = "MsgPreVoteResp",
    [RAFT_MESSAGE_STORAGE_APPEND] = "MsgStorageAppend",
    [RAFT_MESSAGE_STORAGE_APPEND_RESPONSE] = "MsgStorageAppendResp",
    [RAFT_MESSAGE_STORAGE_APPLY] = "MsgStorageApply",
    [RAFT_MESSAGE_STORAGE_APPLY_RESPONSE] = "MsgStorageApplyResp",
    [RAFT_MESSAGE_FORGET_LEADER] = "MsgForgetLeader",
};

const char *format_message_type(enum raft_message_type type)
{
    return message_names[type];
}

int parse_message_type(const char *name)
{
    for (int i = 0; i < RAFT_MESSAGE_TYPE_COUNT; i++) {
        if (strcmp(message_names[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

const char *format_role(enum raft_role role)
{
    static const char *const names[] = {
        [RAFT_FOLLOWER] = "StateFollower",
        [RAFT_CANDIDATE] = "StateCandidate",
        [RAFT_LEADER] = "StateLeader",
        [RAFT_PRE_CANDIDATE] = "StatePreCandidate",
    };
    return names[role];
}

static void add_quoted(struct text *t, const uint8_t *data, size_t size)
{
    text_add(t, "\"");
    for (size_t i = 0; i < size; i++) {
        if (data[i] == '"' || data[i] == '\\') {
            text_add(t, "\\%c", data[i]);
        } else if (isprint(data[i])) {
            text_add(t, "%c", data[i]);
        } else {
            text_add(t, "\\x%02x", data[i]);
        }
    }
    text_add(t, "\"");
}

void format_changes(struct text *t, const struct raft_conf_change *change)
{
    static const char letters[] = {
        [RAFT_CONF_ADD_NODE] = 'v',
        [RAFT_CONF_REMOVE_NODE] = 'r',
        [RAFT_CONF_ADD_LEARNER] = 'l',
        [RAFT_CONF_UPDATE_NODE] = 'u',
    };
    for (uint32_t i = 0; i < change->change_count; i++) {
        text_add(t, "%s%c%" PRIu64, i == 0 ? "" : " ", letters[change->changes[i].type],
                 change->changes[i].node);
    }
}

bool parse_changes(const char *text, struct raft_conf_change *change)
{
    static const char letters[] = "vrlu"; // in the order of the enum
    change->change_count = 0;
    while (text[strspn(text, " \n")] != '\0') {
        text += strspn(text, " \n");
        size_t length = strcspn(text, " \n");
        const char *letter = strchr(letters, text[0]);
        if (letter == NULL || length < 2 || change->change_count == RAFT_CONF_CHANGES_MAX) {
            return false;
        }
        char number[32] = "";
        memcpy(number, text + 1, length - 1 < sizeof(number) ? length - 1 : sizeof(number) - 1);
        uint64_t id = script_number(number, UINT64_MAX);
        if (id == UINT64_MAX) {
            return false;
        }
        change->changes[change->change_count++] = (struct raft_conf_change_single){
            .type = (enum raft_conf_change_type)(letter - letters),
            .node = id,
        };
        text += length;
    }
    return true;
}

static void add_entry(struct text *t, const struct raft_entry *e)
{
    static const char *const types[] = {
        [RAFT_ENTRY_NORMAL] = "EntryNormal",
        [RAFT_ENTRY_CONF_CHANGE] = "EntryConfChange",
        [RAFT_ENTRY_CONF_CHANGE_V2] = "EntryConfChangeV2",
    };
    text_add(t, "%" PRIu64 "/%" PRIu64 " %s", e->term, e->index, types[e->type]);
    if (e->type == RAFT_ENTRY_NORMAL) {
        text_add(t, " ");
        add_quoted(t, e->data, e->size);
        return;
    }
    struct raft_conf_change change;
    if (raft_conf_change_decode(e, &change) != 0) {
        text_add(t, " malformed");
    } else if (change.change_count > 0) {
        text_add(t, " ");
        format_changes(t, &change);
    }
}

void format_entries(struct text *t, struct raft_entry *const *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        add_entry(t, entries[i]);
        text_add(t, "\n");
    }
}

static void add_target(struct text *t, uint64_t id)
{
    if (id == RAFT_NONE) {
        text_add(t, "None");
    } else if (id == RAFT_APPEND_WORKER) {
        text_add(t, "AppendThread");
    } else if (id == RAFT_APPLY_WORKER) {
        text_add(t, "ApplyThread");
    } else {
        text_add(t, "%" PRIx64, id);
    }
}

static void add_id_list(struct text *t, const char *label, const struct raft_id_set *set)
{
    text_add(t, "%s:[", label);
    for (uint32_t i = 0; i < set->count; i++) {
        text_add(t, "%s%" PRIu64, i == 0 ? "" : " ", set->ids[i]);
    }
    text_add(t, "]");
}

static void add_snapshot(struct text *t, const struct raft_snapshot *s)
{
    text_add(t, "Index:%" PRIu64 " Term:%" PRIu64 " ConfState:", s->index, s->term);
    add_id_list(t, "Voters", &s->conf.voters);
    add_id_list(t, " VotersOutgoing", &s->conf.voters_outgoing);
    add_id_list(t, " Learners", &s->conf.learners);
    add_id_list(t, " LearnersNext", &s->conf.learners_next);
    text_add(t, " AutoLeave:%s", s->conf.auto_leave ? "true" : "false");
}

static void add_message_entries(struct text *t, const char *indent, const struct raft_message *m)
{
    if (m->entry_count == 0) {
        return;
    }
    text_add(t, " Entries:[");
    for (size_t i = 0; i < m->entry_count; i++) {
        if (m->entry_count > 1) {
            text_add(t, "\n%s  ", indent);
        }
        add_entry(t, m->entries[i]);
    }
    if (m->entry_count > 1) {
        text_add(t, "\n%s", indent);
    }
    text_add(t, "]");
}

static void add_head(struct text *t, const char *indent, const struct raft_message *m)
{
    text_add(t, "%s", indent);
    add_target(t, m->from);
    text_add(t, "->");
    add_target(t, m->to);
    text_add(t, " %s Term:%" PRIu64 " Log:%" PRIu64 "/%" PRIu64, format_message_type(m->type),
             m->term, m->log_term, m->index);
    if (m->reject) {
        text_add(t, " Rejected (Hint: %" PRIu64 ")", m->reject_hint);
    }
    if (m->commit != 0) {
        text_add(t, " Commit:%" PRIu64, m->commit);
    }
    if (m->vote != 0) {
        text_add(t, " Vote:%" PRIu64, m->vote);
    }
    add_message_entries(t, indent, m);
    if (m->snapshot != NULL && m->snapshot->index != 0) {
        text_add(t, "\n%s  Snapshot: ", indent);
        add_snapshot(t, m->snapshot);
    }
}

void format_work(struct text *t, const struct raft_message *m)
{
    add_head(t, "", m);
}

void format_message(struct text *t, const char *indent, const struct raft_message *m)
{
    add_head(t, indent, m);
    if (m->response_count == 0) {
        return;
    }
    text_add(t, " Responses:[");
    for (size_t i = 0; i < m->response_count; i++) {
        text_add(t, "\n");
        // Responses carry none themselves: one more level is all there is.
        add_head(t, "  ", &m->responses[i]);
    }
    text_add(t, "\n%s]", indent);
}

static void add_messages(struct text *t, const struct raft_message *messages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        format_message(t, "", &messages[i]);
        text_add(t, "\n");
    }
}

static void add_read_states(struct text *t, const struct raft_ready *rd)
{
    if (rd->read_state_count == 0) {
        return;
    }
    text_add(t, "ReadStates [");
    for (size_t i = 0; i < rd->read_state_count; i++) {
        const struct raft_read_state *s = &rd->read_states[i];
        text_add(t, "%s{%" PRIu64 " [", i == 0 ? "" : " ", s->index);
        for (uint8_t j = 0; j < s->context_size; j++) {
            text_add(t, "%s%d", j == 0 ? "" : " ", s->context[j]);
        }
        text_add(t, "]}");
    }
    text_add(t, "]\n");
}

void format_ready(struct text *t, const struct raft_ready *rd)
{
    struct text body = {.at = NULL};
    if (rd->soft_state_changed) {
        text_add(&body, "Lead:%" PRIu64 " State:%s\n", rd->leader, format_role(rd->role));
    }
    if (rd->hard_state_changed) {
        text_add(&body, "HardState Term:%" PRIu64, rd->hard_state.term);
        if (rd->hard_state.vote != 0) {
            text_add(&body, " Vote:%" PRIu64, rd->hard_state.vote);
        }
        text_add(&body, " Commit:%" PRIu64 "\n", rd->hard_state.commit);
    }
    add_read_states(&body, rd);
    if (rd->entry_count > 0) {
        text_add(&body, "Entries:\n");
        format_entries(&body, rd->entries, rd->entry_count);
    }
    if (rd->snapshot != NULL) {
        text_add(&body, "Snapshot ");
        add_snapshot(&body, rd->snapshot);
        text_add(&body, "\n");
    }
    if (rd->committed_count > 0) {
        text_add(&body, "CommittedEntries:\n");
        format_entries(&body, rd->committed_entries, rd->committed_count);
    }
    if (rd->message_count + rd->persisted_count > 0) {
        text_add(&body, "Messages:\n");
        add_messages(&body, rd->messages, rd->message_count);
        add_messages(&body, rd->persisted_messages, rd->persisted_count);
    }
    if (body.length > 0) {
        text_add(t, "Ready MustSync=%s:\n%s", rd->must_sync ? "true" : "false", text_get(&body));
    } else {
        text_add(t, "<empty Ready>");
    }
    text_free(&body);
}

static void add_id_set(struct text *t, const struct raft_id_set *set)
{
    text_add(t, "(");
    for (uint32_t i = 0; i < set->count; i++) {
        text_add(t, "%s%" PRIx64, i == 0 ? "" : " ", set->ids[i]);
    }
    text_add(t, ")");
}

void format_conf(struct text *t, const struct raft_conf_state *conf)
{
    text_add(t, "voters=");
    add_id_set(t, &conf->voters);
    if (conf->voters_outgoing.count > 0) {
        text_add(t, "&&");
        add_id_set(t, &conf->voters_outgoing);
    }
    if (conf->learners.count > 0) {
        text_add(t, " learners=");
        add_id_set(t, &conf->learners);
    }
    if (conf->learners_next.count > 0) {
        text_add(t, " learners_next=");
        add_id_set(t, &conf->learners_next);
    }
    if (conf->auto_leave) {
        text_add(t, " autoleave");
    }
}

void format_progress(struct text *t, const struct raft_peer_status *p)
{
    static const char *const states[] = {
        [RAFT_PROGRESS_PROBE] = "StateProbe",
        [RAFT_PROGRESS_REPLICATE] = "StateReplicate",
        [RAFT_PROGRESS_SNAPSHOT] = "StateSnapshot",
    };
    text_add(t, "%s match=%" PRIu64 " next=%" PRIu64, states[p->state], p->match, p->next);
    text_add(t, "%s%s", p->learner ? " learner" : "", p->paused ? " paused" : "");
    if (p->pending_snapshot > 0) {
        text_add(t, " pendingSnap=%" PRIu64, p->pending_snapshot);
    }
    text_add(t, "%s", p->recent_active ? "" : " inactive");
    if (p->inflight_count > 0) {
        text_add(t, " inflight=%" PRIu32 "%s", p->inflight_count, p->inflight_full ? "[full]" : "");
    }
}
