/* A signal that was there before a wait began.
 *
 * libfuse calls the interrupt function from within fuse_req_interrupt_func() then, under
 * a lock of the request, which is freed with its answer: nothing may be answered there.
 * That is watched in all tests of this program. */
#include "mounted.h"

#include "fs/fuse.h"
#include "raftstore/op.h"

#include <assert.h>
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

static _Thread_local bool is_registering;
static _Atomic(fuse_interrupt_func_t) interrupted;
static sem_t was_interrupted;

static void note_interrupt(fuse_req_t req, void *data)
{
    atomic_load (&interrupted)(req, data);
    sem_post(&was_interrupted);
}

/* In the place of libfuse's, for whatever of fs/ is in this program. */
void fuse_req_interrupt_func(fuse_req_t req, fuse_interrupt_func_t func, void *data)
{
    void (*real)(fuse_req_t, fuse_interrupt_func_t, void *);
    void *symbol = dlsym(RTLD_NEXT, "fuse_req_interrupt_func");

    memcpy(&real, &symbol, sizeof(real));
    if (func != NULL)
        atomic_store(&interrupted, func);
    is_registering = func != NULL;
    real(req, func != NULL ? note_interrupt : NULL, data);
    is_registering = false;
}

int fuse_reply_err(fuse_req_t req, int number)
{
    int (*real)(fuse_req_t, int);
    void *symbol = dlsym(RTLD_NEXT, "fuse_reply_err");

    memcpy(&real, &symbol, sizeof(real));
    assert(!is_registering);
    return real(req, number);
}

static struct mounted m;

static void ignore_signal(int number)
{
    (void)number;
}

static void setup(void)
{
    const struct sigaction action = {.sa_handler = ignore_signal};

    sem_init(&was_interrupted, 0, 0);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGCHLD, &action, NULL);
    mounted_start(&m, 5000);
}

static void teardown(void)
{
    mounted_stop(&m);
}

TestSuite(mount_interrupts, .init = setup, .fini = teardown, .timeout = 60);

struct making {
    pthread_t thread;
    int saved;
};

static void *make_directory(void *arg)
{
    struct making *making = arg;

    making->saved = mkdir(mounted_path(&m, "d"), 0755) == 0 ? 0 : errno;
    return NULL;
}

/* The kernel tells of one signal only: it is looked at again when the next wait begins. */
Test(mount_interrupts, a_signal_to_stop_behind_a_harmless_one_ends_the_next_wait)
{
    struct making making;

    fake_store_hold_proposals(m.store);
    pthread_create(&making.thread, NULL, make_directory, &making);
    fake_store_await_held(m.store, 1);
    pthread_kill(making.thread, SIGCHLD);
    sem_wait(&was_interrupted);
    pthread_kill(making.thread, SIGINT);
    fake_store_refuse(m.store, KE_STALE);
    fake_store_release(m.store);
    pthread_join(making.thread, NULL);
    cr_assert_eq(making.saved, EINTR, "%s", strerror(making.saved));
    fake_store_refuse(m.store, 0);
    cr_assert_eq(mkdir(mounted_path(&m, "d"), 0755), 0);
}

Test(mount_interrupts, a_signal_to_stop_behind_a_harmless_one_ends_the_same_wait)
{
    struct making making;

    fake_store_hold_proposals(m.store);
    pthread_create(&making.thread, NULL, make_directory, &making);
    fake_store_await_held(m.store, 1);
    pthread_kill(making.thread, SIGCHLD);
    sem_wait(&was_interrupted);
    pthread_kill(making.thread, SIGINT);
    uint64_t begun_ns = clock_ns();
    pthread_join(making.thread, NULL);
    cr_assert_eq(making.saved, EINTR, "%s", strerror(making.saved));
    cr_assert_lt(clock_ns() - begun_ns, 2000000000ull);
    fake_store_release(m.store);
}
