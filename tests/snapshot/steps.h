/* A look between the steps of the region thread: the linker puts these functions in
 * front of the library's.
 *
 * A hook runs before and after each of them, on the thread that calls it.
 */
#ifndef KEELFS_TESTS_SNAPSHOT_STEPS_H
#define KEELFS_TESTS_SNAPSHOT_STEPS_H

enum step { STEP_WRITE, STEP_INGEST, STEP_TABLE_PUT, STEP_MAIL };
enum step_side { STEP_BEFORE, STEP_AFTER };

typedef void step_hook_fn(void *ctx, enum step step, enum step_side side);

/* NULL: none. While no step is being taken. */
void steps_set_hook(step_hook_fn *hook, void *ctx);

#endif
