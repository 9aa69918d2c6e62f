// The rules of elections: paper 5.1, 5.2, 5.4.1; dissertation 3.4, 3.6.

#include <criterion/criterion.h>

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

Test(paper, a_fresh_node_is_a_follower_at_term_0)
{
    struct peer *p = one(1, MEMBERS);
    peer_start(p);
    cr_assert_eq(peer_status(p).role, RAFT_FOLLOWER);
    cr_assert_eq(peer_status(p).hard_state.term, 0);
    cr_assert_eq(peer_status(p).leader, RAFT_NONE);
    done(p);
}

// 5.1: "If one server's current term is smaller than the other's, then it
// updates its current term to the larger value", whatever its role.
static void check_term_update(bool candidate, bool leader)
{
    struct peer *p = one(1, MEMBERS);
    peer_start(p);
    if (leader) {
        peer_win(p, MEMBERS);
    } else if (candidate) {
        raft_node_campaign(p->node);
        peer_drain(p);
    }
    struct raft_message m = msg_append(2, 1, 9, 0, 0, 0, NULL, 0);
    cr_assert_eq(peer_step(p, &m), 0);
    cr_assert_eq(peer_status(p).hard_state.term, 9);
    cr_assert_eq(peer_status(p).role, RAFT_FOLLOWER);
    cr_assert_eq(peer_status(p).leader, 2);
    done(p);
}

Test(paper, follower_updates_its_term_from_a_message)
{
    check_term_update(false, false);
}

Test(paper, candidate_updates_its_term_and_steps_down)
{
    check_term_update(true, false);
}

Test(paper, leader_updates_its_term_and_steps_down)
{
    check_term_update(false, true);
}

Test(paper, message_of_a_stale_term_is_rejected)
{
    struct peer *p = one(1, MEMBERS);
    peer_load_hard_state(p, 5, 0, 0);
    peer_start(p);
    uint64_t terms[] = {4};
    struct raft_message m = msg_append(2, 1, 4, 0, 0, 1, terms, 1);
    peer_step(p, &m);
    cr_assert_eq(peer_status(p).last_index, 0);
    cr_assert_eq(peer_status(p).leader, RAFT_NONE);
    cr_assert_eq(p->out_count, 0);
    done(p);
}

Test(paper, vote_is_given_once_a_term_and_again_to_the_same_candidate)
{
    struct peer *p = one(1, MEMBERS);
    peer_start(p);
    struct raft_message first = msg(RAFT_MESSAGE_REQUEST_VOTE, 2, 1, 1);
    peer_step(p, &first);
    cr_assert_not(p->out[0].reject);
    struct raft_message other = msg(RAFT_MESSAGE_REQUEST_VOTE, 3, 1, 1);
    peer_step(p, &other);
    cr_assert(p->out[1].reject);
    struct raft_message again = msg(RAFT_MESSAGE_REQUEST_VOTE, 2, 1, 1);
    peer_step(p, &again);
    cr_assert_not(p->out[2].reject);
    struct raft_message next_term = msg(RAFT_MESSAGE_REQUEST_VOTE, 3, 1, 2);
    peer_step(p, &next_term);
    cr_assert_not(p->out[3].reject);
    done(p);
}

Test(paper, vote_survives_a_restart)
{
    struct peer *p = one(1, MEMBERS);
    peer_start(p);
    struct raft_message first = msg(RAFT_MESSAGE_REQUEST_VOTE, 2, 1, 1);
    peer_step(p, &first);
    peer_stop(p);
    peer_start(p);
    struct raft_message other = msg(RAFT_MESSAGE_REQUEST_VOTE, 3, 1, 1);
    peer_step(p, &other);
    cr_assert(p->out[0].reject);
    done(p);
}

Test(paper, vote_leaves_only_after_it_is_stable)
{
    struct peer *p = one(1, MEMBERS);
    peer_start(p);
    p->hold_advance = true;
    struct raft_message m = msg(RAFT_MESSAGE_REQUEST_VOTE, 2, 1, 1);
    peer_step(p, &m);
    cr_assert_eq(p->out_count, 0, "the vote is among the messages that may go at once");
    done(p);
}

