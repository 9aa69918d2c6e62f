/* How a new node becomes a member of a cluster that runs. */
#include "cluster.h"
#include "dirs.h"
#include "rows.h"

#include "raftstore/bootstrap.h"
#include "raftstore/join.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define WAIT_MS 10000

static struct cluster cluster;
static char dir[DIRS_PATH_MAX];
static struct engine *raft;
static struct engine *kv;

static void open_both(void)
{
    char path[DIRS_PATH_MAX + 8];
    snprintf(path, sizeof(path), "%s/raft", dir);
    cr_assert_eq(engine_open(path, ENGINE_RAFT, &raft, NULL), 0);
    snprintf(path, sizeof(path), "%s/kv", dir);
    cr_assert_eq(engine_open(path, ENGINE_KV, &kv, NULL), 0);
}

static void close_both(void)
{
    engine_close(raft);
    engine_close(kv);
}

static void start_cluster(size_t count)
{
    dirs_make(dir);
    open_both();
    cluster_init(&cluster, count);
    cluster_start_all(&cluster);
}

static void end(void)
{
    cluster_release(&cluster);
    close_both();
    dirs_remove(dir);
}

static struct store_config joiner_config(const char *name, const char *address, size_t asked)
{
    return (struct store_config){
        .data_dir = dir,
        .name = name,
        .listen = address,
        .join = cluster.slots[asked].address,
    };
}

static const struct store_member *find(const struct store_member *rows, size_t count,
                                       const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    }
    return NULL;
}

/* As store `i` has it on record. */
static struct store_member recorded(size_t i, const char *name)
{
    struct store_member rows[STORE_MEMBERS_MAX];
    size_t count;
    store_members(cluster.stores[i], rows, &count);
    const struct store_member *row = find(rows, count, name);
    cr_assert_not_null(row);
    return *row;
}

Test(join, makes_an_identity_without_data_or_a_log, .timeout = 60)
{
    start_cluster(1);
    struct store_config config = joiner_config("x", "127.0.0.1:1", 0);
    struct store_ident ident;
    struct err e = {0};
    cr_assert_eq(bootstrap_store(&config, raft, kv, &ident, &e), 0, "%s", e.text);
    cr_assert_eq(ident.store_id, 2);
    cr_assert_str_eq(ident.name, "x");
    cr_assert_neq(ident.data_id, 0);
    cr_assert_eq(recorded(0, "x").data_id, ident.data_id);
    cr_assert(recorded(0, "x").promote);

    struct membership m;
    struct apply_state apply;
    struct raft_local_state local;
    struct store_ident again;
    cr_assert_eq(membership_load(kv, FIRST_REGION_ID, &m, NULL), 0);
    cr_assert_eq(m.region.peer_count, 0);
    cr_assert_eq(m.store_count, 2);
    cr_assert_str_eq(membership_find(&m, 1)->address, cluster.slots[0].address);
    cr_assert_eq(apply_state_load(kv, FIRST_REGION_ID, &apply, NULL), 0);
    cr_assert_eq(apply.applied_index, 0);
    cr_assert_eq(apply.truncated_index, 0);
    cr_assert_eq(raft_local_state_load(raft, FIRST_REGION_ID, &local, NULL), 0);
    cr_assert(raft_hard_state_is_empty(&local.hard_state));
    cr_assert_eq(local.last_index, 0);
    cr_assert_eq(store_ident_load_prepared(kv, &again, NULL), KE_NOT_FOUND);

    cr_assert_eq(bootstrap_store(&config, raft, kv, &again, &e), 0, "%s", e.text);
    cr_assert_eq(again.store_id, ident.store_id, "it asks no second time");
    cr_assert_eq(again.data_id, ident.data_id);
    end();
}

