#include <inttypes.h>

#include "format.h"

// The log lines of the scripts. A letter after '%' stands for a field of the
// event; the letters are listed in add_field() and add_number().
static const char *const lines[] = {
    [RAFT_EVENT_NODE_STARTED] = "newRaft %n [peers: [%V], term: %t, commit: %c, applied: %a, "
                                "lastindex: %I, lastterm: %L]",
    [RAFT_EVENT_CONF_SWITCHED] = "%n switched to configuration %C",
    [RAFT_EVENT_BECAME_FOLLOWER] = "%n became follower at term %t",
    [RAFT_EVENT_BECAME_PRE_CANDIDATE] = "%n became pre-candidate at term %t",
    [RAFT_EVENT_BECAME_CANDIDATE] = "%n became candidate at term %t",
    [RAFT_EVENT_BECAME_LEADER] = "%n became leader at term %t",
    [RAFT_EVENT_ELECTION_ALREADY_LEADER] = "%n ignoring MsgHup because already leader",
    [RAFT_EVENT_ELECTION_UNPROMOTABLE] = "%n is unpromotable and can not campaign",
    [RAFT_EVENT_ELECTION_CONF_PENDING] = "%n cannot campaign at term %t since there are still "
                                         "pending configuration changes to apply",
    [RAFT_EVENT_ELECTION_STARTED] = "%n is starting a new election at term %t",
    [RAFT_EVENT_VOTE_REQUESTED] = "%n [logterm: %L, index: %I] sent %m request to %p at term %t",
    [RAFT_EVENT_VOTE_GAINED] = "%n received %m from %p at term %t",
    [RAFT_EVENT_VOTE_DENIED] = "%n received %m rejection from %p at term %t",
    [RAFT_EVENT_VOTE_COUNTED] = "%n has received %g %m votes and %r vote rejections",
    [RAFT_EVENT_VOTE_IN_LEASE] = "%n [logterm: %L, index: %I, vote: %v] ignored %m from %p "
                                 "[logterm: %l, index: %i] at term %t: lease is not expired "
                                 "(remaining ticks: %d)",
    [RAFT_EVENT_VOTE_CAST] = "%n [logterm: %L, index: %I, vote: %v] cast %m for %p "
                             "[logterm: %l, index: %i] at term %t",
    [RAFT_EVENT_VOTE_REFUSED] = "%n [logterm: %L, index: %I, vote: %v] rejected %m from %p "
                                "[logterm: %l, index: %i] at term %t",
    [RAFT_EVENT_TERM_HIGHER] = "%n [term: %t] received a %m message with higher term from %p "
                               "[term: %T]",
    [RAFT_EVENT_TERM_LOWER] = "%n [term: %t] ignored a %m message with lower term from %p "
                              "[term: %T]",
    [RAFT_EVENT_APPEND_DONE_STALE] = "%n [term: %t] ignored entry appends from a %m message with "
                                     "lower term [term: %T]",
    [RAFT_EVENT_QUORUM_LOST] = "%n stepped down to follower since quorum is not active",
    [RAFT_EVENT_PROPOSAL_IN_TRANSFER] = "%n [term %t] transfer leadership to %p is in progress; "
                                        "dropping proposal",
    [RAFT_EVENT_PROPOSAL_OVER_LIMIT] = "%n appending new entries to log would exceed uncommitted "
                                       "entry size limit; dropping proposal",
    [RAFT_EVENT_PROPOSAL_NO_LEADER] = "%n no leader at term %t; dropping proposal",
    [RAFT_EVENT_PROPOSAL_NOT_FORWARDED] = "%n not forwarding to leader %p at term %t; dropping "
                                          "proposal",
    [RAFT_EVENT_CHANGE_REFUSED] = "%n ignoring conf change %G at config %C: %R",
    [RAFT_EVENT_PEER_UNKNOWN] = "%n no progress available for %p",
    [RAFT_EVENT_PEER_REJECTED] = "%n received MsgAppResp(rejected, hint: (index %h, term %l)) "
                                 "from %p for index %i",
    [RAFT_EVENT_PEER_DECREASED] = "%n decreased progress of %p to [%P]",
    [RAFT_EVENT_PEER_RECOVERED] = "%n recovered from needing snapshot, resumed sending "
                                  "replication messages to %p [%P]",
    [RAFT_EVENT_PEER_UNREACHABLE] = "%n failed to send message to %p because it is unreachable "
                                    "[%P]",
    [RAFT_EVENT_PEER_PAUSED] = "%n paused sending replication messages to %p [%P]",
    [RAFT_EVENT_SNAPSHOT_PEER_INACTIVE] = "ignore sending snapshot to %p since it is not "
                                          "recently active",
    [RAFT_EVENT_SNAPSHOT_NOT_READY] = "%n failed to send snapshot to %p because snapshot is "
                                      "temporarily unavailable",
    [RAFT_EVENT_SNAPSHOT_SENT] = "%n [firstindex: %f, commit: %c] sent snapshot[index: %i, "
                                 "term: %l] to %p [%P]",
    [RAFT_EVENT_SNAPSHOT_SUCCEEDED] = "%n snapshot succeeded, resumed sending replication "
                                      "messages to %p [%P]",
    [RAFT_EVENT_SNAPSHOT_FAILED] = "%n snapshot failed, resumed sending replication messages to "
                                   "%p [%P]",
    [RAFT_EVENT_SNAPSHOT_ACCEPTED] = "%n [commit: %c] restored snapshot [index: %i, term: %l]",
    [RAFT_EVENT_SNAPSHOT_IGNORED] = "%n [commit: %c] ignored snapshot [index: %i, term: %l]",
    [RAFT_EVENT_SNAPSHOT_FAST_FORWARD] = "%n [commit: %c, lastindex: %I, lastterm: %L] "
                                         "fast-forwarded commit to snapshot [index: %i, term: %l]",
    [RAFT_EVENT_SNAPSHOT_RESTORED] = "%n [commit: %c, lastindex: %I, lastterm: %L] restored "
                                     "snapshot [index: %i, term: %l]",
    [RAFT_EVENT_SNAPSHOT_NOT_FOLLOWER] = "%n attempted to restore snapshot as leader; should "
                                         "never happen",
    [RAFT_EVENT_SNAPSHOT_NOT_MEMBER] = "%n attempted to restore snapshot but it is not in the "
                                       "ConfState %C; should never happen",
    [RAFT_EVENT_LOG_REPLACED] = "log [committed=%c, applied=%a, applying=%A, unstable.offset=%o, "
                                "unstable.offsetInProgress=%O, len(unstable.Entries)=%k] starts "
                                "to restore snapshot [index: %i, term: %l]",
    [RAFT_EVENT_LOG_CONFLICT] = "found conflict at index %i [existing term: %l, conflicting "
                                "term: %T]",
    [RAFT_EVENT_UNSTABLE_REPLACED] = "replace the unstable entries from index %i",
    [RAFT_EVENT_UNSTABLE_TRUNCATED] = "truncate the unstable entries before index %i",
    [RAFT_EVENT_STABLE_MISSING] = "entry at index %i missing from unstable log; ignoring",
    [RAFT_EVENT_STABLE_IS_SNAPSHOT] = "entry at index %i matched unstable snapshot; ignoring",
    [RAFT_EVENT_STABLE_MISMATCH] = "entry at (index,term)=(%i,%l) mismatched with entry at "
                                   "(%i,%T) in unstable log; ignoring",
    [RAFT_EVENT_APPEND_REJECTED] = "%n [logterm: %L, index: %i] rejected MsgApp [logterm: %l, "
                                   "index: %i] from %p",
    [RAFT_EVENT_TRANSFER_TO_LEARNER] = "%n is learner. Ignored transferring leadership",
    [RAFT_EVENT_TRANSFER_RUNNING] = "%n [term %t] transfer leadership to %p is in progress, "
                                    "ignores request to same node %p",
    [RAFT_EVENT_TRANSFER_REPLACED] = "%n [term %t] abort previous transferring leadership to %p",
    [RAFT_EVENT_TRANSFER_TO_SELF] = "%n is already leader. Ignored transferring leadership to "
                                    "self",
    [RAFT_EVENT_TRANSFER_STARTED] = "%n [term %t] starts to transfer leadership to %p",
    [RAFT_EVENT_TRANSFER_READY] = "%n sends MsgTimeoutNow to %p immediately as %p already has "
                                  "up-to-date log",
    [RAFT_EVENT_TRANSFER_CAUGHT_UP] = "%n sent MsgTimeoutNow to %p after received MsgAppResp",
    [RAFT_EVENT_TRANSFER_NO_LEADER] = "%n no leader at term %t; dropping leader transfer msg",
    [RAFT_EVENT_TIMEOUT_NOW_OBEYED] = "%n [term %t] received MsgTimeoutNow from %p and starts an "
                                      "election to get leadership.",
    [RAFT_EVENT_TIMEOUT_NOW_IGNORED] = "%n [term %t state %s] ignored MsgTimeoutNow from %p",
    [RAFT_EVENT_READ_NO_LEADER] = "%n no leader at term %t; dropping index reading msg",
    [RAFT_EVENT_FORGET_REFUSED] = "ignoring MsgForgetLeader due to ReadOnlyLeaseBased",
    [RAFT_EVENT_LEADER_FORGOTTEN] = "%n forgetting leader %p at term %t",
    [RAFT_EVENT_AUTO_LEAVE_STARTED] = "initiating automatic transition out of joint "
                                      "configuration %C",
    [RAFT_EVENT_AUTO_LEAVE_DELAYED] = "not initiating automatic transition out of joint "
                                      "configuration %C: raft proposal dropped",
};

