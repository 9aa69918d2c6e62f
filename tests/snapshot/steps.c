#include "steps.h"

#include "raftstore/engine.h"
#include "raftstore/mailbox.h"

#include <stdbool.h>
#include <stddef.h>

/* The names that the linker gives. */
void __real_engine_write(struct engine *engine, struct engine_batch *batch, bool sync);
void __wrap_engine_write(struct engine *engine, struct engine_batch *batch, bool sync);
int __real_engine_ingest(struct engine *engine, enum engine_cf cf, const char *path, struct err *e);
int __wrap_engine_ingest(struct engine *engine, enum engine_cf cf, const char *path, struct err *e);
int __real_engine_table_put(struct engine_table *table, struct bytes key, struct bytes value,
                            struct err *e);
int __wrap_engine_table_put(struct engine_table *table, struct bytes key, struct bytes value,
                            struct err *e);
void __real_mailbox_put_always(struct mailbox *box, struct mail *mail);
void __wrap_mailbox_put_always(struct mailbox *box, struct mail *mail);

static struct {
    step_hook_fn *hook;
    void *ctx;
} steps;

void steps_set_hook(step_hook_fn *hook, void *ctx)
{
    steps.hook = hook;
    steps.ctx = ctx;
}

static void call_hook(enum step step, enum step_side side)
{
    if (steps.hook != NULL) {
        steps.hook(steps.ctx, step, side);
    }
}

void __wrap_engine_write(struct engine *engine, struct engine_batch *batch, bool sync)
{
    call_hook(STEP_WRITE, STEP_BEFORE);
    __real_engine_write(engine, batch, sync);
    call_hook(STEP_WRITE, STEP_AFTER);
}

int __wrap_engine_ingest(struct engine *engine, enum engine_cf cf, const char *path, struct err *e)
{
    int code;

    call_hook(STEP_INGEST, STEP_BEFORE);
    code = __real_engine_ingest(engine, cf, path, e);
    call_hook(STEP_INGEST, STEP_AFTER);
    return code;
}

int __wrap_engine_table_put(struct engine_table *table, struct bytes key, struct bytes value,
                            struct err *e)
{
    int code;

    call_hook(STEP_TABLE_PUT, STEP_BEFORE);
    code = __real_engine_table_put(table, key, value, e);
    call_hook(STEP_TABLE_PUT, STEP_AFTER);
    return code;
}

void __wrap_mailbox_put_always(struct mailbox *box, struct mail *mail)
{
    call_hook(STEP_MAIL, STEP_BEFORE);
    __real_mailbox_put_always(box, mail);
    call_hook(STEP_MAIL, STEP_AFTER);
}
