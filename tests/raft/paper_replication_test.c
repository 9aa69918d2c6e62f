// The rules of replication: paper 5.3, 5.4.2, figures 7 and 8, section 7.

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

Test(paper, new_leader_appends_an_empty_entry_of_its_term)
{
    struct peer *p = one(1, MEMBERS);
    peer_start(p);
    peer_win(p, MEMBERS);
    cr_assert_eq(peer_status(p).last_index, 1);
    cr_assert_eq(peer_term_at(p, 1), 1);
    const struct raft_message *m = peer_find_out(p, RAFT_MESSAGE_APPEND);
    cr_assert_not_null(m);
    cr_assert_eq(m->entry_count, 1);
    cr_assert_eq(m->entries[0]->size, 0);
    done(p);
}

Test(paper, leader_sends_heartbeats_to_everyone)
{
    struct peer *p = one(1, 5);
    peer_start(p);
    peer_win(p, 5);
    peer_drop_out(p);
    for (int i = 0; i < p->config.heartbeat_ticks; i++) {
        raft_node_tick(p->node);
    }
    peer_drain(p);
    cr_assert_eq(peer_count_out(p, RAFT_MESSAGE_HEARTBEAT), 4);
    done(p);
}

Test(paper, leader_sends_a_proposal_to_everyone_before_it_is_stable)
{
    struct peer *p = one(1, 5);
    peer_start(p);
    peer_win(p, 5);
    for (uint64_t id = 2; id <= 5; id++) {
        ack(p, id, 1);
    }
    peer_drop_out(p);
    p->hold_advance = true;
    cr_assert_eq(peer_propose(p, "a"), 0);
    peer_drain(p);
    cr_assert_eq(peer_count_out(p, RAFT_MESSAGE_APPEND), 4);
    for (size_t i = 0; i < p->out_count; i++) {
        cr_assert_eq(p->out[i].index, 1);
        cr_assert_eq(p->out[i].log_term, 1);
        cr_assert_eq(p->out[i].entries[0]->index, 2);
    }
    done(p);
}

Test(paper, entry_is_committed_when_a_majority_has_it)
{
    for (size_t members = 1; members <= 9; members++) {
        struct peer *p = one(1, members);
        peer_start(p);
        peer_win(p, members);
        for (uint64_t id = 2; id <= members; id++) {
            bool majority = id - 1 > members / 2;
            cr_assert_eq(peer_status(p).hard_state.commit, majority ? 1 : 0);
            ack(p, id, 1);
        }
        cr_assert_eq(peer_status(p).hard_state.commit, 1);
        done(p);
    }
}

Test(paper, leader_counts_itself_only_when_its_write_is_stable)
{
    struct peer *p = one(1, MEMBERS);
    peer_start(p);
    peer_win(p, MEMBERS);
    ack(p, 2, 1);
    p->hold_advance = true;
    cr_assert_eq(peer_propose(p, "a"), 0);
    peer_drain(p);
    struct raft_message m = msg(RAFT_MESSAGE_APPEND_RESPONSE, 2, 1, 1);
    m.index = 2;
    cr_assert_eq(raft_node_step(p->node, &m), 0);
    cr_assert_eq(peer_status(p).hard_state.commit, 1, "one of three disks has it");
    cr_assert_eq(raft_node_advance(p->node), 0);
    cr_assert_eq(peer_status(p).hard_state.commit, 2);
    done(p);
}

Test(paper, one_node_cluster_commits_when_its_entry_is_stable)
{
    struct peer *p = one(1, 1);
    peer_start(p);
    peer_win(p, 1);
    peer_propose(p, "a");
    cr_assert_eq(peer_status(p).hard_state.commit, 1);
    peer_drain(p);
    cr_assert_eq(peer_status(p).hard_state.commit, 2);
    cr_assert_eq(p->applied_count, 2);
    done(p);
}

// 5.4.2: "only log entries from the leader's current term are committed by
// counting replicas"; the earlier ones follow.
Test(paper, entries_of_earlier_terms_are_committed_only_with_one_of_the_own)
{
    uint64_t terms[] = {1, 2};
    struct peer *p = one(1, MEMBERS);
    peer_load_log(p, terms, 2);
    peer_start(p);
    peer_win(p, MEMBERS); // term 3, its entry at 3
    ack(p, 2, 2);
    ack(p, 3, 2);
    cr_assert_eq(peer_status(p).hard_state.commit, 0);
    ack(p, 2, 3);
    cr_assert_eq(peer_status(p).hard_state.commit, 3);
    done(p);
}

Test(paper, follower_acknowledges_only_what_is_stable)
{
    struct peer *p = one(1, MEMBERS);
    peer_start(p);
    p->hold_advance = true;
    uint64_t terms[] = {1};
    struct raft_message m = msg_append(2, 1, 1, 0, 0, 0, terms, 1);
    peer_step(p, &m);
    cr_assert_null(peer_find_out(p, RAFT_MESSAGE_APPEND_RESPONSE));
    done(p);
}

