/* keelctl member, check and recover in front of nodes that answer as a test says. */
#include "capture.h"
#include "fake_cluster.h"
#include "inbox.h"

#include "raftstore/memory.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES         3
#define ARGUMENTS_MAX 512
#define NOBODY        "127.0.0.1:1"

enum { OK, DIFFERENT, USAGE, UNAVAILABLE, REFUSED };
#define UNKNOWN 2 /* of check */

/* Nodes n1 to n3, which know of each other. */
struct cluster {
    struct inbox *inbox;
    struct node {
        struct store *store;
        struct rpc_server *server;
        char address[INBOX_ADDRESS_MAX];
    } nodes[NODES];
    struct capture *capture;
};

/* As node `self` sees it (from 0), `leader` leads; -1: nobody. */
static struct store_status status_of(const struct cluster *cluster, int self, int leader)
{
    struct store_status status = {
        .cluster_id = 7,
        .store_id = (uint64_t)self + 1,
        .region_id = 1,
        .role = self == leader ? "leader" : "follower",
        .leader_id = (uint64_t)(leader + 1),
        .term = 6,
        .last_index = 100,
        .member_count = NODES,
    };
    (void)snprintf(status.name, sizeof(status.name), "n%d", self + 1);
    for (int i = 0; i < NODES; i++) {
        struct store_member_status *member = &status.members[i];
        *member = (struct store_member_status){
            .member = {.id = (uint64_t)i + 1, .data_id = 70 + (uint64_t)i},
            .role = MEMBER_VOTER,
            .is_leader = i == leader,
            .active = true,
            .match_index = 100,
            .progress = "replicate",
        };
        (void)snprintf(member->member.name, sizeof(member->member.name), "n%d", i + 1);
        (void)snprintf(member->member.address, sizeof(member->member.address), "%s",
                       cluster->nodes[i].address);
    }
    return status;
}

/* `leader` takes changes; the others name it. */
static void elect(struct cluster *cluster, int leader)
{
    for (int i = 0; i < NODES; i++) {
        struct store_status status = status_of(cluster, i, leader);
        fake_node_set_status(cluster->nodes[i].store, &status);
        if (i == leader)
            fake_node_set_answer(cluster->nodes[i].store, 0, "");
        else
            fake_node_set_leader(cluster->nodes[i].store,
                                 leader >= 0 ? cluster->nodes[leader].address : "");
    }
}

static struct cluster *cluster_open(void)
{
    struct cluster *cluster = mem_zalloc(sizeof(*cluster));
    cluster->inbox = inbox_new();
    cluster->capture = capture_new();
    for (int i = 0; i < NODES; i++) {
        struct node *node = &cluster->nodes[i];
        node->store = fake_node_new();
        node->server = inbox_serve(cluster->inbox, (uint64_t)i + 1, 0, node->store);
        (void)inbox_address(node->server, node->address);
    }
    elect(cluster, 1);
    return cluster;
}

static void stop_node(struct cluster *cluster, int i)
{
    if (cluster->nodes[i].server != NULL)
        inbox_stop(cluster->nodes[i].server);
    cluster->nodes[i].server = NULL;
}

static void cluster_close(struct cluster *cluster)
{
    for (int i = 0; i < NODES; i++) {
        stop_node(cluster, i);
        fake_node_free(cluster->nodes[i].store);
    }
    capture_free(cluster->capture);
    inbox_free(cluster->inbox);
    free(cluster);
}

/* Node n1 is the one that is asked. */
static int run(struct cluster *cluster, const char *arguments)
{
    return capture_run(cluster->capture, cluster->nodes[0].address, arguments);
}

static void expect_success(struct cluster *cluster, const char *arguments, const char *words)
{
    cr_assert_eq(run(cluster, arguments), OK, "%s: %s", arguments, cluster->capture->err);
    cr_assert_str_eq(cluster->capture->err, "", "%s", arguments);
    cr_assert_not_null(strstr(cluster->capture->out, words), "%s: %s", arguments,
                       cluster->capture->out);
}

static void expect_failure(struct cluster *cluster, const char *arguments, int status,
                           const char *words)
{
    cr_assert_eq(run(cluster, arguments), status, "%s: %s", arguments, cluster->capture->err);
    capture_expect_error(cluster->capture, arguments, words);
}

/* ---- changes ---- */

Test(member, each_command_asks_for_its_change, .timeout = 60)
{
    static const struct {
        const char *arguments, *words;
        enum member_change_kind kind;
        const char *name, *address, *old_name;
    } lines[] = {
        {"member add n4=h:4", "becomes a voter when", MEMBER_ADD, "n4", "h:4", ""},
        {"member add-learner n4=h:4", "store id 9.", MEMBER_ADD_LEARNER, "n4", "h:4", ""},
        {"member promote n3", "n3 is a voter now", MEMBER_PROMOTE, "n3", "", ""},
        {"member remove n3", "n3 is no member any more", MEMBER_REMOVE, "n3", "", ""},
        {"member replace n3 n4=h:4", "the place of n3 when", MEMBER_REPLACE, "n4", "h:4", "n3"},
        {"member set-address n3=h:5", "n3 at h:5", MEMBER_SET_ADDRESS, "n3", "h:5", ""},
    };
    struct cluster *cluster = cluster_open();
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        expect_success(cluster, lines[i].arguments, lines[i].words);
        struct member_op last = fake_node_last_change(cluster->nodes[1].store);
        cr_assert_eq(last.kind, lines[i].kind, "%s", lines[i].arguments);
        cr_assert_str_eq(last.name, lines[i].name, "%s", lines[i].arguments);
        cr_assert_str_eq(last.address, lines[i].address, "%s", lines[i].arguments);
        cr_assert_str_eq(last.old_name, lines[i].old_name, "%s", lines[i].arguments);
    }
    cluster_close(cluster);
}

