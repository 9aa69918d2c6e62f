#include "raftstore/snapshot_rows.h"

#include "raftstore/keys.h"
#include "raftstore/snapshot.h"

struct walk {
    const struct snapshot_rows *rows;
    enum engine_cf cf;
    snapshot_row_fn *each;
    void *ctx;
    struct err *e;
    int code;
};

static int check_interrupts(const struct walk *walk)
{
    const atomic_uint *interrupts = walk->rows->interrupts;

    if (interrupts != NULL && atomic_load_explicit(interrupts, memory_order_relaxed) != 0) {
        return err_set(walk->e, KE_CANCELLED, "interrupted by a task that goes first");
    }
    return 0;
}

static void walk_range(void *ctx, struct bytes from, struct bytes to)
{
    struct walk *walk = ctx;
    const struct snapshot_rows *rows = walk->rows;
    struct engine_iterator *it;
    int code;

    if (walk->code != 0) {
        return;
    }
    it = engine_iterator_new(rows->kv, rows->snapshot, NULL, walk->cf, to);
    for (engine_iterator_seek(it, from); walk->code == 0 && engine_iterator_valid(it);
         engine_iterator_next(it)) {
        walk->code = check_interrupts(walk);
        if (walk->code == 0) {
            walk->code =
                walk->each(walk->ctx, engine_iterator_key(it), engine_iterator_value(it), walk->e);
        }
    }
    code = engine_iterator_status(it);
    if (walk->code == 0 && code != 0) {
        walk->code = err_set(walk->e, code, "cannot read column family %s: %s",
                             key_cf_name(walk->cf), ke_text(code));
    }
    engine_iterator_free(it);
}

int snapshot_rows_walk(const struct snapshot_rows *rows, enum engine_cf cf, snapshot_row_fn *each,
                       void *ctx, struct err *e)
{
    struct walk walk = {.rows = rows, .cf = cf, .each = each, .ctx = ctx, .e = e};

    snapshot_each_range(cf, rows->region_id, walk_range, &walk);
    return walk.code;
}