// 5.3: "the follower ... refuses the new entries" without a match before them.
Test(paper, follower_refuses_entries_without_a_match_before_them)
{
    static const struct {
        uint64_t term;
        uint64_t index;
        bool reject;
        uint64_t hint;
    } cases[] = {{0, 0, false, 0}, {1, 1, false, 0}, {2, 2, false, 0},
                 {1, 2, true, 1},  {3, 2, true, 2},  {3, 3, true, 2}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t terms[] = {1, 2};
        struct peer *p = one(1, MEMBERS);
        peer_load_log(p, terms, 2);
        peer_start(p);
        struct raft_message m = msg_append(2, 1, 3, cases[i].term, cases[i].index, 0, NULL, 0);
        peer_step(p, &m);
        const struct raft_message *answer = peer_find_out(p, RAFT_MESSAGE_APPEND_RESPONSE);
        cr_assert_eq(answer->reject, cases[i].reject, "case %zu", i);
        cr_assert_eq(answer->reject_hint, cases[i].hint, "case %zu", i);
        done(p);
    }
}

Test(paper, follower_cuts_its_log_only_at_a_conflict)
{
    static const struct {
        uint64_t log_term;
        uint64_t index;
        uint64_t terms[3];
        size_t count;
        uint64_t result[4];
    } cases[] = {
        {1, 1, {2}, 1, {1, 2, 2, 0}},    // an older message cuts nothing
        {1, 1, {2, 2}, 2, {1, 2, 2, 0}}, // all there
        {1, 1, {4}, 1, {1, 4, 0, 0}},    // conflict at 2
        {2, 2, {2, 4}, 2, {1, 2, 2, 4}}, // goes on after what is there
        {0, 0, {1, 2}, 2, {1, 2, 2, 0}}, // an old prefix
        {0, 0, {4}, 1, {4, 0, 0, 0}},    // conflict at the first
        {2, 3, {4}, 1, {1, 2, 2, 4}},    // appends
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t terms[] = {1, 2, 2};
        struct peer *p = one(1, MEMBERS);
        peer_load_log(p, terms, 3);
        peer_start(p);
        struct raft_message m = msg_append(2, 1, 4, cases[i].log_term, cases[i].index, 0,
                                           cases[i].terms, cases[i].count);
        peer_step(p, &m);
        for (uint64_t index = 1; index <= 4; index++) {
            cr_assert_eq(peer_term_at(p, index), cases[i].result[index - 1], "case %zu index %lu",
                         i, (unsigned long)index);
        }
        done(p);
    }
}

// 5.3: "commitIndex = min(leaderCommit, index of last new entry)".
Test(paper, follower_commits_up_to_the_last_new_entry)
{
    static const struct {
        size_t count;
        uint64_t commit;
        uint64_t expected;
    } cases[] = {{1, 1, 1}, {1, 2, 2}, {1, 9, 2}, {0, 9, 1}, {2, 3, 3}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t log[] = {1, 1, 1};
        uint64_t terms[] = {1, 1};
        struct peer *p = one(1, MEMBERS);
        peer_load_log(p, log, 3);
        peer_start(p);
        struct raft_message m = msg_append(2, 1, 1, 1, 1, cases[i].commit, terms, cases[i].count);
        peer_step(p, &m);
        cr_assert_eq(peer_status(p).hard_state.commit, cases[i].expected, "case %zu", i);
        done(p);
    }
}

Test(paper, heartbeat_never_commits_in_a_log_that_may_differ)
{
    struct peer *p = one(1, MEMBERS);
    peer_start(p);
    peer_win(p, MEMBERS);
    ack(p, 2, 1);
    peer_propose(p, "a");
    peer_drain(p);
    ack(p, 2, 2);
    cr_assert_eq(peer_status(p).hard_state.commit, 2);
    peer_drop_out(p);
    raft_node_tick(p->node);
    peer_drain(p);
    for (size_t i = 0; i < p->out_count; i++) {
        if (p->out[i].type == RAFT_MESSAGE_HEARTBEAT) {
            cr_assert_eq(p->out[i].commit, p->out[i].to == 2 ? 2 : 0);
        }
    }
    done(p);
}

