#include "raftstore/keys.h"
#include "raftstore/session.h"
#include "scratch.h"

#include "keelfspb.pb-c.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define REGION 1

struct fixture {
    char dir[SCRATCH_PATH_MAX];
    struct engine *kv;
    struct session_table *table;
};

static void load(struct fixture *f)
{
    struct err e = {0};

    cr_assert_eq(session_table_load(f->kv, REGION, &f->table, &e), 0, "%s", e.text);
}

static void start(struct fixture *f)
{
    scratch_make(f->dir);
    cr_assert_eq(engine_open(f->dir, ENGINE_KV, &f->kv, NULL), 0);
    load(f);
}

static void finish(struct fixture *f)
{
    session_table_free(f->table);
    engine_close(f->kv);
    scratch_remove(f->dir);
}

static void save(struct fixture *f)
{
    struct engine_batch *batch = engine_batch_new(true);

    session_table_save(f->table, f->kv, batch);
    engine_write(f->kv, batch, false);
    engine_batch_free(batch);
}

/* Through the rows, as after a restart. */
static void save_and_load(struct fixture *f)
{
    save(f);
    session_table_free(f->table);
    load(f);
}

/* The stored row, malloc'ed by protobuf-c. */
static Keelfspb__Session *row(struct fixture *f, uint64_t store_id)
{
    struct key key = key_session(REGION, store_id);
    Keelfspb__Session *session;
    uint8_t *value;
    size_t size;

    cr_assert_eq(engine_get(f->kv, NULL, CF_META, key_bytes(&key), &value, &size), 0);
    session = keelfspb__session__unpack(NULL, size, value);
    cr_assert_not_null(session);
    free(value);
    return session;
}

Test(session, a_command_is_admitted_once)
{
    struct fixture f;

    start(&f);
    cr_assert(session_begin_batch(f.table, 1, 1, 10));
    cr_assert(session_admits(f.table, 1, 10));
    session_record(f.table, 1, 10, KE_OK);
    cr_assert_not(session_admits(f.table, 1, 10));
    cr_assert(session_admits(f.table, 1, 11));
    save_and_load(&f);
    cr_assert_not(session_admits(f.table, 1, 10));
    cr_assert(session_admits(f.table, 1, 11));
    finish(&f);
}

Test(session, a_failed_command_counts_as_applied)
{
    struct fixture f;

    start(&f);
    cr_assert(session_begin_batch(f.table, 1, 1, 1));
    session_record(f.table, 1, 1, KE_EXISTS);
    session_record(f.table, 1, 2, KE_CODE_MIN);
    cr_assert_not(session_admits(f.table, 1, 1));
    cr_assert_not(session_admits(f.table, 1, 2));
    finish(&f);
}

Test(session, commands_may_arrive_out_of_order)
{
    struct fixture f;

    start(&f);
    cr_assert(session_begin_batch(f.table, 1, 1, 1));
    session_record(f.table, 1, 700, KE_OK);
    cr_assert(session_admits(f.table, 1, 1));
    cr_assert(session_admits(f.table, 1, 699));
    session_record(f.table, 1, 3, KE_OK);
    save_and_load(&f);
    cr_assert(session_admits(f.table, 1, 2));
    cr_assert_not(session_admits(f.table, 1, 3));
    cr_assert_not(session_admits(f.table, 1, 700));
    cr_assert(session_admits(f.table, 1, 701));
    finish(&f);
}

Test(session, nothing_below_the_floor_or_past_the_window_is_admitted)
{
    struct fixture f;

    start(&f);
    cr_assert(session_begin_batch(f.table, 1, 1, 100));
    cr_assert_not(session_admits(f.table, 1, 99));
    cr_assert_not(session_admits(f.table, 1, 0));
    cr_assert(session_admits(f.table, 1, 100 + SESSION_WINDOW_MAX - 1));
    cr_assert_not(session_admits(f.table, 1, 100 + SESSION_WINDOW_MAX));
    cr_assert_not(session_admits(f.table, 1, UINT64_MAX));
    finish(&f);
}

