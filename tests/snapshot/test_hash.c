#include "raftstore/keys.h"
#include "raftstore/snapshot_hash.h"
#include "replica.h"

#include <criterion/criterion.h>
#include <string.h>

static void flush(struct replica *r)
{
    struct err e = {0};

    cr_assert_eq(engine_flush(r->kv, &e), 0, "%s", e.text);
}

/* Two replicas with the same random rows. */
static void make_pair(struct replica *a, struct replica *b)
{
    uint64_t seed = scratch_seed("snapshot_hash");
    uint64_t again = seed;

    replica_make(a, 1);
    replica_make(b, 2);
    replica_scribble(a, &seed, 500);
    replica_scribble(b, &again, 500);
    cr_assert_eq(replica_hash(a), replica_hash(b));
}

static void drop_pair(struct replica *a, struct replica *b)
{
    replica_close(a);
    replica_close(b);
    replica_remove(a);
    replica_remove(b);
}

Test(snapshot_hash, it_is_a_function_of_the_rows_alone)
{
    struct replica a;
    struct replica b;

    make_pair(&a, &b);
    /* Other files, another history, the same rows. */
    flush(&a);
    replica_put(&a, CF_ATTR, "k00017", "overwritten");
    replica_put(&a, CF_ATTR, "gone", "v");
    flush(&a);
    replica_delete(&a, CF_ATTR, "gone");
    replica_put(&a, CF_ATTR, "k00017", "v");
    replica_put(&b, CF_ATTR, "k00017", "v");
    cr_assert_eq(replica_hash(&a), replica_hash(&b));
    flush(&a);
    cr_assert_eq(replica_hash(&a), replica_hash(&b));
    drop_pair(&a, &b);
}

Test(snapshot_hash, one_byte_in_any_column_family_makes_a_difference)
{
    struct replica a;
    struct replica b;

    make_pair(&a, &b);
    for (int cf = 0; cf < CF_META; cf++) {
        replica_put(&a, (enum engine_cf)cf, "key", "value");
        replica_put(&b, (enum engine_cf)cf, "key", "valuE");
        cr_assert_neq(replica_hash(&a), replica_hash(&b));
        replica_put(&b, (enum engine_cf)cf, "key", "value");
        cr_assert_eq(replica_hash(&a), replica_hash(&b));
        replica_delete(&b, (enum engine_cf)cf, "key");
        cr_assert_neq(replica_hash(&a), replica_hash(&b));
        replica_put(&b, (enum engine_cf)cf, "key", "value");
    }
    replica_put_session(&a, 4, "x");
    cr_assert_neq(replica_hash(&a), replica_hash(&b));
    replica_put_session(&b, 4, "x");
    replica_put_usage(&a, 1, 2);
    cr_assert_neq(replica_hash(&a), replica_hash(&b));
    replica_put_usage(&b, 1, 2);
    cr_assert_eq(replica_hash(&a), replica_hash(&b));
    drop_pair(&a, &b);
}

Test(snapshot_hash, where_a_row_ends_makes_a_difference)
{
    struct replica a;
    struct replica b;

    make_pair(&a, &b);
    replica_put(&a, CF_LOCK, "zab", "c");
    replica_put(&b, CF_LOCK, "za", "bc");
    cr_assert_neq(replica_hash(&a), replica_hash(&b));
    replica_delete(&a, CF_LOCK, "zab");
    replica_delete(&b, CF_LOCK, "za");
    replica_put(&a, CF_LOCK, "zzzz", "v");
    replica_put(&b, CF_WRITE, "zzzz", "v");
    cr_assert_neq(replica_hash(&a), replica_hash(&b), "the column family counts");
    drop_pair(&a, &b);
}

Test(snapshot_hash, what_is_a_node_s_own_makes_none)
{
    struct engine_batch *batch = engine_batch_new(false);
    struct apply_state state = {.applied_index = 99};
    struct replica a;
    struct replica b;

    make_pair(&a, &b);
    apply_state_save(a.kv, batch, REPLICA_REGION, &state);
    engine_write(a.kv, batch, false);
    engine_batch_free(batch);
    cr_assert_eq(replica_hash(&a), replica_hash(&b));
    drop_pair(&a, &b);
}

Test(snapshot_hash, it_is_of_the_image_s_moment)
{
    struct snapshot_rows rows;
    struct replica r;
    uint64_t before;
    uint64_t hash = 0;

    replica_make(&r, 1);
    replica_put(&r, CF_LOCK, "k", "old");
    before = replica_hash(&r);
    rows = (struct snapshot_rows){
        .kv = r.kv, .snapshot = engine_snapshot_new(r.kv), .region_id = REPLICA_REGION};
    replica_put(&r, CF_LOCK, "k", "new");
    cr_assert_eq(snapshot_hash(&rows, &hash, NULL), 0);
    cr_assert_eq(hash, before);
    engine_snapshot_free(r.kv, rows.snapshot);
    replica_close(&r);
    replica_remove(&r);
}
