#include "fs/mount.h"

#include "fs/fs.h"
#include "fs/fuse.h"
#include "fs/init_flags.h"
#include "fs/mountpoint.h"
#include "fs/ops.h"
#include "raftstore/log.h"
#include "raftstore/memory.h"
#include "raftstore/thread.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Interrupts the session's wait, which nothing else ends while the mount stays. */
#define WAKE_SIGNAL SIGUSR2
/* A wake that comes just before the wait is lost: it is sent again after this. */
#define WAKE_PERIOD_MS 20

/* Requests wait for nothing in the thread that took them but, at times, for the disk. So
 * there are a few more threads than processors; with many each request would wake the one
 * that has slept the longest. */
#define SPARE_WORKERS 2
#define WORKERS_MAX   10

struct fs_mount {
    struct fs *fs;
    struct fuse_session *session;

    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t run_ended;
    bool is_stopping;
    bool is_running;
    pthread_t runner;
};

/* --- libfuse's messages --- */

/* libfuse says why it fails only through a log function without a context. Kept
 * for the thread that mounts. */
static _Thread_local char last_message[ERR_TEXT_MAX / 2];

static void keep_message(enum fuse_log_level level, const char *format, va_list args)
{
    (void)level;
    vsnprintf(last_message, sizeof(last_message), format, args);
    last_message[strcspn(last_message, "\n")] = '\0';
}

static void log_message(enum fuse_log_level level, const char *format, va_list args)
{
    char text[ERR_TEXT_MAX];

    vsnprintf(text, sizeof(text), format, args);
    text[strcspn(text, "\n")] = '\0';
    if (level <= FUSE_LOG_ERR)
        log_error("%s", text);
    else
        log_debug("%s", text);
}

/* --- mounting --- */

int fs_mount_check(const char *mountpoint, struct err *e)
{
    return mountpoint_check(mountpoint, e);
}

static int session_new(struct fs *fs, struct fuse_session **ret_session, struct err *e)
{
    char options[] = "-odefault_permissions,fsname=keelfs,subtype=keelfs";
    size_t own_size = strlen("-o") + strlen(fs->options) + 1;
    char *own = mem_alloc(own_size);
    char *argv[] = {"keelfs", options, own, NULL};
    struct fuse_args args = FUSE_ARGS_INIT(fs->options[0] != '\0' ? 3 : 2, argv);

    snprintf(own, own_size, "-o%s", fs->options);
    *ret_session = fuse_session_new(&args, &ops_table, sizeof(ops_table), fs);
    fuse_opt_free_args(&args);
    free(own);
    if (*ret_session == NULL)
        return err_set(e, KE_INVALID, "mount options '%s': %s", fs->options, last_message);
    return 0;
}

static int session_mount(struct fs *fs, struct fuse_session *session, struct err *e)
{
    if (fuse_session_mount(session, fs->mountpoint) != 0)
        return err_set(e, KE_IO, "cannot mount at %s: %s", fs->mountpoint,
                       last_message[0] != '\0' ? last_message : "see the message above");
    if (init_flags_install(session) != 0) {
        fuse_session_unmount(session);
        return err_set(e, KE_IO, "cannot mount at %s: %s", fs->mountpoint, last_message);
    }
    fs->has_epoch = recall_start(&fs->recall, session);
    return 0;
}

int fs_mount_open(struct fs *fs, struct fs_mount **ret_mount, struct err *e)
{
    struct fuse_session *session;
    int code = fs_mount_check(fs->mountpoint, e);

    if (code != 0)
        return code;
    last_message[0] = '\0';
    fuse_set_log_func(keep_message);
    code = session_new(fs, &session, e);
    if (code == 0) {
        code = session_mount(fs, session, e);
        if (code != 0)
            fuse_session_destroy(session);
    }
    fuse_set_log_func(log_message);
    if (code != 0)
        return code;
    struct fs_mount *mount = mem_zalloc(sizeof(*mount));
    mount->fs = fs;
    mount->session = session;
    pthread_mutex_init(&mount->lock, NULL);
    thread_cond_init(&mount->run_ended);
    *ret_mount = mount;
    return 0;
}

/* --- running --- */

static void ignore_signal(int number)
{
    (void)number;
}

/* False: stopped before it began. */
static bool begin_run(struct fs_mount *mount)
{
    pthread_mutex_lock(&mount->lock);
    assert(!mount->is_running);
    mount->is_running = !mount->is_stopping;
    mount->runner = pthread_self();
    bool runs = mount->is_running;
    pthread_mutex_unlock(&mount->lock);
    return runs;
}

static void end_run(struct fs_mount *mount)
{
    pthread_mutex_lock(&mount->lock);
    mount->is_running = false;
    pthread_cond_broadcast(&mount->run_ended);
    pthread_mutex_unlock(&mount->lock);
}

static unsigned count_workers(void)
{
    long wanted = sysconf(_SC_NPROCESSORS_ONLN) + SPARE_WORKERS;

    return wanted < WORKERS_MAX ? (unsigned)wanted : WORKERS_MAX;
}

int fs_mount_run(struct fs_mount *mount, struct err *e)
{
    /* Without SA_RESTART: a wait that it meets ends. */
    const struct sigaction wake = {.sa_handler = ignore_signal};
    struct sigaction old_action;
    sigset_t wake_set, old_set;

    sigaction(WAKE_SIGNAL, &wake, &old_action);
    sigemptyset(&wake_set);
    sigaddset(&wake_set, WAKE_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &wake_set, &old_set);
    int rc = 0;
    if (begin_run(mount)) {
        invalidator_start(&mount->fs->invalidator, mount->session);
        interrupt_again_start(&mount->fs->interrupts, mount->session);
        struct fuse_loop_config *config = fuse_loop_cfg_create();
        fuse_loop_cfg_set_max_threads(config, count_workers());
        rc = fuse_session_loop_mt(mount->session, config);
        fuse_loop_cfg_destroy(config);
        end_run(mount);
    }
    pthread_sigmask(SIG_SETMASK, &old_set, NULL);
    sigaction(WAKE_SIGNAL, &old_action, NULL);
    if (rc < 0)
        return err_set(e, KE_IO, "the connection of %s to the kernel failed: %s",
                       mount->fs->mountpoint, strerror(-rc));
    return 0;
}

void fs_mount_stop(struct fs_mount *mount)
{
    pthread_mutex_lock(&mount->lock);
    mount->is_stopping = true;
    if (mount->is_running)
        fuse_session_exit(mount->session);
    while (mount->is_running) {
        pthread_kill(mount->runner, WAKE_SIGNAL);
        (void)thread_cond_wait_ms(&mount->run_ended, &mount->lock, WAKE_PERIOD_MS);
    }
    pthread_mutex_unlock(&mount->lock);
}

void fs_mount_close(struct fs_mount *mount)
{
    if (mount == NULL)
        return;
    fs_stop_waits(mount->fs);
    ops_lock_end(mount->fs);
    fs_wait_for_work(mount->fs);
    invalidator_stop(&mount->fs->invalidator);
    interrupt_again_stop(&mount->fs->interrupts);
    recall_stop(mount->fs);
    fuse_session_unmount(mount->session);
    fs_abandon_open(mount->fs);
    fuse_session_destroy(mount->session);
    pthread_cond_destroy(&mount->run_ended);
    pthread_mutex_destroy(&mount->lock);
    free(mount);
}
