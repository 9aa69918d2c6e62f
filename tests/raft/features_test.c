// What the paper leaves open and this implementation promises: transfer, flow control, limits,
// errors.

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "peers.h"

#define MEMBERS 3

static struct peer *one(uint64_t id, size_t members)
{
    struct peer *p = calloc(1, sizeof(*p));
    peer_prepare(p, id, members);
    return p;
}

static void done(struct peer *p)
{
    peer_release(p);
    free(p);
}

static void ack(struct peer *p, uint64_t from, uint64_t index)
{
    struct raft_message m =
        msg(RAFT_MESSAGE_APPEND_RESPONSE, from, p->config.id, peer_status(p).hard_state.term);
    m.index = index;
    peer_step(p, &m);
}

static struct peer *leader_of(size_t members)
{
    struct peer *p = one(1, members);
    peer_start(p);
    peer_win(p, members);
    for (uint64_t id = 2; id <= members; id++) {
        ack(p, id, 1);
    }
    peer_drop_out(p);
    return p;
}

// --- leadership ---

Test(quorum, leader_that_nobody_answers_steps_down)
{
    struct peer *p = one(1, MEMBERS);
    p->config.check_quorum = true;
    peer_start(p);
    peer_win(p, MEMBERS);
    for (int i = 0; i < 2 * p->config.election_ticks; i++) {
        raft_node_tick(p->node);
    }
    cr_assert_eq(peer_status(p).role, RAFT_FOLLOWER);
    done(p);
}

Test(transfer, waits_until_the_target_has_the_whole_log)
{
    struct peer *p = leader_of(MEMBERS);
    cr_assert_eq(peer_propose(p, "a"), 0);
    peer_drain(p);
    cr_assert_eq(raft_node_transfer_leader(p->node, 2), 0);
    peer_drain(p);
    cr_assert_null(peer_find_out(p, RAFT_MESSAGE_TIMEOUT_NOW));
    cr_assert_eq(peer_propose(p, "b"), RAFT_E_PROPOSAL_DROPPED);
    ack(p, 2, 2);
    cr_assert_not_null(peer_find_out(p, RAFT_MESSAGE_TIMEOUT_NOW));
    done(p);
}

Test(transfer, is_given_up_after_an_election_timeout)
{
    struct peer *p = leader_of(MEMBERS);
    cr_assert_eq(raft_node_transfer_leader(p->node, 2), 0);
    cr_assert_eq(peer_status(p).transferee, 2);
    cr_assert_eq(raft_node_transfer_leader(p->node, 2), 0);
    cr_assert_eq(raft_node_transfer_leader(p->node, 3), 0);
    cr_assert_eq(peer_status(p).transferee, 3);
    for (int i = 0; i < p->config.election_ticks; i++) {
        raft_node_tick(p->node);
    }
    cr_assert_eq(peer_status(p).transferee, RAFT_NONE);
    cr_assert_eq(peer_propose(p, "a"), 0);
    done(p);
}

Test(transfer, through_a_follower_makes_the_target_lead)
{
    struct group g;
    group_init(&g, MEMBERS, NULL);
    group_elect(&g, 1);
    cr_assert_eq(raft_node_transfer_leader(g.peers[2]->node, 3), 0);
    group_settle(&g);
    cr_assert_eq(group_leader(&g), 3);
    group_release(&g);
}

Test(transfer, nowhere_is_harmless)
{
    struct peer *p = leader_of(MEMBERS);
    cr_assert_eq(raft_node_transfer_leader(p->node, 9), 0);
    cr_assert_eq(raft_node_transfer_leader(p->node, 1), 0);
    cr_assert_eq(peer_status(p).transferee, RAFT_NONE);
    struct raft_message now = msg(RAFT_MESSAGE_TIMEOUT_NOW, 2, 1, 1);
    cr_assert_eq(peer_step(p, &now), 0);
    cr_assert_eq(peer_status(p).role, RAFT_LEADER);
    done(p);
}

Test(election, campaign_of_a_leader_or_a_stranger_is_ignored)
{
    struct peer *p = leader_of(MEMBERS);
    cr_assert_eq(raft_node_campaign(p->node), 0);
    cr_assert_eq(peer_status(p).role, RAFT_LEADER);
    done(p);
    struct peer *stranger = one(9, MEMBERS);
    peer_start(stranger);
    cr_assert_eq(raft_node_campaign(stranger->node), 0);
    cr_assert_eq(peer_status(stranger).role, RAFT_FOLLOWER);
    done(stranger);
}

