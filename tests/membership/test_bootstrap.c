/* The identity of a data directory, as founder and afterwards. */
#include "dirs.h"
#include "rows.h"

#include "raftstore/bootstrap.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define LIST "n1=h:1,n2=h:2,n3=h:3"

static char root[DIRS_PATH_MAX];
static char dir[DIRS_PATH_MAX + 8];
static struct engine *raft;
static struct engine *kv;

static void open_in(const char *name)
{
    char path[DIRS_PATH_MAX + 16];
    snprintf(dir, sizeof(dir), "%s/%s", root, name);
    dirs_make_sub(dir);
    snprintf(path, sizeof(path), "%s/raft", dir);
    cr_assert_eq(engine_open(path, ENGINE_RAFT, &raft, NULL), 0);
    snprintf(path, sizeof(path), "%s/kv", dir);
    cr_assert_eq(engine_open(path, ENGINE_KV, &kv, NULL), 0);
}

static void close_both(void)
{
    engine_close(raft);
    engine_close(kv);
    raft = NULL;
    kv = NULL;
}

static void setup(void)
{
    dirs_make(root);
    open_in("n1");
}

static void teardown(void)
{
    close_both();
    dirs_remove(root);
}

TestSuite(bootstrap, .init = setup, .fini = teardown);

static struct store_config config_of(const char *name, const char *initial_members)
{
    return (struct store_config){.data_dir = dir, .name = name, .initial_members = initial_members};
}

static struct store_ident start(const struct store_config *config)
{
    struct store_ident ident;
    struct err e = {0};
    cr_assert_eq(bootstrap_store(config, raft, kv, &ident, &e), 0, "%s", e.text);
    return ident;
}

static void expect_refusal(const struct store_config *config, int code, const char *words)
{
    struct store_ident ident;
    struct err e = {0};
    cr_assert_eq(bootstrap_store(config, raft, kv, &ident, &e), code, "%s", e.text);
    cr_assert_not_null(strstr(e.text, words), "%s", e.text);
}

static struct membership load(void)
{
    struct membership m;
    struct err e = {0};
    cr_assert_eq(membership_load(kv, FIRST_REGION_ID, &m, &e), 0, "%s", e.text);
    return m;
}

/* --- founders --- */

Test(bootstrap, a_founder_alone_is_on_record_with_its_data_directory)
{
    struct store_config config = config_of("n1", NULL);
    struct store_ident ident = start(&config);
    struct membership m = load();
    cr_assert_neq(ident.data_id, 0);
    cr_assert_eq(m.store_count, 1);
    cr_assert_eq(m.stores[0].data_id, ident.data_id);
    cr_assert_str_eq(m.stores[0].address, STORE_LISTEN_DEFAULT);
    cr_assert_eq(membership_role(&m, 1), MEMBER_VOTER);
    cr_assert_eq(m.region.next_store_id, 2);
}

Test(bootstrap, a_founder_alone_is_reached_where_it_says)
{
    struct store_config config = config_of("n1", NULL);
    config.listen = "0.0.0.0:7000";
    config.advertise = "n1.example:7000";
    start(&config);
    struct membership m = load();
    cr_assert_str_eq(m.stores[0].address, "n1.example:7000");
}

/* Their rows are the state that the log begins from. */
Test(bootstrap, founders_together_write_the_same_rows_and_have_data_ids_of_their_own)
{
    struct store_config config = config_of("n1", LIST);
    struct store_ident first = start(&config);
    struct membership first_rows = load();
    close_both();
    open_in("n2");
    config = config_of("n2", "n3=h:3,n2=h:2,n1=h:1");
    struct store_ident second = start(&config);
    struct membership second_rows = load();
    cr_assert(rows_membership_equal(&first_rows, &second_rows));
    cr_assert_eq(first.cluster_id, second.cluster_id);
    cr_assert_neq(first.data_id, second.data_id);
    cr_assert_eq(first_rows.store_count, 3);
    cr_assert_eq(membership_voter_count(&first_rows), 3);
    cr_assert_eq(first_rows.region.next_store_id, 4);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(first_rows.stores[i].data_id, 0);
}

