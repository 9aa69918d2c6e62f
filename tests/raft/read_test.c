// Linearizable reads (dissertation 6.4) and the lease of the leader.

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

// Answers every heartbeat in out as its receiver would.
static void answer_heartbeats(struct peer *p, uint64_t from)
{
    for (size_t i = 0; i < p->out_count; i++) {
        const struct raft_message *h = &p->out[i];
        if (h->type == RAFT_MESSAGE_HEARTBEAT && h->to == from) {
            struct raft_message m = msg(RAFT_MESSAGE_HEARTBEAT_RESPONSE, from, 1, h->term);
            m.context_size = h->context_size;
            memcpy(m.context, h->context, sizeof(m.context));
            cr_assert_eq(raft_node_step(p->node, &m), 0);
        }
    }
    peer_drain(p);
}

// --- reads ---

Test(read, is_answered_after_a_quorum_confirmed_the_leader)
{
    struct peer *p = leader_of(MEMBERS);
    cr_assert_eq(raft_node_read_index(p->node, "r1", 2), 0);
    peer_drain(p);
    cr_assert_eq(p->read_count, 0);
    answer_heartbeats(p, 2);
    cr_assert_eq(p->read_count, 1);
    cr_assert_eq(p->reads[0].index, 1);
    cr_assert_eq(memcmp(p->reads[0].context, "r1", 2), 0);
    done(p);
}

Test(read, one_round_answers_all_that_wait)
{
    struct peer *p = leader_of(MEMBERS);
    for (char c = 'a'; c < 'k'; c++) {
        cr_assert_eq(raft_node_read_index(p->node, &c, 1), 0);
    }
    peer_drain(p);
    peer_drop_out(p);
    raft_node_tick(p->node);
    peer_drain(p);
    answer_heartbeats(p, 2);
    cr_assert_eq(p->read_count, 10);
    done(p);
}

Test(read, is_not_confirmed_by_an_older_heartbeat)
{
    struct peer *p = leader_of(MEMBERS);
    raft_node_tick(p->node);
    peer_drain(p);
    struct raft_message old = msg(RAFT_MESSAGE_HEARTBEAT_RESPONSE, 2, 1, 1);
    cr_assert_eq(raft_node_read_index(p->node, "r", 1), 0);
    peer_step(p, &old);
    cr_assert_eq(p->read_count, 0);
    done(p);
}

Test(read, waits_for_the_first_commit_of_the_term)
{
    struct peer *p = one(1, MEMBERS);
    peer_start(p);
    peer_win(p, MEMBERS);
    cr_assert_eq(raft_node_read_index(p->node, "r", 1), 0);
    peer_drain(p);
    answer_heartbeats(p, 2);
    cr_assert_eq(p->read_count, 0);
    peer_drop_out(p);
    ack(p, 2, 1);
    answer_heartbeats(p, 2);
    cr_assert_eq(p->read_count, 1);
    cr_assert_eq(p->reads[0].index, 1);
    done(p);
}

Test(read, at_a_follower_goes_to_the_leader_and_back)
{
    struct group g;
    group_init(&g, MEMBERS, NULL);
    group_elect(&g, 1);
    cr_assert_eq(raft_node_read_index(g.peers[3]->node, "r", 1), 0);
    group_settle(&g);
    cr_assert_eq(g.peers[3]->read_count, 1);
    cr_assert_eq(g.peers[3]->reads[0].index, 1);
    group_release(&g);
}

Test(read, of_a_single_node_is_answered_at_once)
{
    struct peer *p = one(1, 1);
    peer_start(p);
    peer_win(p, 1);
    cr_assert_eq(raft_node_read_index(p->node, "r", 1), 0);
    peer_drain(p);
    cr_assert_eq(p->read_count, 1);
    done(p);
}

Test(read, of_a_single_node_waits_for_its_own_term_too)
{
    uint64_t log[] = {1, 1};
    struct peer *p = one(1, 1);
    peer_load_log(p, log, 2);
    peer_load_hard_state(p, 1, 1, 1); // the commit of 2 had not reached the disk
    peer_start(p);
    raft_node_campaign(p->node);
    while (peer_status(p).role != RAFT_LEADER) {
        struct raft_ready rd;
        cr_assert_eq(raft_node_ready(p->node, &rd), 0);
        raft_memory_storage_set_hard_state(p->storage, &rd.hard_state);
        cr_assert_eq(raft_node_advance(p->node), 0);
    }
    cr_assert_eq(raft_node_read_index(p->node, "r", 1), 0);
    peer_drain(p);
    cr_assert_eq(p->read_count, 1);
    cr_assert_eq(p->reads[0].index, 3);
    done(p);
}

// Unless it steps down on removal, a demoted leader leads on: alone it is not.
Test(read, at_a_demoted_leader_needs_the_only_voter)
{
    struct peer *p = one(1, 2);
    p->config.step_down_on_removal = false;
    peer_start(p);
    peer_win(p, 2);
    ack(p, 2, 1);
    struct raft_conf_change demote = {.v1 = true, .change_count = 1};
    demote.changes[0] = (struct raft_conf_change_single){RAFT_CONF_ADD_LEARNER, 1};
    struct raft_conf_state conf;
    cr_assert_eq(raft_node_apply_conf_change(p->node, &demote, &conf), 0);
    cr_assert_eq(raft_node_read_index(p->node, "r", 1), 0);
    peer_drain(p);
    cr_assert_eq(p->read_count, 0);
    answer_heartbeats(p, 2);
    cr_assert_eq(p->read_count, 1);
    done(p);
}

