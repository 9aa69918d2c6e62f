#include "raftstore/engine.h"
#include "scratch.h"
#include "syncs.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void put(struct engine *engine, bool indexed, bool sync)
{
    struct bytes key = {.data = (const uint8_t *)"key", .size = 3};
    struct engine_batch *batch = engine_batch_new(indexed);

    engine_batch_put(batch, engine, CF_DEFAULT, key, key);
    engine_write(engine, batch, sync);
    engine_batch_free(batch);
}

static void assert_syncs(struct engine *engine, bool indexed, bool sync)
{
    int before = syncs_count();

    put(engine, indexed, sync);
    cr_assert_eq(syncs_count() - before, sync ? 1 : 0);
}

Test(engine_sync, a_synced_write_is_on_the_disk_when_it_returns_and_an_unsynced_one_costs_nothing)
{
    char dir[SCRATCH_PATH_MAX];
    struct engine *engine;

    scratch_make(dir);
    cr_assert_eq(engine_open(dir, ENGINE_KV, &engine, NULL), 0);
    put(engine, false, true);
    assert_syncs(engine, false, true);
    assert_syncs(engine, true, true);
    assert_syncs(engine, false, false);
    assert_syncs(engine, true, false);
    engine_close(engine);
    scratch_remove(dir);
}

Test(engine_sync, what_was_not_synced_is_with_one_sync_of_the_log)
{
    char dir[SCRATCH_PATH_MAX];
    struct engine *engine;
    int before;

    scratch_make(dir);
    cr_assert_eq(engine_open(dir, ENGINE_KV, &engine, NULL), 0);
    put(engine, false, false);
    put(engine, true, false);
    before = syncs_count();
    engine_sync(engine);
    cr_assert_eq(syncs_count() - before, 1);
    put(engine, false, false);
    before = syncs_count();
    engine_sync(engine);
    cr_assert_eq(syncs_count() - before, 1);
    engine_close(engine);
    scratch_remove(dir);
}

/* How a process ends that writes, and syncs, on a disk that fails. */
static void assert_ends(bool with_the_write)
{
    char dir[SCRATCH_PATH_MAX];
    int status;
    pid_t child;

    scratch_make(dir);
    child = fork();
    if (child == 0) {
        struct engine *engine;

        if (engine_open(dir, ENGINE_RAFT, &engine, NULL) != 0) {
            _exit(1);
        }
        put(engine, false, true);
        syncs_fail(dir);
        put(engine, false, with_the_write);
        engine_sync(engine);
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status));
    cr_assert_eq(WEXITSTATUS(status), 74);
    scratch_remove(dir);
}

Test(engine_sync, a_failed_sync_ends_the_process)
{
    assert_ends(true);
    assert_ends(false);
}
