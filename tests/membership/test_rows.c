/* The rows of members and sessions: what is saved is what is loaded, and nothing of
 * those that have gone stays. */
#include "dirs.h"
#include "rows.h"

#include "raftstore/keys.h"
#include "raftstore/session.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define REGION_ID 1

static char dir[DIRS_PATH_MAX];
static struct engine *kv;

static void setup(void)
{
    dirs_make(dir);
    cr_assert_eq(engine_open(dir, ENGINE_KV, &kv, NULL), 0);
}

static void teardown(void)
{
    engine_close(kv);
    dirs_remove(dir);
}

TestSuite(member_rows, .init = setup, .fini = teardown);
TestSuite(forgotten_sessions, .init = setup, .fini = teardown);

static void save(struct engine_batch *batch, const struct membership *m)
{
    membership_save(kv, batch, m);
}

static void write(struct engine_batch *batch)
{
    engine_write(kv, batch, false);
    engine_batch_free(batch);
}

static void expect_loaded(const struct membership *m)
{
    struct membership loaded;
    struct err e = {0};
    cr_assert_eq(membership_load(kv, REGION_ID, &loaded, &e), 0, "%s", e.text);
    cr_assert(rows_membership_equal(&loaded, m));
}

/* A change that needs no words. */
static void step(struct membership *m, enum member_change_kind kind, const char *name,
                 const char *address)
{
    struct member_op op = rows_op(kind, name, address);
    struct raft_conf_change change;
    uint64_t store_id;
    cr_assert_eq(membership_plan(m, &op, 1, &change, &store_id, NULL), 0);
    cr_assert(membership_follow(m, &change));
    free((void *)change.context);
}

Test(member_rows, are_loaded_as_they_were_saved)
{
    struct membership m = rows_founding(3);
    step(&m, MEMBER_ADD, "n4", "h:4");
    m.stores[3].replaces = 2;
    m.region.peers[0].role = MEMBER_VOTER | MEMBER_VOTER_OUTGOING;
    m.region.auto_leave = true;
    struct engine_batch *batch = engine_batch_new(false);
    save(batch, &m);
    write(batch);
    expect_loaded(&m);
}

Test(member_rows, of_removed_members_go)
{
    struct membership m = rows_founding(3);
    struct engine_batch *batch = engine_batch_new(false);
    save(batch, &m);
    write(batch);
    step(&m, MEMBER_REMOVE, "n1", "");
    batch = engine_batch_new(true);
    save(batch, &m);
    write(batch);
    expect_loaded(&m);
}

Test(member_rows, of_members_that_came_and_went_in_one_batch_go)
{
    struct membership m = rows_founding(3);
    struct engine_batch *batch = engine_batch_new(false);
    save(batch, &m);
    write(batch);
    batch = engine_batch_new(true);
    step(&m, MEMBER_ADD, "n4", "h:4");
    save(batch, &m);
    step(&m, MEMBER_ADD, "n5", "h:5");
    save(batch, &m);
    step(&m, MEMBER_REMOVE, "n4", "");
    save(batch, &m);
    write(batch);
    expect_loaded(&m);
}

Test(member_rows, of_a_joiner_give_way_to_those_of_its_first_snapshot)
{
    struct engine_batch *batch = engine_batch_new(false);
    struct region empty = {.id = REGION_ID};
    struct membership joined = rows_founding(5);
    region_save(kv, batch, PEER_NORMAL, &empty, NULL);
    for (size_t i = 0; i < joined.store_count; i++)
        member_save(kv, batch, &joined.stores[i]);
    write(batch);
    struct membership loaded;
    cr_assert_eq(membership_load(kv, REGION_ID, &loaded, NULL), 0);
    cr_assert_eq(loaded.region.peer_count, 0);
    cr_assert_eq(loaded.store_count, 5);
    cr_assert_not(membership_has_removed(&loaded, 1));
    step(&joined, MEMBER_REMOVE, "n2", "");
    batch = engine_batch_new(false);
    save(batch, &joined);
    write(batch);
    expect_loaded(&joined);
}

Test(member_rows, that_do_not_fit_the_region_are_damage)
{
    struct membership m = rows_founding(3);
    struct engine_batch *batch = engine_batch_new(false);
    save(batch, &m);
    struct key key = key_member(2);
    engine_batch_delete(batch, kv, CF_META, key_bytes(&key));
    write(batch);
    struct membership loaded;
    struct err e = {0};
    cr_assert_eq(membership_load(kv, REGION_ID, &loaded, &e), KE_CORRUPT);
    cr_assert_neq(e.text[0], '\0');
}