Test(read, without_a_leader_or_a_context_fails)
{
    struct peer *p = one(1, MEMBERS);
    peer_start(p);
    cr_assert_eq(raft_node_read_index(p->node, "r", 1), RAFT_E_NO_LEADER);
    cr_assert_eq(raft_node_read_index(p->node, "r", 0), RAFT_E_INVALID);
    cr_assert_eq(raft_node_read_index(p->node, "r", RAFT_CONTEXT_MAX + 1), RAFT_E_INVALID);
    done(p);
}

Test(read, has_a_limit_of_how_many_wait)
{
    struct peer *p = leader_of(MEMBERS);
    for (int i = 0; i < RAFT_READS_MAX; i++) {
        cr_assert_eq(raft_node_read_index(p->node, "r", 1), 0);
        if (i % 512 == 0) {
            peer_drain(p);
            peer_drop_out(p);
        }
    }
    cr_assert_eq(raft_node_read_index(p->node, "r", 1), RAFT_E_TOO_MANY);
    done(p);
}

static struct peer *lease_leader(void)
{
    struct peer *p = one(1, MEMBERS);
    p->config.check_quorum = true;
    p->config.read_mode = RAFT_READ_LEASE;
    peer_start(p);
    peer_win(p, MEMBERS);
    ack(p, 2, 1);
    ack(p, 3, 1);
    peer_drop_out(p);
    raft_node_tick(p->node);
    peer_drain(p);
    answer_heartbeats(p, 2);
    peer_drop_out(p);
    return p;
}

Test(lease, answers_reads_without_a_round)
{
    struct peer *p = lease_leader();
    cr_assert_eq(raft_node_read_index(p->node, "r", 1), 0);
    peer_drain(p);
    cr_assert_eq(p->read_count, 1);
    done(p);
}

Test(lease, ends_before_anybody_may_vote_again)
{
    struct peer *p = lease_leader();
    for (int i = 0; i < p->config.election_ticks - 2; i++) {
        raft_node_tick(p->node);
    }
    peer_drain(p);
    peer_drop_out(p);
    cr_assert_eq(raft_node_read_index(p->node, "r", 1), 0);
    peer_drain(p);
    cr_assert_eq(p->read_count, 0, "the lease is over, a round is needed");
    answer_heartbeats(p, 3);
    cr_assert_eq(p->read_count, 1);
    done(p);
}

Test(lease, ends_with_a_transfer_of_leadership)
{
    struct peer *p = lease_leader();
    cr_assert_eq(raft_node_transfer_leader(p->node, 2), 0);
    cr_assert_eq(raft_node_read_index(p->node, "r", 1), 0);
    peer_drain(p);
    cr_assert_eq(p->read_count, 0);
    done(p);
}

Test(lease, follower_that_heard_its_leader_does_not_vote_nor_campaign)
{
    struct peer *p = one(1, MEMBERS);
    p->config.check_quorum = true;
    p->config.read_mode = RAFT_READ_LEASE;
    peer_start(p);
    struct raft_message h = msg(RAFT_MESSAGE_HEARTBEAT, 2, 1, 1);
    peer_step(p, &h);
    cr_assert_eq(raft_node_campaign(p->node), RAFT_E_LEASE);
    // Not even after a stray message of a higher term made it forget its leader.
    struct raft_message stray = msg(RAFT_MESSAGE_HEARTBEAT_RESPONSE, 3, 1, 5);
    peer_step(p, &stray);
    cr_assert_eq(peer_status(p).leader, RAFT_NONE);
    peer_drop_out(p);
    struct raft_message vote = msg(RAFT_MESSAGE_REQUEST_VOTE, 3, 1, 6);
    peer_step(p, &vote);
    cr_assert_eq(p->out_count, 0);
    // A candidate that the leader itself asked is another matter.
    struct raft_message asked = msg(RAFT_MESSAGE_REQUEST_VOTE, 3, 1, 6);
    asked.context_size = 8;
    memcpy(asked.context, "transfer", 8);
    peer_step(p, &asked);
    cr_assert_not(p->out[0].reject);
    done(p);
}

Test(lease, on_start_nobody_gets_a_vote_for_one_election_timeout)
{
    struct peer *p = one(1, MEMBERS);
    p->config.check_quorum = true;
    p->config.lease_on_start = true;
    peer_start(p);
    struct raft_message early = msg(RAFT_MESSAGE_REQUEST_VOTE, 2, 1, 1);
    peer_step(p, &early);
    cr_assert_eq(p->out_count, 0);
    for (int i = 0; i < p->config.election_ticks; i++) {
        raft_node_tick(p->node);
    }
    peer_drain(p);
    peer_drop_out(p);
    struct raft_message late = msg(RAFT_MESSAGE_REQUEST_VOTE, 2, 1, 9);
    peer_step(p, &late);
    cr_assert_not(p->out[0].reject);
    done(p);
}

Test(lease, leader_is_not_forgotten)
{
    struct peer *p = one(1, MEMBERS);
    p->config.check_quorum = true;
    p->config.read_mode = RAFT_READ_LEASE;
    peer_start(p);
    struct raft_message h = msg(RAFT_MESSAGE_HEARTBEAT, 2, 1, 1);
    peer_step(p, &h);
    cr_assert_eq(raft_node_forget_leader(p->node), 0);
    cr_assert_eq(peer_status(p).leader, 2);
    done(p);
}
