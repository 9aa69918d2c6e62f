/* keelfs: one process a node. It is the Raft member, the RPC server and the
 * mount; this file starts them in order and takes them down in reverse. */
#include "fs/daemonize.h"
#include "fs/mount.h"
#include "fs/options.h"
#include "fs/pid_file.h"
#include "fs/preflight.h"
#include "fs/remount.h"
#include "fs/root_owner.h"
#include "fs/stop_signals.h"
#include "raftstore/log.h"
#include "raftstore/store.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define EXIT_USAGE 2
/* An orderly stop first waits for the operations under way; this is for the rest. */
#define STOP_PATIENCE_MS 10000

struct node {
    struct store *store;
    struct fs *fs;
    struct fs_mount *mount;
    int pid_fd;                   /* -1: no pid file */
    struct stop_signals *signals; /* borrowed */
    struct err gone_why;          /* written once, before: */
    atomic_bool gone;             /* the cluster does not want this node any more */
};

/* Before each line of the log: "keelfs/n1". */
static void open_log(const struct daemon *daemon, const struct options *options)
{
    char name[sizeof("keelfs/") + STORE_NAME_MAX];

    snprintf(name, sizeof(name), "keelfs/%s", options->name);
    log_open(name, options->log_level, !daemon->keeps_stderr);
}

static const char *text_or_null(const char *text)
{
    return text[0] ? text : NULL;
}

/* On a thread of the store, which the main thread stops when it hears of this. */
static void note_gone(void *ctx, const struct err *why)
{
    struct node *node = ctx;

    node->gone_why = *why;
    atomic_store(&node->gone, true);
    stop_signals_ask(node->signals);
}

/* 0, or why the node is gone. */
static int node_check_gone(const struct node *node, struct err *e)
{
    if (!atomic_load(&node->gone))
        return 0;
    *e = node->gone_why;
    return e->code;
}

static int node_open_store(struct node *node, const struct options *options, struct err *e)
{
    struct options_ticks ticks = options_ticks(options->heartbeat_ms, options->election_timeout_ms);
    const struct store_config config = {
        .data_dir = options->data_dir,
        .name = options->name,
        .listen = text_or_null(options->listen),
        .initial_members = text_or_null(options->initial_members),
        .join = text_or_null(options->join),
        .join_as_learner = options->learner,
        .advertise = text_or_null(options->advertise),
        .tick_ms = ticks.tick_ms,
        .heartbeat_ticks = ticks.heartbeat_ticks,
        .election_ticks = ticks.election_ticks,
        .op_timeout_ms = options->op_timeout_ms,
        .log_gc_count_limit = options->log_gc_count,
        .log_gc_bytes_limit = options->log_gc_bytes,
        .snapshot_rate_bytes = options->snapshot_rate,
    };
    int code = store_open(&config, &node->store, e);

    return code ? code : pid_file_create(options->data_dir, &node->pid_fd, e);
}

static int node_start(struct node *node, const struct options *options, struct err *e)
{
    const struct fs_config config = {
        .mountpoint = options->mountpoint,
        .data_dir = options->data_dir,
        .options = text_or_null(options->fuse_options),
        .op_timeout_ms = options->op_timeout_ms,
        .stale_reads = options->stale_reads,
        .no_cache = options->no_cache,
    };
    int code = node_open_store(node, options, e);

    if (code)
        return code;
    node->fs = fs_new(node->store, &config);
    store_set_gone(node->store, note_gone, node);
    code = store_start(node->store, e);
    if (code)
        return code;
    root_owner_claim(node->store);
    return fs_mount_open(node->fs, &node->mount, e);
}

/* Takes down as much as was started. */
static void node_stop(struct node *node, const struct options *options)
{
    fs_mount_close(node->mount);
    store_close(node->store);
    fs_free(node->fs);
    if (node->pid_fd >= 0)
        pid_file_remove(options->data_dir, node->pid_fd);
}

static int node_run(struct node *node, struct daemon *daemon, const struct options *options,
                    struct err *e)
{
    int code = node_start(node, options, e);

    if (code == 0)
        code = node_check_gone(node, e);
    if (code)
        return code;
    stop_signals_set_mount(node->signals, node->mount);
    if (!daemon_report_ready(daemon)) {
        log_info("stopping: the start was interrupted");
        return 0;
    }
    log_info("serving %s", options->mountpoint);
    code = fs_mount_run(node->mount, e);
    return code ? code : node_check_gone(node, e);
}

static int serve(struct daemon *daemon, const struct options *options)
{
    struct stop_signals signals;
    struct node node = {.pid_fd = -1, .signals = &signals};
    struct err e;

    open_log(daemon, options);
    stop_signals_start(&signals, options->mountpoint, options->op_timeout_ms + STOP_PATIENCE_MS);
    int code = node_run(&node, daemon, options, &e);
    bool log_is_shown = options->foreground && !options->log_file[0];
    bool is_logged = atomic_load(&node.gone); /* by the store */
    if (code && !log_is_shown && !is_logged)
        log_error("%s", e.text);
    stop_signals_begin_stop(&signals);
    node_stop(&node, options);
    log_info("stopped");
    stop_signals_finish(&signals);
    if (code && !(log_is_shown && is_logged))
        daemon_report_failure(daemon, e.text);
    return code ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    static struct options options;
    struct daemon daemon;
    struct err e;

    if (options_parse(argc, argv, &options, &e)) {
        fprintf(stderr, "keelfs: %s\n", e.text);
        return EXIT_USAGE;
    }
    if (options.action == OPTIONS_REMOUNT) {
        if (remount_change(options.mountpoint, options.fuse_options, &e) == 0)
            return EXIT_SUCCESS;
        fprintf(stderr, "keelfs: %s\n", e.text);
        return EXIT_FAILURE;
    }
    if (options.action != OPTIONS_RUN) {
        if (options.action == OPTIONS_HELP)
            options_print_help();
        else
            options_print_version();
        return EXIT_SUCCESS;
    }
    if (preflight_check(&options, &e) ||
        daemon_start(&daemon, options.foreground, options.log_file, &e)) {
        fprintf(stderr, "keelfs: %s\n", e.text);
        return EXIT_FAILURE;
    }
    return serve(&daemon, &options);
}