Test(member, the_leadership_moves_to_a_member_or_to_the_best, .timeout = 60)
{
    struct cluster *cluster = cluster_open();
    expect_success(cluster, "member transfer-leader n3", "n3 leads now");
    expect_success(cluster, "member transfer-leader", "n2 leads now");
    cluster_close(cluster);
}

Test(member, add_says_how_to_start_the_node, .timeout = 60)
{
    struct cluster *cluster = cluster_open();
    char line[ARGUMENTS_MAX];
    (void)snprintf(line, sizeof(line), "  keelfs --name n4 --listen h:4 --join %s,%s,%s /mnt/kv\n",
                   cluster->nodes[0].address, cluster->nodes[1].address, cluster->nodes[2].address);
    expect_success(cluster, "member add n4=h:4", line);
    (void)snprintf(line, sizeof(line), "  keelfs --name n4 --listen h:4 --join %s,%s /mnt/kv\n",
                   cluster->nodes[0].address, cluster->nodes[1].address);
    expect_success(cluster, "member replace n3 n4=h:4", line);
    cluster_close(cluster);
}

Test(member, what_the_store_refuses_is_status_4_with_its_words, .timeout = 60)
{
    struct cluster *cluster = cluster_open();
    fake_node_set_answer(cluster->nodes[1].store, KE_NOT_FOUND, "there is no member n9");
    expect_failure(cluster, "member remove n9", REFUSED, "member remove: there is no member n9");
    fake_node_set_answer(cluster->nodes[1].store, KE_EXISTS, "there is a member n1 already");
    expect_failure(cluster, "member add n1=h:9", REFUSED, "already");
    cluster_close(cluster);
}

Test(member, a_wrong_command_line_is_status_2_and_asks_nobody, .timeout = 60)
{
    static const char *const lines[][2] = {
        {"member", "needs a command"},
        {"member frobnicate", "unknown command 'member frobnicate'"},
        {"member list n1", "too many arguments"},
        {"member add", "needs NAME=HOST:PORT"},
        {"member add n4", "not NAME=HOST:PORT"},
        {"member add n4=h", "not HOST:PORT"},
        {"member add n4=h:1,n5=h:2", "more than one member"},
        {"member add n/4=h:1", "n/4"},
        {"member add-learner --wait n4=h:1", "nothing to wait for"},
        {"member replace n3", "needs OLD NEW=HOST:PORT"},
        {"member remove n1 n2", "too many arguments: 'n2'"},
        {"recover", "needs --data-dir"},
    };
    struct cluster *cluster = cluster_open();
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        expect_failure(cluster, lines[i][0], USAGE, lines[i][1]);
    cr_assert_eq(fake_node_changes(cluster->nodes[0].store), 0);
    cluster_close(cluster);
}

/* ---- who leads ---- */

Test(member, the_leader_is_followed_through_several_hands, .timeout = 60)
{
    struct cluster *cluster = cluster_open();
    fake_node_set_leader(cluster->nodes[0].store, cluster->nodes[1].address);
    fake_node_set_leader(cluster->nodes[1].store, cluster->nodes[2].address);
    fake_node_set_answer(cluster->nodes[2].store, 0, "");
    expect_success(cluster, "member promote n3", "voter");
    cr_assert_eq(fake_node_changes(cluster->nodes[0].store), 1);
    cr_assert_eq(fake_node_changes(cluster->nodes[1].store), 1);
    cr_assert_eq(fake_node_changes(cluster->nodes[2].store), 1);
    cluster_close(cluster);
}

Test(member, a_leader_is_waited_for, .timeout = 60)
{
    struct cluster *cluster = cluster_open();
    elect(cluster, -1);
    fake_node_lead_after(cluster->nodes[0].store, 3);
    expect_success(cluster, "member promote n3", "voter");
    cr_assert_eq(fake_node_changes(cluster->nodes[0].store), 3);
    cluster_close(cluster);
}

Test(member, a_leader_that_is_down_is_not_the_last_word, .timeout = 60)
{
    struct cluster *cluster = cluster_open();
    elect(cluster, 2);
    stop_node(cluster, 2);
    expect_failure(cluster, "member remove n3 --timeout 3000", UNAVAILABLE, "nothing was changed");
    fake_node_lead_after(cluster->nodes[0].store, fake_node_changes(cluster->nodes[0].store) + 3);
    expect_success(cluster, "member remove n3", "n3 is no member");
    cluster_close(cluster);
}

