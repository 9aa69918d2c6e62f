/* A cluster that has lost its majority goes on from one data directory. */
#include "cluster.h"
#include "dirs.h"
#include "rows.h"

#include "raftstore/bootstrap.h"
#include "raftstore/keys.h"
#include "raftstore/recover.h"
#include "raftstore/wire.h"

#include "keelfspb.pb-c.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAIT_MS   20000
#define PATH_SIZE 128
#define POLLS_MAX 10000
#define TERM      7
#define FIRST     (RAFT_INIT_LOG_INDEX + 1)

static struct cluster cluster;
static char dir[PATH_SIZE]; /* the survivor's: n1's */
static struct engine *raft;
static struct engine *kv;

static void path_of(size_t i, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%s/%s", cluster.dir, cluster.slots[i].name);
}

static void open_both(const char *data_dir)
{
    char path[PATH_SIZE + 8];
    snprintf(path, sizeof(path), "%s/raft", data_dir);
    cr_assert_eq(engine_open(path, ENGINE_RAFT, &raft, NULL), 0);
    snprintf(path, sizeof(path), "%s/kv", data_dir);
    cr_assert_eq(engine_open(path, ENGINE_KV, &kv, NULL), 0);
}

static void close_both(void)
{
    engine_close(raft);
    engine_close(kv);
}

static void begin(void)
{
    cluster_init(&cluster, 3);
    path_of(0, dir);
}

static void end(void)
{
    cluster_release(&cluster);
}

/* It starts from what it has, and without the list, which is the old cluster's. */
static void start_survivor(size_t i)
{
    snprintf(cluster.slots[i].join, sizeof(cluster.slots[i].join), "127.0.0.1:1");
    cluster_start(&cluster, i);
}

static void expect_value(size_t i, const char *key, const char *expected)
{
    char value[CLUSTER_VALUE_MAX];
    cr_assert_eq(cluster_get(&cluster, i, key, value, WAIT_MS), 0, "%s", key);
    cr_assert_str_eq(value, expected);
}

static struct recover_report run(void)
{
    struct recover_report report;
    struct err e = {0};
    cr_assert_eq(recover_run(dir, &report, &e), 0, "%s", e.text);
    cr_assert_neq(report.new_cluster_id, 0);
    cr_assert_neq(report.new_cluster_id, report.old_cluster_id);
    return report;
}

static void expect_refusal(int code, const char *words)
{
    struct recover_report report;
    struct err e = {0};
    cr_assert_eq(recover_inspect(dir, &report, &e), code, "%s", e.text);
    cr_assert_not_null(strstr(e.text, words), "%s", e.text);
    cr_assert_eq(recover_run(dir, &report, &e), code, "%s", e.text);
}

/* Waits until the others have been removed, which comes last. */
static void expect_alone(size_t i)
{
    struct store_status status = {0};
    for (int poll = 0; poll < POLLS_MAX && status.member_count != 1; poll++) {
        cluster_pause();
        cr_assert(cluster_status(&cluster, i, &status));
    }
    cr_assert_eq(status.member_count, 1);
    cr_assert_eq(status.members[0].member.id, i + 1);
    cr_assert_eq(status.members[0].role, MEMBER_VOTER);
}

/* --- a directory that a store has left --- */

Test(recover, keeps_what_was_acknowledged_and_goes_on_alone, .timeout = 120)
{
    begin();
    cluster_start_all(&cluster);
    cr_assert_eq(cluster_put(&cluster, 0, "a", "1", WAIT_MS), 0);
    cr_assert_eq(cluster_put(&cluster, 1, "b", "2", WAIT_MS), 0);
    /* So that the survivor has it, and has applied it or not. */
    expect_value(0, "b", "2");
    cluster_stop_all(&cluster);
    struct recover_report seen;
    struct err e = {0};
    cr_assert_eq(recover_inspect(dir, &seen, &e), 0, "%s", e.text);
    cr_assert_str_eq(seen.name, "n1");
    cr_assert_eq(seen.member_count, 3);
    cr_assert_leq(seen.applied_index, seen.commit_index);
    cr_assert_leq(seen.commit_index, seen.last_index);
    struct recover_report report = run();
    cr_assert_eq(report.old_cluster_id, seen.old_cluster_id);
    cr_assert_eq(report.last_index, seen.last_index);
    start_survivor(0);
    expect_value(0, "a", "1");
    expect_value(0, "b", "2");
    cr_assert_eq(cluster_put(&cluster, 0, "c", "3", WAIT_MS), 0);
    expect_alone(0);
    struct store_status status;
    cr_assert(cluster_status(&cluster, 0, &status));
    cr_assert_eq(status.cluster_id, report.new_cluster_id);
    end();
}