Test(join, asked_again_gives_the_same_answer, .timeout = 60)
{
    start_cluster(3);
    struct store_config config = joiner_config("x", "127.0.0.1:1", 0);
    struct join_answer first, second;
    struct err e = {0};
    cr_assert_eq(join_ask(&config, config.listen, 55, &first, &e), 0, "%s", e.text);
    for (size_t i = 0; i < 3; i++) {
        config.join = cluster.slots[i].address; /* a follower names the leader */
        cr_assert_eq(join_ask(&config, config.listen, 55, &second, &e), 0, "%s", e.text);
        cr_assert_eq(second.store_id, first.store_id);
        cr_assert_eq(second.cluster_id, first.cluster_id);
        cr_assert_eq(second.store_count, 4);
    }
    end();
}

Test(join, asks_the_next_member_when_one_is_away, .timeout = 60)
{
    start_cluster(1);
    char join[128];
    snprintf(join, sizeof(join), "127.0.0.1:1,%s", cluster.slots[0].address);
    struct store_config config = joiner_config("x", "127.0.0.1:2", 0);
    config.join = join;
    config.join_as_learner = true;
    struct join_answer answer;
    struct err e = {0};
    cr_assert_eq(join_ask(&config, config.listen, 55, &answer, &e), 0, "%s", e.text);
    cr_assert_not(recorded(0, "x").promote, "it asked to stay a learner");
    end();
}

Test(join, that_is_refused_says_why_and_keeps_the_number_of_the_directory, .timeout = 60)
{
    start_cluster(1);
    struct store_config config = joiner_config("x", cluster.slots[0].address, 0);
    struct store_ident ident, prepared;
    struct err e = {0};
    cr_assert_neq(bootstrap_store(&config, raft, kv, &ident, &e), 0);
    cr_assert_not_null(strstr(e.text, "cannot join"), "%s", e.text);
    cr_assert_not_null(strstr(e.text, "is member n1's"), "%s", e.text);
    cr_assert_eq(store_ident_load_prepared(kv, &prepared, NULL), 0);
    close_both();
    open_both();
    config.listen = "127.0.0.1:1";
    cr_assert_eq(bootstrap_store(&config, raft, kv, &ident, &e), 0, "%s", e.text);
    cr_assert_eq(ident.data_id, prepared.data_id);
    end();
}

Test(join, under_the_name_of_another_directory_is_told_to_remove_it_first, .timeout = 60)
{
    start_cluster(1);
    struct store_config config = joiner_config("n1", "127.0.0.1:1", 0);
    struct store_ident ident;
    struct err e = {0};
    cr_assert_neq(bootstrap_store(&config, raft, kv, &ident, &e), 0);
    cr_assert_not_null(strstr(e.text, "keelctl member remove n1"), "%s", e.text);
    end();
}

/* The whole way: admitted, sent the data, promoted; removed, and not let in again. */
Test(join, ends_as_a_voter_with_the_data_and_a_removed_one_serves_no_more, .timeout = 120)
{
    cluster_init(&cluster, 1);
    cluster_start_all(&cluster);
    cr_assert_eq(cluster_put(&cluster, 0, "k", "v", WAIT_MS), 0);
    size_t joiner = cluster_add_slot(&cluster, false);
    cr_assert_eq(cluster_join(&cluster, joiner), 0);
    cr_assert(cluster_wait_role(&cluster, joiner, MEMBER_VOTER, WAIT_MS));
    char value[CLUSTER_VALUE_MAX];
    cr_assert_eq(cluster_get(&cluster, joiner, "k", value, WAIT_MS), 0);
    cr_assert_str_eq(value, "v");
    struct member_op removal = rows_op(MEMBER_REMOVE, cluster.slots[joiner].name, "");
    struct err e = {0};
    cr_assert_eq(cluster_change_members(&cluster, &removal, WAIT_MS, &e), 0, "%s", e.text);
    cr_assert(cluster_wait_gone(&cluster, joiner, WAIT_MS));
    cluster_stop(&cluster, joiner);
    /* It has applied its removal, or is told of it. */
    atomic_store(&cluster.slots[joiner].gone, 0);
    int rc = cluster_try_start(&cluster, joiner);
    cr_assert(rc == KE_REMOVED || (rc == 0 && cluster_wait_gone(&cluster, joiner, WAIT_MS)));
    cr_assert_eq(cluster_put(&cluster, 0, "k", "w", WAIT_MS), 0);
    cluster_release(&cluster);
}