Test(session, the_floor_moves_up_and_never_down)
{
    struct fixture f;

    start(&f);
    cr_assert(session_begin_batch(f.table, 1, 1, 1));
    session_record(f.table, 1, 5, KE_OK);
    session_record(f.table, 1, 6, KE_OK);
    cr_assert(session_begin_batch(f.table, 1, 1, 6));
    cr_assert_not(session_admits(f.table, 1, 5));
    cr_assert_not(session_admits(f.table, 1, 6));
    cr_assert(session_admits(f.table, 1, 7));
    /* A batch that was delayed. */
    cr_assert(session_begin_batch(f.table, 1, 1, 1));
    cr_assert_not(session_admits(f.table, 1, 1));
    cr_assert_not(session_admits(f.table, 1, 5));
    /* Past all results, and nothing else changes. */
    save(&f);
    cr_assert(session_begin_batch(f.table, 1, 1, 1000));
    cr_assert(session_admits(f.table, 1, 1000));
    save_and_load(&f);
    cr_assert_not(session_admits(f.table, 1, 999));
    cr_assert(session_admits(f.table, 1, 1000));
    finish(&f);
}

Test(session, a_newer_start_replaces_the_older_one)
{
    struct fixture f;

    start(&f);
    cr_assert(session_begin_batch(f.table, 1, 1, 1));
    session_record(f.table, 1, 1, KE_OK);
    cr_assert(session_begin_batch(f.table, 1, 2, 1));
    cr_assert(session_admits(f.table, 1, 1));
    save_and_load(&f);
    cr_assert_not(session_begin_batch(f.table, 1, 1, 50));
    cr_assert(session_admits(f.table, 1, 1));
    finish(&f);
}

Test(session, stores_do_not_share_their_numbers)
{
    struct fixture f;

    start(&f);
    for (uint64_t store = 1; store <= 40; store++) {
        cr_assert(session_begin_batch(f.table, store, store, 1));
        session_record(f.table, store, store, KE_OK);
    }
    save_and_load(&f);
    for (uint64_t store = 1; store <= 40; store++) {
        for (uint64_t seq = 1; seq <= 40; seq++) {
            cr_assert_eq(session_admits(f.table, store, seq), seq != store);
        }
        cr_assert_not(session_begin_batch(f.table, store, store - 1, 1));
    }
    finish(&f);
}

Test(session, an_unknown_store_is_admitted_only_after_its_first_batch)
{
    struct fixture f;

    start(&f);
    cr_assert_not(session_admits(f.table, 9, 1));
    cr_assert(session_begin_batch(f.table, 9, 1, 1));
    cr_assert(session_admits(f.table, 9, 1));
    finish(&f);
}

Test(session, the_number_of_stores_is_bounded)
{
    struct fixture f;

    start(&f);
    for (uint64_t store = 1; store <= SESSION_COUNT_MAX; store++) {
        cr_assert(session_begin_batch(f.table, store, 1, 1));
    }
    cr_assert_not(session_begin_batch(f.table, SESSION_COUNT_MAX + 1, 1, 1));
    cr_assert(session_begin_batch(f.table, 1, 1, 1));
    save_and_load(&f);
    cr_assert_not(session_begin_batch(f.table, SESSION_COUNT_MAX + 1, 1, 1));
    finish(&f);
}

Test(session, the_row_holds_one_byte_a_command_from_the_floor_on)
{
    struct fixture f;
    Keelfspb__Session *session;

    start(&f);
    cr_assert(session_begin_batch(f.table, 4, 9, 1));
    session_record(f.table, 4, 7, KE_OK);
    session_record(f.table, 4, 9, KE_EXISTS);
    cr_assert(session_begin_batch(f.table, 4, 9, 7));
    save(&f);
    session = row(&f, 4);
    cr_assert_eq(session->store_id, 4);
    cr_assert_eq(session->incarnation, 9);
    cr_assert_eq(session->floor, 7);
    cr_assert_eq(session->results.len, 3);
    cr_assert_eq(memcmp(session->results.data, "\x01\x00\x03", 3), 0);
    keelfspb__session__free_unpacked(session, NULL);
    finish(&f);
}