Test(recover, fences_off_the_old_members, .timeout = 120)
{
    begin();
    cluster_start_all(&cluster);
    cr_assert_eq(cluster_put(&cluster, 0, "a", "1", WAIT_MS), 0);
    cluster_stop_all(&cluster);
    run();
    start_survivor(0);
    cluster_start(&cluster, 1);
    cluster_start(&cluster, 2);
    /* Two of three: the old cluster has a majority again, and goes its own way. */
    cr_assert_eq(cluster_put(&cluster, 1, "a", "old", WAIT_MS), 0);
    cr_assert_eq(cluster_put(&cluster, 0, "a", "new", WAIT_MS), 0);
    expect_value(1, "a", "old");
    expect_value(2, "a", "old");
    expect_value(0, "a", "new");
    end();
}

Test(recover, lets_new_members_in_afterwards, .timeout = 120)
{
    begin();
    cluster_start_all(&cluster);
    cr_assert_eq(cluster_put(&cluster, 0, "a", "1", WAIT_MS), 0);
    cluster_stop_all(&cluster);
    run();
    start_survivor(0);
    expect_alone(0);
    size_t joiner = cluster_add_slot(&cluster, false);
    cr_assert_eq(cluster_join(&cluster, joiner), 0);
    cr_assert(cluster_wait_role(&cluster, joiner, MEMBER_VOTER, WAIT_MS));
    expect_value(joiner, "a", "1");
    struct store_status status;
    cr_assert(cluster_status(&cluster, joiner, &status));
    cr_assert_eq(status.store_id, 4, "ids of the old members are not given again");
    end();
}

/* --- a log that is not applied --- */

static uint64_t written; /* index of the last entry */

static void write_entry(enum raft_entry_type type, const void *data, size_t size)
{
    struct raft_entry *entry = raft_entry_new(type, data, size);
    entry->term = TERM;
    entry->index = ++written;
    size_t packed_size = wire_entry_size(entry);
    uint8_t *packed = malloc(packed_size);
    wire_pack_entry(entry, packed);
    struct key key = key_raft_log(FIRST_REGION_ID, entry->index);
    struct engine_batch *batch = engine_batch_new(false);
    engine_batch_put(batch, raft, CF_DEFAULT, key_bytes(&key), (struct bytes){packed, packed_size});
    struct raft_local_state local = {
        .hard_state = {.term = TERM, .commit = RAFT_INIT_LOG_INDEX},
        .last_index = written,
        .last_term = TERM,
    };
    raft_local_state_save(raft, batch, FIRST_REGION_ID, &local);
    engine_write(raft, batch, true);
    engine_batch_free(batch);
    free(packed);
    raft_entry_unref(entry);
}

/* A put that came through store `store_id`. */
static void write_put(uint64_t store_id, uint64_t seq, const char *key, const char *value)
{
    struct command *cmd = command_new();
    command_put(cmd, "default", key, strlen(key), value, strlen(value));
    Keelfspb__Command command = KEELFSPB__COMMAND__INIT;
    Keelfspb__Command *commands[] = {&command};
    command.seq = seq;
    size_t size;
    command.request.data = (uint8_t *)command_bytes(cmd, &size);
    command.request.len = size;
    Keelfspb__CommandBatch batch = KEELFSPB__COMMAND_BATCH__INIT;
    batch.store_id = store_id;
    batch.incarnation = 1;
    batch.floor = 1;
    batch.n_commands = 1;
    batch.commands = commands;
    uint8_t *packed = malloc(keelfspb__command_batch__get_packed_size(&batch));
    size = keelfspb__command_batch__pack(&batch, packed);
    write_entry(RAFT_ENTRY_NORMAL, packed, size);
    free(packed);
    command_free(cmd);
}