Test(election, candidate_ignores_what_is_not_for_it)
{
    struct peer *p = one(1, MEMBERS);
    p->config.pre_vote = true;
    peer_start(p);
    raft_node_campaign(p->node);
    peer_drain(p);
    struct raft_message now = msg(RAFT_MESSAGE_TIMEOUT_NOW, 2, 1, 0);
    now.term = 1;
    cr_assert_eq(peer_step(p, &now), 0);
    cr_assert_eq(peer_propose(p, "a"), RAFT_E_PROPOSAL_DROPPED);
    done(p);
}

Test(commit, is_held_back_by_the_limit_and_goes_on_when_it_rises)
{
    struct peer *p = leader_of(MEMBERS);
    cr_assert_eq(raft_node_limit_commit(p->node, 1), 0);
    for (int i = 0; i < 3; i++) {
        peer_propose(p, "a");
    }
    peer_drain(p);
    ack(p, 2, 4);
    cr_assert_eq(peer_status(p).hard_state.commit, 1);
    cr_assert_eq(raft_node_limit_commit(p->node, 3), 0);
    cr_assert_eq(peer_status(p).hard_state.commit, 3);
    cr_assert_eq(raft_node_limit_commit(p->node, RAFT_NO_LIMIT), 0);
    cr_assert_eq(peer_status(p).hard_state.commit, 4);
    peer_drain(p);
    done(p);
}

Test(commit, limit_of_a_follower_means_nothing)
{
    struct peer *p = one(1, MEMBERS);
    peer_start(p);
    cr_assert_eq(raft_node_limit_commit(p->node, 0), 0);
    peer_win(p, MEMBERS);
    ack(p, 2, 1);
    cr_assert_eq(peer_status(p).hard_state.commit, 1);
    done(p);
}

// --- flow control and limits ---

Test(flow, stops_at_so_many_messages_in_flight)
{
    struct peer *p = one(1, MEMBERS);
    p->config.max_inflight_messages = 3;
    peer_start(p);
    peer_win(p, MEMBERS);
    ack(p, 2, 1);
    peer_drop_out(p);
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(peer_propose(p, "a"), 0);
        peer_drain(p);
    }
    size_t to_2 = 0;
    for (size_t i = 0; i < p->out_count; i++) {
        to_2 += p->out[i].to == 2 && p->out[i].entry_count > 0;
    }
    cr_assert_eq(to_2, 3);
    cr_assert(peer_status(p).peers[1].inflight_full);
    peer_drop_out(p);
    ack(p, 2, 3);
    cr_assert_geq(peer_count_out(p, RAFT_MESSAGE_APPEND), 1);
    done(p);
}

Test(flow, stops_at_so_many_bytes_in_flight)
{
    struct peer *p = one(1, MEMBERS);
    p->config.max_message_bytes = 100;
    p->config.max_inflight_bytes = 100;
    peer_start(p);
    peer_win(p, MEMBERS);
    ack(p, 2, 1);
    peer_drop_out(p);
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(peer_propose(p, "0123456789012345678901234567890123456789"), 0);
        peer_drain(p);
    }
    cr_assert_eq(peer_status(p).peers[1].inflight_count, 3);
    done(p);
}

Test(flow, messages_stay_under_their_size)
{
    struct peer *p = one(1, MEMBERS);
    p->config.max_message_bytes = 100;
    peer_start(p);
    peer_win(p, MEMBERS);
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(peer_propose(p, "0123456789"), 0);
    }
    peer_drain(p);
    peer_drop_out(p);
    ack(p, 2, 1);
    cr_assert_gt(p->out_count, 2);
    for (size_t i = 0; i < p->out_count; i++) {
        uint64_t bytes = 0;
        for (size_t e = 0; e < p->out[i].entry_count; e++) {
            bytes += raft_entry_encoded_size(p->out[i].entries[e]);
        }
        cr_assert_leq(bytes, 100);
    }
    done(p);
}