Test(session, only_what_changed_is_saved)
{
    struct fixture f;
    struct engine_batch *batch;
    size_t empty;
    size_t one;

    start(&f);
    cr_assert(session_begin_batch(f.table, 1, 1, 1));
    cr_assert(session_begin_batch(f.table, 2, 1, 1));
    save(&f);
    batch = engine_batch_new(true);
    empty = engine_batch_bytes(batch);
    session_table_save(f.table, f.kv, batch);
    cr_assert_eq(engine_batch_bytes(batch), empty);
    session_record(f.table, 2, 1, KE_OK);
    session_table_save(f.table, f.kv, batch);
    one = engine_batch_bytes(batch);
    cr_assert_gt(one, empty);
    session_table_save(f.table, f.kv, batch);
    cr_assert_eq(engine_batch_bytes(batch), one);
    engine_batch_free(batch);
    finish(&f);
}

/* One node saves after each command, the other once: batches differ by node. */
Test(session, rows_are_the_same_however_often_they_are_saved)
{
    struct fixture often;
    struct fixture once;
    Keelfspb__Session *a;
    Keelfspb__Session *b;

    start(&often);
    start(&once);
    for (uint64_t seq = 1; seq <= 300; seq++) {
        uint64_t floor = seq > 20 ? seq - 20 : 1;
        int code = seq % 3 == 0 ? KE_NOT_FOUND : KE_OK;

        cr_assert(session_begin_batch(often.table, 1, 1, floor));
        cr_assert(session_begin_batch(once.table, 1, 1, floor));
        session_record(often.table, 1, seq, code);
        session_record(once.table, 1, seq, code);
        save_and_load(&often);
    }
    save(&once);
    a = row(&often, 1);
    b = row(&once, 1);
    cr_assert_eq(a->floor, b->floor);
    cr_assert_eq(a->results.len, b->results.len);
    cr_assert_eq(memcmp(a->results.data, b->results.data, a->results.len), 0);
    keelfspb__session__free_unpacked(a, NULL);
    keelfspb__session__free_unpacked(b, NULL);
    finish(&often);
    finish(&once);
}

static void assert_damaged(struct fixture *f, const uint8_t *value, size_t size)
{
    struct key key = key_session(REGION, 5);
    struct engine_batch *batch = engine_batch_new(false);
    struct session_table *table = NULL;
    struct err e = {0};

    engine_batch_put(batch, f->kv, CF_META, key_bytes(&key),
                     (struct bytes){.data = value, .size = size});
    engine_write(f->kv, batch, false);
    engine_batch_free(batch);
    cr_assert_eq(session_table_load(f->kv, REGION, &table, &e), KE_CORRUPT);
    cr_assert_null(table);
    cr_assert_not_null(strstr(e.text, "sessions"));
}

Test(session, a_damaged_row_is_refused)
{
    static uint8_t large[SESSION_WINDOW_MAX + 64];
    struct fixture f;
    Keelfspb__Session session = KEELFSPB__SESSION__INIT;

    start(&f);
    assert_damaged(&f, (const uint8_t *)"\xff\xff\xff", 3);
    session.results.len = SESSION_WINDOW_MAX + 1;
    session.results.data = large;
    uint8_t *packed = malloc(keelfspb__session__get_packed_size(&session));

    cr_assert_not_null(packed);
    assert_damaged(&f, packed, keelfspb__session__pack(&session, packed));
    free(packed);
    finish(&f);
}

Test(session, other_rows_of_the_column_family_are_no_sessions)
{
    struct fixture f;
    struct key keys[] = {key_apply_state(REGION), key_member(1), key_usage(),
                         key_session(REGION + 1, 1), key_region_state(REGION)};
    struct engine_batch *batch = engine_batch_new(false);

    start(&f);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        engine_batch_put(batch, f.kv, CF_META, key_bytes(&keys[i]),
                         (struct bytes){.data = (const uint8_t *)"\xff", .size = 1});
    }
    engine_write(f.kv, batch, false);
    engine_batch_free(batch);
    session_table_free(f.table);
    load(&f);
    finish(&f);
}
