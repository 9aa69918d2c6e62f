/* The load half of tools/bench. */
#ifndef KEELFS_TOOLS_BENCH_H
#define KEELFS_TOOLS_BENCH_H

#include <stddef.h>
#include <stdint.h>

#define BENCH_LIST_MAX  16
#define BENCH_VALUE_MAX (1u << 20)

/* A comma-separated option, cut into pieces. */
struct bench_list {
    const char *items[BENCH_LIST_MAX];
    size_t count;
};

struct bench_config {
    struct bench_list keelfs; /* endpoints */
    struct bench_list etcd;   /* endpoints; none: keelfs alone */
    struct bench_list mounts;
    uint32_t seconds; /* of each line and system; the longest that a fill or a wait takes */
    uint32_t value_size;
    uint32_t keys;  /* of a fill */
    uint32_t count; /* of its puts; 0: as many as the time allows */
    uint32_t in_flight;
    const char *prefix; /* of its keys */
    const char *event;  /* what to wait for; NULL: not said */
    const char *op;     /* on files; NULL: not said */
    uint32_t processes; /* that do it at once */
};

/* Each returns an exit status. */

/* Puts and gets by RPC: prints a table. */
int bench_rpc(const struct bench_config *config);

/* File operations through mounts: prints a table. Starts processes, so nothing that
 * does not survive fork() has been started in this one. */
int bench_files(const struct bench_config *config);

/* One operation on files below one directory, which the first round there fills: prints a
 * line of NAME=VALUE. */
int bench_round(const struct bench_config *config);

/* A change on the first of two mounts, seen on the other one: prints a line of
 * NAME=VALUE. */
int bench_seen(const struct bench_config *config);

/* Puts by RPC until there were enough, the time is over or SIGTERM comes: prints a
 * line of NAME=VALUE. */
int bench_fill(const struct bench_config *config);

/* The same with gets of what was put. */
int bench_gets(const struct bench_config *config);

/* Waits for an event: prints when it was, in microseconds since 1970. */
int bench_await(const struct bench_config *config);

#endif