Test(flow, unreachable_member_is_probed)
{
    struct peer *p = leader_of(MEMBERS);
    cr_assert_eq(peer_status(p).peers[1].state, RAFT_PROGRESS_REPLICATE);
    cr_assert_eq(raft_node_report_unreachable(p->node, 2), 0);
    cr_assert_eq(peer_status(p).peers[1].state, RAFT_PROGRESS_PROBE);
    done(p);
}

Test(flow, snapshot_is_followed_by_its_report)
{
    for (int succeeded = 0; succeeded < 2; succeeded++) {
        struct peer *p = leader_of(MEMBERS);
        for (int i = 0; i < 5; i++) {
            peer_propose(p, "a");
            peer_drain(p);
        }
        ack(p, 2, 6);
        cr_assert_eq(raft_memory_storage_create_snapshot(p->storage, 6, NULL, NULL, 0), 0);
        cr_assert_eq(raft_memory_storage_compact(p->storage, 6), 0);
        struct raft_message no = msg(RAFT_MESSAGE_APPEND_RESPONSE, 3, 1, 1);
        no.reject = true;
        no.index = 5;
        no.reject_hint = 0;
        cr_assert_eq(raft_node_report_unreachable(p->node, 3), 0);
        no.index = peer_status(p).peers[2].next - 1;
        peer_step(p, &no);
        struct raft_message alive = msg(RAFT_MESSAGE_HEARTBEAT_RESPONSE, 3, 1, 1);
        peer_step(p, &alive);
        cr_assert_eq(peer_status(p).peers[2].state, RAFT_PROGRESS_SNAPSHOT);
        cr_assert_not_null(peer_find_out(p, RAFT_MESSAGE_SNAPSHOT));
        cr_assert_eq(raft_node_report_snapshot(p->node, 3, succeeded), 0);
        cr_assert_eq(peer_status(p).peers[2].state, RAFT_PROGRESS_PROBE);
        cr_assert_eq(peer_status(p).peers[2].next, succeeded ? 7 : 2);
        cr_assert_eq(raft_node_report_snapshot(p->node, 3, succeeded), 0);
        done(p);
    }
}

Test(limit, uncommitted_bytes_stop_proposals_until_some_are_applied)
{
    struct peer *p = one(1, MEMBERS);
    p->config.max_uncommitted_bytes = 20;
    peer_start(p);
    peer_win(p, MEMBERS);
    cr_assert_eq(peer_propose(p, "a proposal over the limit goes into an empty tail"), 0);
    cr_assert_eq(peer_propose(p, "b"), RAFT_E_PROPOSAL_DROPPED);
    cr_assert_eq(peer_propose(p, ""), 0);
    peer_drain(p);
    ack(p, 2, 3);
    cr_assert_eq(peer_propose(p, "b"), 0);
    done(p);
}

Test(limit, committed_entries_are_handed_out_up_to_a_size)
{
    uint64_t log[] = {1, 1, 1, 1, 1, 1};
    struct peer *p = one(1, MEMBERS);
    peer_load_log(p, log, 6);
    peer_load_hard_state(p, 1, 0, 6);
    p->config.max_applying_bytes = 16;
    peer_start(p);
    struct raft_ready rd;
    cr_assert_eq(raft_node_ready(p->node, &rd), 0);
    cr_assert_eq(rd.committed_count, 2);
    cr_assert_eq(raft_node_advance(p->node), 0);
    peer_drain(p);
    cr_assert_eq(p->applied[p->applied_count - 1], 6);
    done(p);
}

Test(propose, takes_all_or_none)
{
    struct peer *p = leader_of(MEMBERS);
    struct raft_entry *entries[3];
    for (int i = 0; i < 3; i++) {
        entries[i] = raft_entry_new(RAFT_ENTRY_NORMAL, "x", 1);
    }
    cr_assert_eq(raft_node_propose(p->node, entries, 0), RAFT_E_INVALID);
    cr_assert_eq(raft_node_propose(p->node, entries, RAFT_MESSAGE_ENTRIES_MAX + 1),
                 RAFT_E_TOO_MANY);
    cr_assert_eq(raft_node_propose(p->node, entries, 3), 0);
    cr_assert_null(entries[2]);
    struct raft_entry *bad[2] = {raft_entry_new(RAFT_ENTRY_NORMAL, "x", 1),
                                 raft_entry_new(RAFT_ENTRY_CONF_CHANGE, "\x08", 1)};
    uint64_t last = peer_status(p).last_index;
    cr_assert_eq(raft_node_propose(p->node, bad, 2), RAFT_E_INVALID);
    cr_assert_eq(peer_status(p).last_index, last);
    raft_entry_unref(bad[0]);
    raft_entry_unref(bad[1]);
    done(p);
}