// 5.4.1: the later last term wins; with equal terms the longer log.
Test(paper, vote_needs_a_log_that_is_at_least_as_up_to_date)
{
    static const struct {
        uint64_t own[3];
        size_t own_count;
        uint64_t term;
        uint64_t index;
        bool reject;
    } cases[] = {
        {{1}, 1, 1, 1, false},    {{1}, 1, 1, 2, false},   {{1, 1}, 2, 1, 1, true},
        {{1}, 1, 2, 1, false},    {{1}, 1, 2, 2, false},   {{1, 1}, 2, 2, 1, false},
        {{2}, 1, 1, 1, true},     {{2}, 1, 1, 2, true},    {{2, 2}, 2, 1, 9, true},
        {{1, 2}, 2, 2, 2, false}, {{1, 2}, 2, 2, 1, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct peer *p = one(1, MEMBERS);
        peer_load_log(p, cases[i].own, cases[i].own_count);
        peer_start(p);
        struct raft_message m = msg(RAFT_MESSAGE_REQUEST_VOTE, 2, 1, 3);
        m.log_term = cases[i].term;
        m.index = cases[i].index;
        peer_step(p, &m);
        cr_assert_eq(p->out[0].type, RAFT_MESSAGE_REQUEST_VOTE_RESPONSE);
        cr_assert_eq(p->out[0].reject, cases[i].reject, "case %zu", i);
        done(p);
    }
}

// 5.2: "each server will vote for at most one candidate ... a candidate wins if
// it receives votes from a majority".
Test(paper, election_takes_one_round_for_1_to_9_nodes)
{
    for (size_t members = 1; members <= 9; members++) {
        for (size_t yes = 0; yes < members; yes++) {
            struct peer *p = one(1, members);
            peer_start(p);
            raft_node_campaign(p->node);
            peer_drain(p);
            for (uint64_t id = 2; id <= yes + 1; id++) {
                struct raft_message vote = msg(RAFT_MESSAGE_REQUEST_VOTE_RESPONSE, id, 1, 1);
                peer_step(p, &vote);
            }
            bool won = yes + 1 > members / 2;
            cr_assert_eq(peer_status(p).role, won ? RAFT_LEADER : RAFT_CANDIDATE,
                         "%zu of %zu votes", yes + 1, members);
            done(p);
        }
    }
}

Test(paper, candidate_gives_up_when_a_majority_refuses)
{
    struct peer *p = one(1, 5);
    peer_start(p);
    raft_node_campaign(p->node);
    peer_drain(p);
    for (uint64_t id = 2; id <= 4; id++) {
        cr_assert_eq(peer_status(p).role, RAFT_CANDIDATE);
        struct raft_message no = msg(RAFT_MESSAGE_REQUEST_VOTE_RESPONSE, id, 1, 1);
        no.reject = true;
        peer_step(p, &no);
    }
    cr_assert_eq(peer_status(p).role, RAFT_FOLLOWER);
    cr_assert_eq(peer_status(p).hard_state.term, 1);
    done(p);
}

Test(paper, candidate_yields_to_the_leader_of_its_term)
{
    struct peer *p = one(1, MEMBERS);
    peer_start(p);
    raft_node_campaign(p->node);
    peer_drain(p);
    struct raft_message m = msg(RAFT_MESSAGE_HEARTBEAT, 2, 1, 1);
    peer_step(p, &m);
    cr_assert_eq(peer_status(p).role, RAFT_FOLLOWER);
    cr_assert_eq(peer_status(p).leader, 2);
    done(p);
}

Test(paper, follower_campaigns_when_it_hears_nothing)
{
    struct peer *p = one(1, MEMBERS);
    peer_start(p);
    int ticks = peer_tick_until_campaign(p, 1000);
    cr_assert_gt(ticks, p->config.election_ticks);
    cr_assert_lt(ticks, 2 * p->config.election_ticks);
    peer_drain(p);
    cr_assert_eq(peer_status(p).role, RAFT_CANDIDATE);
    cr_assert_eq(peer_status(p).hard_state.term, 1);
    cr_assert_eq(peer_status(p).hard_state.vote, 1);
    cr_assert_eq(peer_count_out(p, RAFT_MESSAGE_REQUEST_VOTE), MEMBERS - 1);
    done(p);
}

Test(paper, candidate_starts_a_new_election_when_its_time_is_over)
{
    struct peer *p = one(1, MEMBERS);
    peer_start(p);
    raft_node_campaign(p->node);
    peer_drain(p);
    peer_tick_until_campaign(p, 1000);
    cr_assert_eq(peer_status(p).role, RAFT_CANDIDATE);
    cr_assert_eq(peer_status(p).hard_state.term, 2);
    done(p);
}

Test(paper, heartbeat_keeps_a_follower_from_campaigning)
{
    struct peer *p = one(1, MEMBERS);
    peer_start(p);
    for (int i = 0; i < 100; i++) {
        for (int tick = 0; tick < p->config.election_ticks - 1; tick++) {
            raft_node_tick(p->node);
        }
        struct raft_message m = msg(RAFT_MESSAGE_HEARTBEAT, 2, 1, 1);
        peer_step(p, &m);
        peer_drop_out(p);
    }
    cr_assert_eq(peer_status(p).role, RAFT_FOLLOWER);
    done(p);
}

Test(paper, election_timeouts_take_every_value_of_their_range)
{
    bool seen[64] = {false};
    struct peer *p = one(1, MEMBERS);
    peer_start(p);
    for (int i = 0; i < 1000; i++) {
        int ticks = peer_tick_until_campaign(p, 1000);
        cr_assert_geq(ticks, 11);
        cr_assert_lt(ticks, 20);
        seen[ticks] = true;
        peer_drain(p);
        peer_drop_out(p);
    }
    for (int ticks = 11; ticks < 20; ticks++) {
        cr_assert(seen[ticks], "%d never came", ticks);
    }
    done(p);
}

// 5.2: "randomized election timeouts ... ensure that split votes are rare".
Test(paper, timeouts_of_five_nodes_seldom_collide)
{
    int collisions = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        int earliest = 1000;
        int ties = 0;
        for (uint64_t id = 1; id <= 5; id++) {
            struct peer *p = one(id, 5);
            p->config.random_seed = seed * 31 + id;
            peer_start(p);
            int ticks = peer_tick_until_campaign(p, 1000);
            ties = ticks == earliest ? ties + 1 : ticks < earliest ? 0 : ties;
            earliest = ticks < earliest ? ticks : earliest;
            done(p);
        }
        collisions += ties > 0;
    }
    cr_assert_lt(collisions, 100, "%d of 200", collisions);
}