Test(member_rows, say_what_snapshot_is_being_applied)
{
    struct membership m = rows_founding(3);
    uint8_t data[] = {1, 0, 2};
    struct applying applying = {.index = 40, .term = 6, .data = data, .size = sizeof(data)};
    struct engine_batch *batch = engine_batch_new(false);
    region_save(kv, batch, PEER_APPLYING, &m.region, &applying);
    write(batch);
    enum peer_state state;
    struct region region;
    struct applying loaded = {0};
    cr_assert_eq(region_load(kv, REGION_ID, &state, &region, &loaded, NULL), 0);
    cr_assert_eq(state, PEER_APPLYING);
    cr_assert_eq(loaded.index, 40);
    cr_assert_eq(loaded.term, 6);
    cr_assert_eq(loaded.size, sizeof(data));
    cr_assert_arr_eq(loaded.data, data, sizeof(data));
    free(loaded.data);
    batch = engine_batch_new(false);
    region_save(kv, batch, PEER_TOMBSTONE, &m.region, NULL);
    write(batch);
    cr_assert_eq(region_load(kv, REGION_ID, &state, &region, &loaded, NULL), 0);
    cr_assert_eq(state, PEER_TOMBSTONE);
}

/* --- sessions --- */

static struct session_table *load_sessions(void)
{
    struct session_table *table;
    cr_assert_eq(session_table_load(kv, REGION_ID, &table, NULL), 0);
    return table;
}

/* Through the rows, as after a restart. */
static struct session_table *save_and_load(struct session_table *table)
{
    struct engine_batch *batch = engine_batch_new(true);
    session_table_save(table, kv, batch);
    write(batch);
    session_table_free(table);
    return load_sessions();
}

static void record(struct session_table *table, uint64_t store_id, uint64_t seq, int code)
{
    cr_assert(session_begin_batch(table, store_id, 5, 1));
    session_record(table, store_id, seq, code);
}

Test(forgotten_sessions, give_no_result_and_leave_no_row)
{
    struct session_table *table = load_sessions();
    int code = 1;
    record(table, 1, 3, KE_EXISTS);
    record(table, 2, 4, 0);
    record(table, 3, 5, 0);
    table = save_and_load(table);
    session_forget(table, 1);
    session_forget(table, 9);
    cr_assert_not(session_result(table, 1, 5, 3, &code));
    table = save_and_load(table);
    cr_assert_not(session_result(table, 1, 5, 3, &code));
    cr_assert(session_result(table, 2, 5, 4, &code));
    cr_assert_eq(code, 0);
    cr_assert(session_result(table, 3, 5, 5, &code));
    session_table_free(table);
}

Test(forgotten_sessions, can_begin_anew_before_they_are_saved)
{
    struct session_table *table = load_sessions();
    int code = 1;
    record(table, 1, 3, 0);
    table = save_and_load(table);
    session_forget(table, 1);
    record(table, 1, 7, KE_NOT_FOUND);
    session_forget(table, 1);
    record(table, 1, 8, KE_EXISTS);
    table = save_and_load(table);
    cr_assert_not(session_result(table, 1, 5, 3, &code));
    cr_assert_not(session_result(table, 1, 5, 7, &code));
    cr_assert(session_result(table, 1, 5, 8, &code));
    cr_assert_eq(code, KE_EXISTS);
    session_table_free(table);
}

Test(forgotten_sessions, a_result_is_that_of_one_start_and_one_number)
{
    struct session_table *table = load_sessions();
    int code = 1;
    record(table, 1, 3, KE_STALE);
    cr_assert(session_result(table, 1, 5, 3, &code));
    cr_assert_eq(code, KE_STALE);
    cr_assert_not(session_result(table, 1, 6, 3, &code), "another start");
    cr_assert_not(session_result(table, 1, 5, 2, &code), "not applied");
    cr_assert_not(session_result(table, 1, 5, 4, &code), "not applied yet");
    cr_assert_not(session_result(table, 2, 5, 3, &code), "another store");
    cr_assert(session_begin_batch(table, 1, 5, 4));
    cr_assert_not(session_result(table, 1, 5, 3, &code), "below the floor");
    session_table_free(table);
}