Test(propose, entry_of_another_log_is_copied)
{
    struct peer *p = leader_of(MEMBERS);
    struct raft_entry *entry = raft_entry_new(RAFT_ENTRY_NORMAL, "x", 1);
    entry->term = 7;
    entry->index = 70;
    struct raft_message m = msg(RAFT_MESSAGE_PROPOSE, 2, 1, 0);
    cr_assert_eq(raft_message_set_entries(&m, &entry, 1), 0);
    peer_step(p, &m);
    cr_assert_eq(entry->index, 70);
    cr_assert_eq(peer_term_at(p, 2), 1);
    raft_entry_unref(entry);
    done(p);
}

Test(propose, follower_forwards_by_reference_unless_told_not_to)
{
    for (int disabled = 0; disabled < 2; disabled++) {
        struct peer *p = one(1, MEMBERS);
        p->config.disable_proposal_forwarding = disabled;
        peer_start(p);
        struct raft_message h = msg(RAFT_MESSAGE_HEARTBEAT, 2, 1, 1);
        peer_step(p, &h);
        struct raft_entry *entry = raft_entry_new(RAFT_ENTRY_NORMAL, "x", 1);
        struct raft_entry *kept = raft_entry_ref(entry);
        int rc = raft_node_propose(p->node, &entry, 1);
        cr_assert_eq(rc, disabled ? RAFT_E_PROPOSAL_DROPPED : 0);
        peer_drain(p);
        const struct raft_message *m = peer_find_out(p, RAFT_MESSAGE_PROPOSE);
        cr_assert_eq(m == NULL, disabled);
        cr_assert(disabled || (m->to == 2 && m->entries[0] == kept));
        raft_entry_unref(entry);
        raft_entry_unref(kept);
        done(p);
    }
}

Test(propose, entry_is_the_same_object_in_every_log)
{
    struct group g;
    group_init(&g, MEMBERS, NULL);
    group_elect(&g, 1);
    struct raft_entry *entry = raft_entry_new(RAFT_ENTRY_NORMAL, "x", 1);
    struct raft_entry *kept = raft_entry_ref(entry);
    cr_assert_eq(raft_node_propose(g.peers[2]->node, &entry, 1), 0); // forwarded
    group_settle(&g);
    for (uint64_t id = 1; id <= MEMBERS; id++) {
        struct raft_storage s = raft_memory_storage_interface(g.peers[id]->storage);
        struct raft_entry *stored;
        size_t count;
        cr_assert_eq(s.ops->entries(s.ctx, 2, 3, 0, &stored, &count), 0);
        cr_assert_eq(stored, kept);
        raft_entry_unref(stored);
    }
    group_release(&g);
    cr_assert_eq(atomic_load(&kept->refs), 1);
    raft_entry_unref(kept);
}

// --- refusals ---