Test(paper, one_node_cluster_elects_itself_once_its_vote_is_stable)
{
    struct peer *p = one(1, 1);
    peer_start(p);
    p->hold_advance = true;
    raft_node_campaign(p->node);
    peer_drain(p);
    cr_assert_eq(peer_status(p).role, RAFT_CANDIDATE);
    cr_assert_eq(raft_node_advance(p->node), 0);
    cr_assert_eq(peer_status(p).role, RAFT_LEADER);
    done(p);
}

Test(paper, candidate_leads_only_when_its_own_vote_is_stable)
{
    struct peer *p = one(1, MEMBERS);
    peer_start(p);
    p->hold_advance = true;
    raft_node_campaign(p->node);
    peer_drain(p);
    for (uint64_t id = 2; id <= MEMBERS; id++) {
        struct raft_message yes = msg(RAFT_MESSAGE_REQUEST_VOTE_RESPONSE, id, 1, 1);
        cr_assert_eq(raft_node_step(p->node, &yes), 0);
    }
    cr_assert_eq(peer_status(p).role, RAFT_CANDIDATE);
    cr_assert_eq(raft_node_advance(p->node), 0);
    cr_assert_eq(peer_status(p).role, RAFT_LEADER);
    done(p);
}

Test(paper, pre_vote_of_a_cut_off_node_changes_no_term)
{
    struct group g;
    group_init(&g, MEMBERS, NULL);
    for (uint64_t id = 1; id <= MEMBERS; id++) {
        peer_stop(g.peers[id]);
        g.peers[id]->config.pre_vote = true;
        g.peers[id]->config.check_quorum = true;
        peer_start(g.peers[id]);
    }
    group_elect(&g, 1);
    uint64_t term = peer_status(g.peers[1]).hard_state.term;
    group_isolate(&g, 3);
    group_tick(&g, 100);
    cr_assert_eq(peer_status(g.peers[3]).hard_state.term, term);
    cr_assert_eq(peer_status(g.peers[3]).role, RAFT_PRE_CANDIDATE);
    group_heal(&g);
    group_tick(&g, 30);
    cr_assert_eq(group_leader(&g), 1);
    cr_assert_eq(peer_status(g.peers[1]).hard_state.term, term);
    group_release(&g);
}