static const uint64_t *find_number(const struct raft_event *e, char letter)
{
    switch (letter) {
    case 't':
        return &e->term;
    case 'T':
        return &e->peer_term;
    case 'i':
        return &e->index;
    case 'l':
        return &e->log_term;
    case 'h':
        return &e->hint;
    case 'I':
        return &e->last_index;
    case 'L':
        return &e->last_term;
    case 'f':
        return &e->first_index;
    case 'c':
        return &e->commit;
    case 'a':
        return &e->applied;
    case 'A':
        return &e->applying;
    case 'o':
        return &e->offset;
    case 'O':
        return &e->in_progress;
    case 'k':
        return &e->count;
    case 'g':
        return &e->granted;
    case 'r':
        return &e->rejected;
    case 'd':
        return &e->ticks;
    default:
        return NULL;
    }
}

static void add_voters(struct text *t, const struct raft_conf_state *conf)
{
    struct raft_id_set all = conf->voters;
    for (uint32_t i = 0; i < conf->voters_outgoing.count; i++) {
        raft_id_set_add(&all, conf->voters_outgoing.ids[i]);
    }
    for (uint32_t i = 0; i < all.count; i++) {
        text_add(t, "%s%" PRIx64, i == 0 ? "" : ",", all.ids[i]);
    }
}