/* Also carries it out in `m`, so that the next one follows from it. */
static void write_change(struct membership *m, struct member_op op)
{
    struct raft_conf_change change;
    struct raft_entry *entry;
    uint64_t store_id;
    cr_assert_eq(membership_plan(m, &op, 1, &change, &store_id, NULL), 0);
    cr_assert(membership_follow(m, &change));
    cr_assert_eq(raft_conf_change_encode(&change, &entry), 0);
    write_entry(entry->type, entry->data, entry->size);
    raft_entry_unref(entry);
    free((void *)change.context);
}

/* Commands through every member, one that was just added among them, and changes that
 * would remove the survivor's only companion and itself; nothing is applied. */
static void write_tail(void)
{
    struct store_ident ident;
    struct membership m;
    struct store_config config = {
        .data_dir = dir, .name = "n1", .initial_members = cluster.members};
    dirs_make_sub(dir);
    open_both(dir);
    cr_assert_eq(bootstrap_store(&config, raft, kv, &ident, NULL), 0);
    cr_assert_eq(membership_load(kv, FIRST_REGION_ID, &m, NULL), 0);
    written = RAFT_INIT_LOG_INDEX;
    write_entry(RAFT_ENTRY_NORMAL, NULL, 0);
    write_put(1, 1, "a", "1");
    write_put(2, 1, "b", "2");
    struct member_op joiner = rows_op(MEMBER_JOIN, "n4", "127.0.0.1:1");
    joiner.data_id = 900;
    write_change(&m, joiner);
    write_put(4, 1, "d", "4");
    write_put(2, 1, "b", "again"); /* a retry under its number */
    write_change(&m, rows_op(MEMBER_PROMOTE, "n4", ""));
    write_change(&m, rows_op(MEMBER_REMOVE, "n3", ""));
    write_put(3, 1, "c", "3");
    write_change(&m, rows_op(MEMBER_REMOVE, "n1", ""));
    write_put(2, 2, "e", "5");
    close_both();
}

static void expect_tail(void)
{
    start_survivor(0);
    expect_value(0, "a", "1");
    expect_value(0, "b", "2");
    expect_value(0, "c", "3");
    expect_value(0, "d", "4");
    expect_value(0, "e", "5");
    expect_alone(0);
    struct member_op op = rows_op(MEMBER_ADD_LEARNER, "n9", "127.0.0.1:9");
    cr_assert_eq(cluster_change_members(&cluster, &op, WAIT_MS, NULL), 0);
    struct store_member rows[STORE_MEMBERS_MAX];
    size_t count;
    store_members(cluster.stores[0], rows, &count);
    cr_assert_eq(count, 2);
    cr_assert_str_eq(rows[1].name, "n9");
    cr_assert_eq(rows[1].id, 5, "n4's id is not given again");
}

Test(recover, applies_the_whole_log_but_no_change_of_members, .timeout = 120)
{
    begin();
    write_tail();
    struct recover_report report = run();
    cr_assert_eq(report.applied_index, RAFT_INIT_LOG_INDEX);
    cr_assert_eq(report.commit_index, RAFT_INIT_LOG_INDEX);
    cr_assert_eq(report.last_index, written);
    cr_assert_eq(report.last_term, TERM);
    struct raft_local_state local;
    open_both(dir);
    cr_assert_eq(raft_local_state_load(raft, FIRST_REGION_ID, &local, NULL), 0);
    cr_assert_eq(local.hard_state.commit, local.last_index);
    cr_assert_geq(local.last_index, written);
    close_both();
    expect_tail();
    end();
}

/* Its end was in the log of the others, if anywhere. */
Test(recover, ends_a_joint_configuration, .timeout = 120)
{
    begin();
    write_tail();
    open_both(dir);
    struct membership m;
    cr_assert_eq(membership_load(kv, FIRST_REGION_ID, &m, NULL), 0);
    m.region.peers[0].role = MEMBER_VOTER | MEMBER_VOTER_OUTGOING;
    m.region.peers[1].role = MEMBER_VOTER_OUTGOING;
    m.region.auto_leave = true;
    struct engine_batch *batch = engine_batch_new(false);
    membership_save(kv, batch, &m);
    engine_write(kv, batch, true);
    engine_batch_free(batch);
    close_both();
    run();
    start_survivor(0);
    expect_value(0, "a", "1");
    expect_value(0, "e", "5");
    expect_alone(0);
    cr_assert_eq(cluster_put(&cluster, 0, "a", "2", WAIT_MS), 0);
    end();
}

