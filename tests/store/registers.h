/* Checks that no read is stale: files with a writer each, whose versions only grow, names
 * that only come, and a reader on each store that reads as a mount does (cluster_lease.c). Who
 * has been told of a version or a name, by a write or a read that has ended, must never
 * see less.
 *
 * Owned by the test's thread; those that it starts have what is atomic.
 */
#ifndef KEELFS_TESTS_STORE_REGISTERS_H
#define KEELFS_TESTS_STORE_REGISTERS_H

#include "cluster.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define REGISTERS_FILES       4
#define REGISTERS_READERS_MAX CLUSTER_FOUNDERS_MAX
#define REGISTERS_PATH_MAX    8

struct registers;

struct register_file {
    struct registers *registers;
    char path[REGISTERS_PATH_MAX];
    uint64_t id;
    uint64_t random;
    atomic_uint_least64_t told;  /* the newest version */
    atomic_uint_least64_t names; /* those below this number exist */
    pthread_t writer;
};

struct register_reader {
    struct registers *registers;
    size_t store;
    pthread_t thread;
};

struct registers {
    struct cluster *cluster;
    struct register_file files[REGISTERS_FILES];
    struct register_reader readers[REGISTERS_READERS_MAX];
    size_t reader_count;
    atomic_bool stop;
    atomic_bool is_stale; /* and it was said where */
    atomic_uint_least64_t writes;
    atomic_uint_least64_t reads[3]; /* by enum cluster_source */
};

/* Makes the files and starts the threads; one reader for each store that there is. False: it
 * could not. */
bool registers_start(struct registers *registers, struct cluster *cluster, uint64_t seed);
/* Ends the threads. False: a read was stale, and stderr says which. */
bool registers_stop(struct registers *registers);

#endif