// Figure 7: whatever a follower has, the leader makes it equal.
Test(paper, figure_7_leader_brings_every_follower_log_into_line)
{
    static const struct {
        uint64_t terms[12];
        size_t count;
    } followers[] = {
        {{1, 1, 1, 4, 4, 5, 5, 6, 6}, 9},           // a: entries missing
        {{1, 1, 1, 4}, 4},                          // b
        {{1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6}, 11},    // c: entries too many
        {{1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7}, 12}, // d
        {{1, 1, 1, 4, 4, 4, 4}, 7},                 // e: both
        {{1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3}, 11},    // f
    };
    static const uint64_t leader[] = {1, 1, 1, 4, 4, 5, 5, 6, 6, 6};
    for (size_t i = 0; i < sizeof(followers) / sizeof(followers[0]); i++) {
        struct group g;
        group_init(&g, MEMBERS, NULL);
        for (uint64_t id = 1; id <= 2; id++) {
            peer_stop(g.peers[id]);
            if (id == 1) {
                peer_load_log(g.peers[id], leader, 10);
            } else {
                peer_load_log(g.peers[id], followers[i].terms, followers[i].count);
            }
            peer_load_hard_state(g.peers[id], 7, 0, 0);
            peer_start(g.peers[id]);
        }
        group_elect(&g, 1);
        peer_propose(g.peers[1], "a");
        group_settle(&g);
        for (uint64_t index = 1; index <= 13; index++) {
            cr_assert_eq(peer_term_at(g.peers[2], index), peer_term_at(g.peers[1], index),
                         "follower %c, index %lu", (char)('a' + i), (unsigned long)index);
        }
        cr_assert_eq(peer_status(g.peers[2]).hard_state.commit, 12);
        group_release(&g);
    }
}

// Figure 8: S1 leads term 4 with an entry of term 2 on a majority. It must not
// be committed, for S5 with its entry of term 3 could still be elected.
Test(paper, figure_8_an_old_entry_on_a_majority_is_not_committed)
{
    static const uint64_t s1[] = {1, 2};
    static const uint64_t s5[] = {1, 3};
    struct group g;
    group_init(&g, 5, NULL);
    for (uint64_t id = 1; id <= 5; id++) {
        peer_stop(g.peers[id]);
        peer_load_log(g.peers[id], id == 5 ? s5 : s1, id <= 2 || id == 5 ? 2 : 1);
        peer_load_hard_state(g.peers[id], 3, 0, 1);
        peer_start(g.peers[id]);
    }
    group_isolate(&g, 5);
    // c: S1 leads term 4; of its entries only those of term 2 get to S3.
    raft_node_campaign(g.peers[1]->node);
    peer_drain(g.peers[1]);
    for (uint64_t id = 2; id <= 3; id++) {
        struct raft_message yes = msg(RAFT_MESSAGE_REQUEST_VOTE_RESPONSE, id, 1, 4);
        peer_step(g.peers[1], &yes);
    }
    cr_assert_eq(peer_status(g.peers[1]).role, RAFT_LEADER);
    ack(g.peers[1], 2, 2);
    ack(g.peers[1], 3, 2);
    cr_assert_eq(peer_status(g.peers[1]).hard_state.commit, 1);
    // e: with its own entry on a majority both are committed.
    ack(g.peers[1], 2, 3);
    ack(g.peers[1], 3, 3);
    cr_assert_eq(peer_status(g.peers[1]).hard_state.commit, 3);
    group_release(&g);
}

// Figure 8, d: S5 leads and overwrites; legal as nothing was committed.
Test(paper, figure_8_the_uncommitted_entry_may_be_overwritten)
{
    static const uint64_t s1[] = {1, 2};
    static const uint64_t s5[] = {1, 3};
    struct group g;
    group_init(&g, 5, NULL);
    for (uint64_t id = 1; id <= 5; id++) {
        peer_stop(g.peers[id]);
        peer_load_log(g.peers[id], id == 5 ? s5 : s1, id == 4 ? 1 : 2);
        peer_load_hard_state(g.peers[id], 4, 0, 1);
        peer_start(g.peers[id]);
    }
    group_isolate(&g, 1);
    group_elect(&g, 5);
    group_heal(&g);
    group_tick(&g, 3);
    for (uint64_t id = 1; id <= 5; id++) {
        cr_assert_eq(peer_term_at(g.peers[id], 2), 3);
        cr_assert_eq(peer_status(g.peers[id]).hard_state.commit, 3);
    }
    group_release(&g);
}

static struct raft_message snapshot_message(uint64_t term, uint64_t snap_index, uint64_t snap_term)
{
    struct raft_message m = msg(RAFT_MESSAGE_SNAPSHOT, 2, 1, term);
    m.snapshot = raft_snapshot_alloc(0);
    m.snapshot->index = snap_index;
    m.snapshot->term = snap_term;
    for (uint64_t id = 1; id <= MEMBERS; id++) {
        raft_id_set_add(&m.snapshot->conf.voters, id);
    }
    return m;
}