static void add_change(struct text *t, const struct raft_conf_change *change)
{
    static const char *const transitions[] = {
        [RAFT_CONF_AUTO] = "ConfChangeTransitionAuto",
        [RAFT_CONF_JOINT_IMPLICIT] = "ConfChangeTransitionJointImplicit",
        [RAFT_CONF_JOINT_EXPLICIT] = "ConfChangeTransitionJointExplicit",
    };
    static const char *const types[] = {
        [RAFT_CONF_ADD_NODE] = "ConfChangeAddNode",
        [RAFT_CONF_REMOVE_NODE] = "ConfChangeRemoveNode",
        [RAFT_CONF_ADD_LEARNER] = "ConfChangeAddLearnerNode",
        [RAFT_CONF_UPDATE_NODE] = "ConfChangeUpdateNode",
    };
    text_add(t, "transition:%s", transitions[change->transition]);
    for (uint32_t i = 0; i < change->change_count; i++) {
        text_add(t, " changes:{type:%s node_id:%" PRIu64 "}", types[change->changes[i].type],
                 change->changes[i].node);
    }
    if (change->context_size > 0) {
        text_add(t, " context:\"%.*s\"", (int)change->context_size, (const char *)change->context);
    }
}

static void add_reason(struct text *t, const struct raft_event *e)
{
    switch (e->refusal) {
    case RAFT_CHANGE_PENDING:
        text_add(t, "possible unapplied conf change at index %" PRIu64 " (applied to %" PRIu64 ")",
                 e->index, e->applied);
        break;
    case RAFT_CHANGE_IN_JOINT:
        text_add(t, "must transition out of joint config first");
        break;
    case RAFT_CHANGE_NOT_JOINT:
        text_add(t, "not in joint state; refusing empty conf change");
        break;
    }
}

static void add_field(struct text *t, const struct raft_event *e, char letter)
{
    const uint64_t *number = find_number(e, letter);
    if (number != NULL) {
        text_add(t, "%" PRIu64, *number);
        return;
    }
    switch (letter) {
    case 'n':
        text_add(t, "%" PRIx64, e->node);
        break;
    case 'p':
        text_add(t, "%" PRIx64, e->peer);
        break;
    case 'v':
        text_add(t, "%" PRIx64, e->vote);
        break;
    case 'm':
        text_add(t, "%s", format_message_type(e->message));
        break;
    case 's':
        text_add(t, "%s", format_role(e->pre_candidate ? RAFT_PRE_CANDIDATE : RAFT_CANDIDATE));
        break;
    case 'P':
        format_progress(t, e->progress);
        break;
    case 'C':
        format_conf(t, e->conf);
        break;
    case 'V':
        add_voters(t, e->conf);
        break;
    case 'G':
        add_change(t, e->change);
        break;
    case 'R':
        add_reason(t, e);
        break;
    default:
        break;
    }
}

void format_event(struct text *t, const struct raft_event *e)
{
    for (const char *at = lines[e->kind]; *at != '\0'; at++) {
        if (*at == '%') {
            at++;
            add_field(t, e, *at);
        } else {
            text_add_bytes(t, at, 1);
        }
    }
}