Test(member, without_a_leader_nothing_was_changed, .timeout = 60)
{
    struct cluster *cluster = cluster_open();
    elect(cluster, -1);
    expect_failure(cluster, "member remove n3 --timeout 3000", UNAVAILABLE, "nothing was changed");
    cluster_close(cluster);
}

Test(member, a_change_without_an_answer_is_not_known, .timeout = 60)
{
    struct cluster *cluster = cluster_open();
    fake_node_hold(cluster->nodes[1].store);
    expect_failure(cluster, "member remove n3 --timeout 3000", UNAVAILABLE, "not known");
    cr_assert_eq(fake_node_changes(cluster->nodes[1].store), 1);
    cluster_close(cluster);
}

/* ---- list and --wait ---- */

Test(member, list_shows_the_leaders_view, .timeout = 60)
{
    struct cluster *cluster = cluster_open();
    struct store_status status = status_of(cluster, 1, 1);
    struct store_member_status *n1 = &status.members[0], *n3 = &status.members[2];
    n1->active = false;
    n3->role = MEMBER_LEARNER;
    n3->progress = "snapshot";
    n3->member.promote = true;
    n3->member.replaces = 1;
    fake_node_set_status(cluster->nodes[1].store, &status);
    expect_success(cluster, "member list", "leader   up\n");
    cr_assert_not_null(strstr(cluster->capture->out, "voter    silent\n"));
    cr_assert_not_null(
        strstr(cluster->capture->out, "learner  gets a snapshot, takes the place of n1\n"), "%s",
        cluster->capture->out);
    expect_success(cluster, "member list --json", "\"role\":\t\"learner\"");
    n3->match_index = 0;
    n3->member.data_id = 0;
    fake_node_set_status(cluster->nodes[1].store, &status);
    expect_success(cluster, "member list", "learner  not started yet, takes the place of n1\n");
    stop_node(cluster, 1);
    expect_success(cluster, "member list", "voter   up\n");
    cluster_close(cluster);
}

Test(member, wait_ends_when_the_new_member_is_a_voter, .timeout = 60)
{
    struct cluster *cluster = cluster_open();
    expect_success(cluster, "member add --wait n3=h:3", "\nn3 is a voter\n");
    cluster_close(cluster);
}

/* ---- check ---- */

static void set_hashes(struct cluster *cluster, uint64_t first, uint64_t second, uint64_t third)
{
    fake_node_set_hash(cluster->nodes[0].store, first);
    fake_node_set_hash(cluster->nodes[1].store, second);
    fake_node_set_hash(cluster->nodes[2].store, third);
    elect(cluster, 1);
}

Test(check, equal_replicas_are_status_0, .timeout = 60)
{
    struct cluster *cluster = cluster_open();
    set_hashes(cluster, 5, 5, 5);
    expect_success(cluster, "check", "3 of 3 replicas are equal at index 77\n");
    expect_success(cluster, "check --json", "\"equal\":\ttrue");
    cluster_close(cluster);
}

Test(check, the_odd_one_is_named, .timeout = 60)
{
    struct cluster *cluster = cluster_open();
    set_hashes(cluster, 5, 6, 5);
    cr_assert_eq(run(cluster, "check"), DIFFERENT);
    cr_assert_not_null(strstr(cluster->capture->out, "The odd ones: n2\n"), "%s",
                       cluster->capture->out);
    cr_assert_eq(run(cluster, "check --json"), DIFFERENT);
    set_hashes(cluster, 4, 5, 6);
    cr_assert_eq(run(cluster, "check"), DIFFERENT);
    cr_assert_not_null(strstr(cluster->capture->out, "no majority of them is equal"), "%s",
                       cluster->capture->out);
    cluster_close(cluster);
}

Test(check, a_member_that_is_down_or_has_no_hash_is_status_2, .timeout = 60)
{
    struct cluster *cluster = cluster_open();
    set_hashes(cluster, 5, 5, 0);
    cr_assert_eq(run(cluster, "check --timeout 3000"), UNKNOWN);
    cr_assert_not_null(strstr(cluster->capture->out, "n3      3      not known: no hash within"),
                       "%s", cluster->capture->out);
    cr_assert_not_null(strstr(cluster->capture->out, "2 of 3 replicas are equal"));
    stop_node(cluster, 2);
    cr_assert_eq(run(cluster, "check --timeout 3000"), UNKNOWN);
    cr_assert_not_null(strstr(cluster->capture->out, "not known: cannot connect to"), "%s",
                       cluster->capture->out);
    set_hashes(cluster, 5, 6, 0);
    cr_assert_eq(run(cluster, "check --timeout 3000"), DIFFERENT);
    cluster_close(cluster);
}

/* ---- recover ---- */

Test(recover, a_directory_without_data_is_refused, .timeout = 60)
{
    struct cluster *cluster = cluster_open();
    expect_failure(cluster, "recover --data-dir /none", REFUSED, "/none");
    expect_failure(cluster, "recover --data-dir /none --yes", REFUSED, "/none");
    cluster_close(cluster);
}