Test(paper, snapshot_replaces_a_shorter_log)
{
    uint64_t log[] = {1, 1};
    struct peer *p = one(1, MEMBERS);
    peer_load_log(p, log, 2);
    peer_start(p);
    struct raft_message m = snapshot_message(3, 10, 3);
    cr_assert_eq(peer_step(p, &m), 0);
    struct raft_status s = peer_status(p);
    cr_assert_eq(s.last_index, 10);
    cr_assert_eq(s.hard_state.commit, 10);
    cr_assert_eq(s.applied, 10);
    cr_assert_eq(s.first_index, 11);
    cr_assert_eq(peer_find_out(p, RAFT_MESSAGE_APPEND_RESPONSE)->index, 10);
    done(p);
}

Test(paper, snapshot_behind_the_commit_is_ignored)
{
    uint64_t log[] = {1, 1, 1};
    struct peer *p = one(1, MEMBERS);
    peer_load_log(p, log, 3);
    peer_load_hard_state(p, 1, 0, 2);
    peer_start(p);
    struct raft_message m = snapshot_message(1, 2, 1);
    cr_assert_eq(peer_step(p, &m), 0);
    cr_assert_eq(peer_status(p).last_index, 3);
    cr_assert_eq(peer_status(p).hard_state.commit, 2);
    cr_assert_eq(peer_find_out(p, RAFT_MESSAGE_APPEND_RESPONSE)->index, 2);
    done(p);
}

// Section 7: "if ... the snapshot describes a prefix of its log, ... entries
// following the snapshot are still valid and must be retained".
Test(paper, snapshot_of_a_prefix_only_commits)
{
    uint64_t log[] = {1, 1, 1};
    struct peer *p = one(1, MEMBERS);
    peer_load_log(p, log, 3);
    peer_start(p);
    struct raft_message m = snapshot_message(1, 2, 1);
    cr_assert_eq(peer_step(p, &m), 0);
    cr_assert_eq(peer_status(p).last_index, 3);
    cr_assert_eq(peer_status(p).hard_state.commit, 2);
    cr_assert_eq(peer_status(p).first_index, 1);
    done(p);
}

Test(paper, snapshot_without_this_node_is_ignored)
{
    struct peer *p = one(1, MEMBERS);
    peer_start(p);
    struct raft_message m = snapshot_message(1, 5, 1);
    raft_id_set_remove(&m.snapshot->conf.voters, 1);
    peer_step(p, &m);
    cr_assert_eq(peer_status(p).last_index, 0);
    done(p);
}

Test(paper, restart_continues_from_hard_state_and_log)
{
    uint64_t log[] = {1, 2, 2};
    struct peer *p = one(1, MEMBERS);
    peer_load_log(p, log, 3);
    peer_load_hard_state(p, 4, 2, 2);
    peer_start(p);
    struct raft_status s = peer_status(p);
    cr_assert_eq(s.hard_state.term, 4);
    cr_assert_eq(s.hard_state.vote, 2);
    cr_assert_eq(s.hard_state.commit, 2);
    cr_assert_eq(s.last_index, 3);
    peer_drain(p);
    cr_assert_eq(p->applied_count, 2);
    cr_assert_eq(p->applied[1], 2);
    done(p);
}

Test(paper, restart_does_not_hand_out_what_was_applied)
{
    uint64_t log[] = {1, 1, 1};
    struct peer *p = one(1, MEMBERS);
    peer_load_log(p, log, 3);
    peer_load_hard_state(p, 1, 0, 3);
    p->config.applied = 2;
    peer_start(p);
    peer_drain(p);
    cr_assert_eq(p->applied_count, 1);
    cr_assert_eq(p->applied[0], 3);
    done(p);
}

Test(paper, restart_from_a_snapshot_and_the_log_after_it)
{
    struct peer *p = one(1, MEMBERS);
    peer_start(p);
    struct raft_message snap = snapshot_message(2, 7, 2);
    peer_step(p, &snap);
    uint64_t terms[] = {2, 2};
    struct raft_message more = msg_append(2, 1, 2, 2, 7, 8, terms, 2);
    peer_step(p, &more);
    peer_stop(p);
    p->applied_count = 0;
    peer_start(p);
    struct raft_status s = peer_status(p);
    cr_assert_eq(s.first_index, 8);
    cr_assert_eq(s.last_index, 9);
    cr_assert_eq(s.hard_state.commit, 8);
    cr_assert_eq(s.conf.voters.count, MEMBERS);
    peer_drain(p);
    cr_assert_eq(p->applied_count, 1);
    cr_assert_eq(p->applied[0], 8);
    done(p);
}

Test(paper, restart_refuses_a_commit_beyond_the_log)
{
    uint64_t log[] = {1};
    struct peer *p = one(1, MEMBERS);
    peer_load_log(p, log, 1);
    peer_load_hard_state(p, 1, 0, 2);
    p->config.storage = raft_memory_storage_interface(p->storage);
    cr_assert_eq(raft_node_new(&p->config, &p->node), RAFT_E_CORRUPT);
    done(p);
}