Test(step, refuses_what_cannot_be)
{
    struct peer *p = leader_of(MEMBERS);
    struct raft_message m = msg(RAFT_MESSAGE_HUP, 2, 1, 1);
    cr_assert_eq(peer_step(p, &m), RAFT_E_LOCAL_MESSAGE);
    m = msg(RAFT_MESSAGE_APPEND_RESPONSE, 9, 1, 1);
    cr_assert_eq(peer_step(p, &m), RAFT_E_PEER_NOT_FOUND);
    m = msg((enum raft_message_type)RAFT_MESSAGE_TYPE_COUNT, 2, 1, 1);
    cr_assert_eq(peer_step(p, &m), RAFT_E_INVALID);
    m = msg(RAFT_MESSAGE_APPEND, 2, 1, 0);
    cr_assert_eq(peer_step(p, &m), RAFT_E_INVALID, "a term is missing");
    m = msg(RAFT_MESSAGE_SNAPSHOT, 2, 1, 1);
    cr_assert_eq(peer_step(p, &m), RAFT_E_INVALID, "the snapshot is missing");
    m = msg(RAFT_MESSAGE_APPEND_RESPONSE, 2, 1, 1);
    m.index = 100;
    cr_assert_eq(peer_step(p, &m), RAFT_E_INVALID, "an entry that was never sent");
    m = msg(RAFT_MESSAGE_HEARTBEAT, 1, 1, 2);
    cr_assert_eq(peer_step(p, &m), RAFT_E_INVALID, "its own heartbeat");
    m = msg(RAFT_MESSAGE_STORAGE_APPLY_RESPONSE, RAFT_APPLY_WORKER, 1, 0);
    uint64_t terms[] = {1};
    struct raft_message with = msg_append(2, 1, 1, 0, 98, 0, terms, 1);
    cr_assert_eq(raft_message_set_entries(&m, with.entries, 1), 0);
    raft_message_release(&with);
    cr_assert_eq(peer_step(p, &m), RAFT_E_INVALID, "applied but not committed");
    m = msg(RAFT_MESSAGE_APPEND, 2, 1, UINT64_MAX);
    cr_assert_eq(peer_step(p, &m), RAFT_E_INVALID);
    done(p);
}

Test(step, append_that_contradicts_the_committed_log_is_refused)
{
    uint64_t log[] = {1, 1, 1};
    uint64_t other[] = {2};
    struct peer *p = one(1, MEMBERS);
    peer_load_log(p, log, 3);
    peer_load_hard_state(p, 1, 0, 3);
    peer_start(p);
    struct raft_message beyond = msg(RAFT_MESSAGE_HEARTBEAT, 2, 1, 2);
    beyond.commit = 9;
    cr_assert_eq(peer_step(p, &beyond), RAFT_E_CORRUPT);
    struct raft_message gap = msg_append(2, 1, 2, 1, 3, 0, other, 1);
    gap.entries[0]->index = 7;
    cr_assert_eq(peer_step(p, &gap), RAFT_E_CORRUPT);
    cr_assert_eq(peer_status(p).last_index, 3);
    done(p);
}

Test(config, that_cannot_work_is_refused)
{
    struct raft_memory_storage *storage = raft_memory_storage_new();
    struct raft_config good;
    raft_config_init(&good);
    good.id = 1;
    good.storage = raft_memory_storage_interface(storage);
    struct raft_config bad[10];
    for (int i = 0; i < 10; i++) {
        bad[i] = good;
    }
    bad[0].id = RAFT_NONE;
    bad[1].id = RAFT_APPEND_WORKER;
    bad[2].heartbeat_ticks = 0;
    bad[3].election_ticks = bad[3].heartbeat_ticks;
    bad[4].storage.ops = NULL;
    bad[5].max_inflight_messages = 0;
    bad[6].max_inflight_messages = RAFT_INFLIGHT_MAX + 1;
    bad[7].max_inflight_bytes = 1;
    bad[8].read_mode = RAFT_READ_LEASE;
    bad[8].check_quorum = false;
    bad[9].election_ticks = RAFT_TICKS_MAX + 1;
    struct raft_node *node = NULL;
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(raft_node_new(&bad[i], &node), RAFT_E_INVALID, "config %d", i);
    }
    good.applied = 5;
    cr_assert_eq(raft_node_new(&good, &node), RAFT_E_CORRUPT);
    cr_assert_null(node);
    raft_memory_storage_free(storage);
}

// --- a storage that fails ---

static int failing; // which of the functions fails; 0: none
static struct raft_storage beneath;

static int fail_initial_state(void *ctx, struct raft_hard_state *hard, struct raft_conf_state *conf)
{
    (void)ctx;
    return failing == 1 ? RAFT_E_STORAGE : beneath.ops->initial_state(beneath.ctx, hard, conf);
}

static int fail_entries(void *ctx, uint64_t lo, uint64_t hi, uint64_t max_bytes,
                        struct raft_entry **entries, size_t *count)
{
    (void)ctx;
    return failing == 2 ? RAFT_E_STORAGE
                        : beneath.ops->entries(beneath.ctx, lo, hi, max_bytes, entries, count);
}

static int fail_term(void *ctx, uint64_t index, uint64_t *term)
{
    (void)ctx;
    return failing == 3 ? RAFT_E_STORAGE : beneath.ops->term(beneath.ctx, index, term);
}

