/* Which writes reach the disk: the program's own fdatasync() stands in front of
 * the C library's, so that RocksDB's calls can be counted and made to fail. */
#include "raftstore/engine.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static atomic_int sync_count;
static atomic_bool sync_fails;

int fdatasync(int fd)
{
    atomic_fetch_add(&sync_count, 1);
    if (atomic_load(&sync_fails)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

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
    int before = atomic_load(&sync_count);

    put(engine, indexed, sync);
    cr_assert_eq(atomic_load(&sync_count) - before, sync ? 1 : 0);
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

Test(engine_sync, a_failed_sync_ends_the_process)
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
        atomic_store(&sync_fails, true);
        put(engine, false, true);
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status));
    cr_assert_eq(WEXITSTATUS(status), 74);
    scratch_remove(dir);
}
