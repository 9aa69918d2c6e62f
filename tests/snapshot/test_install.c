#include "replica.h"
#include "steps.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 500
/* A receiver with old data and the whole files of a snapshot. */
struct fixture {
    struct replica to;
    struct snapshot_meta meta;
};

static void start(struct fixture *f)
{
    uint64_t seed = scratch_seed("snapshot_install");
    struct replica from;

    replica_make(&from, 1);
    replica_make(&f->to, 2);
    replica_scribble(&from, &seed, ROWS);
    replica_put_session(&from, 2, "results");
    replica_put_usage(&from, 11, 1234);
    replica_scribble(&f->to, &seed, ROWS);
    replica_put(&f->to, CF_LOCK, "only-old", "v");
    replica_put_usage(&f->to, 3, 33);
    replica_build(&from, 30);
    replica_receive(&f->to, &from, &f->meta);
    replica_drop_built(&from);
    replica_close(&from);
    replica_remove(&from);
}

/* --- readers --- */

struct reader {
    struct tree *tree;
    struct tree_view *before; /* made before the installation */
    struct tree_view *during; /* the first one made inside it */
    unsigned looks;
};

static bool view_has(struct tree_view *view, const char *key)
{
    uint8_t *value = NULL;
    size_t size;
    int code = tree_get(view, "lock", key, strlen(key), 1 << 20, &value, &size);

    free(value);
    cr_assert(code == 0 || code == KE_NOT_FOUND);
    return code == 0;
}

static void look(void *ctx, enum step step, enum step_side side)
{
    struct reader *reader = ctx;
    struct tree_usage usage;
    struct tree_view *view;

    (void)side;
    if (step != STEP_WRITE && step != STEP_INGEST) {
        return;
    }
    view = tree_view_new(reader->tree);
    /* The last thing written is the state Normal, behind which the hold ends. */
    cr_assert(view_has(view, "only-old"));
    cr_assert(view_has(reader->before, "only-old"));
    cr_assert_eq(tree_usage(reader->tree, &usage), 0);
    cr_assert_eq(usage.files, 3);
    reader->looks++;
    if (reader->during == NULL && step == STEP_INGEST) {
        reader->during = view;
    } else {
        tree_view_unref(view);
    }
}

static int count_row(void *ctx, const void *key, size_t key_size, const void *value,
                     size_t value_size)
{
    unsigned *count = ctx;

    (void)key;
    (void)key_size;
    (void)value;
    (void)value_size;
    (*count)++;
    return 1;
}

static unsigned view_rows(struct tree_view *view)
{
    unsigned count = 0;

    cr_assert_eq(tree_scan(view, "write", "", 0, 100000, 100u << 20, count_row, &count), 0);
    return count;
}

Test(snapshot_install, readers_see_the_old_data_whole_until_the_new_is_there)
{
    struct raft_local_state local;
    struct reader reader = {0};
    struct tree_usage usage;
    struct tree_view *view;
    struct fixture f;
    unsigned rows;

    start(&f);
    local = replica_local(&f.meta);
    reader.tree = f.to.tree;
    reader.before = tree_view_new(f.to.tree);
    rows = view_rows(reader.before);
    steps_set_hook(look, &reader);
    region_worker_install(f.to.worker, &f.meta, &local);
    steps_set_hook(NULL, NULL);
    cr_assert_geq(reader.looks, 8);

    view = tree_view_new(f.to.tree);
    cr_assert_not(view_has(view, "only-old"));
    tree_view_unref(view);
    cr_assert_eq(tree_usage(f.to.tree, &usage), 0);
    cr_assert_eq(usage.files, 11);

    /* Views of before and of in between go on, whatever the engine does with the
     * rows that they alone still need. */
    replica_put(&f.to, CF_LOCK, "later", "v");
    cr_assert_eq(engine_flush(f.to.kv, NULL), 0);
    cr_assert(view_has(reader.during, "only-old"));
    cr_assert_not(view_has(reader.during, "later"));
    cr_assert_eq(view_rows(reader.during), rows);
    cr_assert_eq(view_rows(reader.before), rows);
    tree_view_unref(reader.during);
    tree_view_unref(reader.before);
    replica_close(&f.to);
    replica_remove(&f.to);
}

Test(snapshot_install, a_hold_that_is_over_leaves_nothing_behind)
{
    struct tree_view *a;
    struct tree_view *b;
    struct replica r;

    replica_make(&r, 1);
    replica_put(&r, CF_LOCK, "old", "v");
    tree_hold(r.tree);
    replica_delete(&r, CF_LOCK, "old");
    a = tree_view_new(r.tree);
    b = tree_view_new(r.tree);
    cr_assert(view_has(a, "old"));
    tree_view_unref(a);
    cr_assert_gt(engine_property(r.kv, CF_LOCK, "rocksdb.num-snapshots"), 0);
    tree_release_hold(r.tree);
    cr_assert(view_has(b, "old"), "a view outlives the hold");
    tree_view_unref(b);
    cr_assert_eq(engine_property(r.kv, CF_LOCK, "rocksdb.num-snapshots"), 0);
    a = tree_view_new(r.tree);
    cr_assert_not(view_has(a, "old"));
    tree_view_unref(a);
    replica_close(&r);
    replica_remove(&r);
}