static int fail_first_index(void *ctx, uint64_t *index)
{
    (void)ctx;
    return failing == 4 ? RAFT_E_STORAGE : beneath.ops->first_index(beneath.ctx, index);
}

static int fail_last_index(void *ctx, uint64_t *index)
{
    (void)ctx;
    return failing == 5 ? RAFT_E_STORAGE : beneath.ops->last_index(beneath.ctx, index);
}

static int fail_snapshot(void *ctx, struct raft_snapshot **snapshot)
{
    (void)ctx;
    return failing == 6 ? RAFT_E_STORAGE : beneath.ops->snapshot(beneath.ctx, snapshot);
}

static const struct raft_storage_ops failing_ops = {
    .initial_state = fail_initial_state,
    .entries = fail_entries,
    .term = fail_term,
    .first_index = fail_first_index,
    .last_index = fail_last_index,
    .snapshot = fail_snapshot,
};

static struct peer *peer_on_failing_storage(void)
{
    uint64_t log[] = {1, 1, 1};
    struct peer *p = one(1, MEMBERS);
    peer_load_log(p, log, 3);
    peer_load_hard_state(p, 1, 0, 2);
    beneath = raft_memory_storage_interface(p->storage);
    failing = 0;
    p->config.storage = (struct raft_storage){.ops = &failing_ops, .ctx = NULL};
    return p;
}

Test(storage, that_fails_fails_the_start)
{
    for (int which = 1; which <= 5; which++) {
        struct peer *p = peer_on_failing_storage();
        failing = which;
        int rc = raft_node_new(&p->config, &p->node);
        cr_assert_eq(rc, which == 2 ? 0 : RAFT_E_STORAGE, "function %d", which);
        done(p);
    }
}

Test(storage, that_fails_later_fails_the_call_and_nothing_else)
{
    for (int which = 2; which <= 5; which++) {
        struct peer *p = peer_on_failing_storage();
        cr_assert_eq(raft_node_new(&p->config, &p->node), 0);
        failing = which;
        struct raft_ready rd;
        struct raft_message m = msg(RAFT_MESSAGE_REQUEST_VOTE, 2, 1, 2);
        m.log_term = 9;
        m.index = 9;
        int vote = raft_node_step(p->node, &m);
        int hup = raft_node_campaign(p->node);
        int ready = raft_node_ready(p->node, &rd);
        cr_assert(vote == RAFT_E_STORAGE || hup == RAFT_E_STORAGE || ready == RAFT_E_STORAGE,
                  "function %d", which);
        if (ready == 0) {
            raft_node_advance(p->node);
        }
        failing = 0;
        peer_drain(p);
        cr_assert_eq(raft_node_campaign(p->node), 0);
        peer_drain(p);
        cr_assert_eq(peer_status(p).role, RAFT_CANDIDATE);
        done(p);
    }
}

// --- status ---

Test(status, names_are_for_people)
{
    cr_assert_str_eq(raft_role_name(RAFT_FOLLOWER), "follower");
    cr_assert_str_eq(raft_role_name(RAFT_CANDIDATE), "candidate");
    cr_assert_str_eq(raft_role_name(RAFT_LEADER), "leader");
    cr_assert_str_eq(raft_role_name(RAFT_PRE_CANDIDATE), "pre-candidate");
    cr_assert_str_eq(raft_progress_state_name(RAFT_PROGRESS_PROBE), "probe");
    cr_assert_str_eq(raft_progress_state_name(RAFT_PROGRESS_REPLICATE), "replicate");
    cr_assert_str_eq(raft_progress_state_name(RAFT_PROGRESS_SNAPSHOT), "snapshot");
}

Test(status, shows_peers_to_the_leader_alone)
{
    struct peer *p = one(1, MEMBERS);
    peer_start(p);
    cr_assert_eq(peer_status(p).peer_count, 0);
    peer_win(p, MEMBERS);
    struct raft_status s = peer_status(p);
    cr_assert_eq(s.peer_count, MEMBERS);
    cr_assert_eq(s.peers[0].id, 1);
    cr_assert_eq(s.peers[0].match, 1);
    cr_assert_eq(s.conf.voters.count, MEMBERS);
    done(p);
}