Test(bootstrap, a_restart_changes_the_incarnation_alone)
{
    struct store_config config = config_of("n2", LIST);
    struct store_ident before = start(&config);
    struct store_ident after = start(&config);
    cr_assert_gt(after.incarnation, before.incarnation);
    cr_assert_eq(after.data_id, before.data_id);
    cr_assert_eq(after.cluster_id, before.cluster_id);
    cr_assert_eq(after.store_id, before.store_id);
    cr_assert_str_eq(after.name, "n2");
}

/* It could vote a second time for one that was wiped. */
Test(bootstrap, a_directory_without_an_id_is_refused)
{
    struct store_config config = config_of("n1", NULL);
    struct store_ident ident = start(&config);
    struct err e;
    ident.data_id = 0;
    struct engine_batch *batch = engine_batch_new(false);
    store_ident_save(kv, batch, &ident);
    engine_write(kv, batch, false);
    engine_batch_free(batch);
    cr_assert_eq(bootstrap_store(&config, raft, kv, &ident, &e), KE_CORRUPT);
    cr_assert(strstr(e.text, "no id of its own") != NULL, "%s", e.text);
}

/* --- the halves of a directory --- */

static void save_local_state(const struct raft_local_state *local)
{
    struct engine_batch *batch = engine_batch_new(false);
    raft_local_state_save(raft, batch, FIRST_REGION_ID, local);
    engine_write(raft, batch, false);
    engine_batch_free(batch);
}

Test(bootstrap, an_attempt_that_was_cut_short_is_begun_again)
{
    struct store_config config = config_of("n1", LIST);
    struct raft_local_state joiner = {0};
    save_local_state(&joiner);
    start(&config);
    struct raft_local_state local;
    cr_assert_eq(raft_local_state_load(raft, FIRST_REGION_ID, &local, NULL), 0);
    cr_assert_eq(local.last_index, RAFT_INIT_LOG_INDEX);
    close_both();
    open_in("other");
    struct raft_local_state founder = {
        .hard_state = {.term = RAFT_INIT_LOG_TERM, .commit = RAFT_INIT_LOG_INDEX},
        .last_index = RAFT_INIT_LOG_INDEX,
        .last_term = RAFT_INIT_LOG_TERM,
    };
    save_local_state(&founder);
    start(&config);
}

Test(bootstrap, a_raft_log_that_has_promised_something_is_not_begun_again)
{
    struct store_config config = config_of("n1", LIST);
    struct raft_local_state voted = {.hard_state = {.term = 6, .vote = 2}};
    save_local_state(&voted);
    expect_refusal(&config, KE_CORRUPT, "no data");
    struct raft_local_state wrote = {
        .hard_state = {.term = RAFT_INIT_LOG_TERM, .commit = RAFT_INIT_LOG_INDEX},
        .last_index = RAFT_INIT_LOG_INDEX + 1,
        .last_term = RAFT_INIT_LOG_TERM,
    };
    save_local_state(&wrote);
    expect_refusal(&config, KE_CORRUPT, "no data");
}

/* --- what cannot be --- */

Test(bootstrap, nobody_founds_and_joins)
{
    struct store_config config = config_of("n1", LIST);
    config.join = "h:1";
    expect_refusal(&config, KE_INVALID, "not both");
}

Test(bootstrap, a_joiner_says_where_it_is_reached)
{
    struct store_config config = config_of("n4", NULL);
    config.join = "h:1";
    expect_refusal(&config, KE_INVALID, "--listen");
    config.listen = "0.0.0.0:20160";
    expect_refusal(&config, KE_INVALID, "--advertise");
    config.advertise = "[::]:20160";
    expect_refusal(&config, KE_INVALID, "--advertise");
    config.advertise = "nowhere";
    expect_refusal(&config, KE_INVALID, "HOST:PORT");
    config.advertise = "n4:20160";
    config.join = "h:1,,h:2";
    expect_refusal(&config, KE_INVALID, "HOST:PORT");
}

Test(bootstrap, a_removed_member_is_told_how_to_rejoin)
{
    struct store_config config = config_of("n1", LIST);
    start(&config);
    struct membership m = load();
    struct engine_batch *batch = engine_batch_new(false);
    region_save(kv, batch, PEER_TOMBSTONE, &m.region, NULL);
    engine_write(kv, batch, false);
    engine_batch_free(batch);
    expect_refusal(&config, KE_REMOVED, "this node (n1) was removed");
    expect_refusal(&config, KE_REMOVED, "start with --join");
}
