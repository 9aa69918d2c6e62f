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
    uint32_t seconds; /* of each line, and system */
    uint32_t value_size;
};

/* Puts and gets by RPC: prints a table. Returns an exit status. */
int bench_rpc(const struct bench_config *config);

/* File operations through mounts: prints a table. Starts processes, so nothing that
 * does not survive fork() has been started in this one. */
int bench_files(const struct bench_config *config);

#endif