/* --- cut short --- */

/* As after its first step, and as before its last: the new members and the mark, with
 * the old identity; the raft instance old or new. */
static void expect_to_be_finished(bool log_written)
{
    char before[PATH_SIZE + 8], old_raft[PATH_SIZE + 16], new_raft[PATH_SIZE + 16];
    begin();
    write_tail();
    snprintf(before, sizeof(before), "%s.before", dir);
    dirs_copy(dir, before);
    open_both(before);
    struct store_ident old_ident, new_ident;
    cr_assert_eq(store_ident_load(kv, &old_ident, NULL), 0);
    close_both();
    run();
    if (!log_written) {
        snprintf(old_raft, sizeof(old_raft), "%s/raft", before);
        snprintf(new_raft, sizeof(new_raft), "%s/raft", dir);
        dirs_copy(old_raft, new_raft);
    }
    open_both(dir);
    cr_assert_eq(store_ident_load(kv, &new_ident, NULL), 0);
    struct engine_batch *batch = engine_batch_new(false);
    store_ident_save(kv, batch, &old_ident);
    store_ident_save_prepared(kv, batch, &new_ident);
    engine_write(kv, batch, true);
    engine_batch_free(batch);
    close_both();

    struct store_config config = {.data_dir = dir, .name = "n1"};
    struct store *store = NULL;
    struct err e = {0};
    cr_assert_eq(store_open(&config, &store, &e), KE_INVALID);
    cr_assert_not_null(strstr(e.text, "keelctl recover again"), "%s", e.text);
    struct recover_report report = run();
    cr_assert_eq(report.old_cluster_id, old_ident.cluster_id);
    expect_tail();
    end();
}

Test(recover, that_stopped_before_the_log_was_written_is_done_again, .timeout = 120)
{
    expect_to_be_finished(false);
}

Test(recover, that_stopped_before_the_identity_was_written_is_done_again, .timeout = 120)
{
    expect_to_be_finished(true);
}

/* --- what cannot be recovered --- */

Test(recover, refuses_what_is_no_data_directory_and_makes_nothing, .timeout = 60)
{
    begin();
    expect_refusal(KE_NOT_FOUND, "not a data directory");
    dirs_make_sub(dir);
    expect_refusal(KE_NOT_FOUND, "not a data directory");
    cr_assert_eq(rmdir(dir), 0, "it must be empty still");
    end();
}

Test(recover, refuses_a_directory_in_use, .timeout = 60)
{
    begin();
    cluster_start(&cluster, 0);
    expect_refusal(KE_IO, "in use");
    end();
}

static void set_state(enum peer_state state, const struct applying *applying, size_t peer_count)
{
    struct region region;
    enum peer_state old;
    struct applying loaded = {0};
    open_both(dir);
    cr_assert_eq(region_load(kv, FIRST_REGION_ID, &old, &region, &loaded, NULL), 0);
    free(loaded.data);
    region.peer_count = peer_count;
    struct engine_batch *batch = engine_batch_new(false);
    region_save(kv, batch, state, &region, applying);
    engine_write(kv, batch, true);
    engine_batch_free(batch);
    close_both();
}

Test(recover, refuses_one_that_has_no_whole_data, .timeout = 60)
{
    begin();
    write_tail();
    struct applying applying = {.index = 9, .term = 5};
    set_state(PEER_APPLYING, &applying, 3);
    expect_refusal(KE_BUSY, "snapshot");
    set_state(PEER_TOMBSTONE, NULL, 3);
    expect_refusal(KE_REMOVED, "was removed");
    set_state(PEER_NORMAL, NULL, 0);
    expect_refusal(KE_NOT_FOUND, "no data yet");
    end();
}

Test(recover, refuses_a_log_with_a_hole, .timeout = 60)
{
    begin();
    write_tail();
    open_both(dir);
    struct engine_batch *batch = engine_batch_new(false);
    struct key key = key_raft_log(FIRST_REGION_ID, FIRST + 2);
    engine_batch_delete(batch, raft, CF_DEFAULT, key_bytes(&key));
    engine_write(raft, batch, true);
    engine_batch_free(batch);
    close_both();
    expect_refusal(KE_CORRUPT, "breaks at");
    end();
}
