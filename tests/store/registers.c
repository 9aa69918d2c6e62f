#include "registers.h"

#include "random.h"

#include "raftstore/err.h"

#include <stdio.h>
#include <string.h>

#define START_TIMEOUT_MS 20000
#define OP_TIMEOUT_MS    1000
#define NAME_BYTES       64

static void name_of(const struct register_file *file, uint64_t number, char *ret_name)
{
    snprintf(ret_name, NAME_BYTES, "d/%.*s.%llu", REGISTERS_PATH_MAX, file->path,
             (unsigned long long)number);
}

static void tell(atomic_uint_least64_t *told, uint64_t version)
{
    uint64_t before = atomic_load(told);
    while (before < version && !atomic_compare_exchange_weak(told, &before, version))
        ;
}

/* --- writers --- */

static void write_version(struct register_file *file, size_t i)
{
    struct registers *registers = file->registers;
    struct attr attr;
    if (cluster_append_attr(registers->cluster, i, file->path, file->id, "x", OP_TIMEOUT_MS,
                            &attr) != 0)
        return;
    tell(&file->told, attr.version);
    atomic_fetch_add(&registers->writes, 1);
}

static void write_name(struct register_file *file, size_t i)
{
    char name[NAME_BYTES];
    uint64_t number = atomic_load(&file->names);
    name_of(file, number, name);
    int rc = cluster_create_exclusive(file->registers->cluster, i, name, OP_TIMEOUT_MS);
    if (rc == 0 || rc == KE_EXISTS)
        atomic_store(&file->names, number + 1);
}

static void *write_on(void *arg)
{
    struct register_file *file = arg;
    struct registers *registers = file->registers;
    while (!atomic_load(&registers->stop)) {
        size_t count = atomic_load(&registers->cluster->count);
        size_t i = (size_t)(random_next(&file->random) % count);
        write_version(file, i);
        write_name(file, i);
        if (!cluster_is_running(registers->cluster, i))
            cluster_pause();
    }
    return NULL;
}

/* --- readers --- */

static int read_one(struct registers *registers, size_t i, const char *path, struct attr *ret_attr)
{
    enum cluster_source source;
    int rc = cluster_stat_leased(registers->cluster, i, path, ret_attr, OP_TIMEOUT_MS, &source);
    if (rc == 0 || rc == KE_NOT_FOUND)
        atomic_fetch_add(&registers->reads[source], 1);
    return rc;
}

static void read_file(struct register_file *file, size_t i)
{
    struct registers *registers = file->registers;
    struct attr attr = {0};
    uint64_t told = atomic_load(&file->told);
    int rc = read_one(registers, i, file->path, &attr);
    if (rc != 0 && rc != KE_NOT_FOUND)
        return;
    if (rc == 0 && attr.version >= told) {
        tell(&file->told, attr.version);
        return;
    }
    fprintf(stderr, "store %zu: %s has version %llu, should have %llu\n", i, file->path,
            (unsigned long long)attr.version, (unsigned long long)told);
    atomic_store(&registers->is_stale, true);
}

/* The newest name and the one that comes next, which so gets cached as missing. */
static void read_names(struct register_file *file, size_t i)
{
    struct attr attr;
    char name[NAME_BYTES];
    uint64_t names = atomic_load(&file->names);
    for (uint64_t number = names > 0 ? names - 1 : 0; number <= names; number++) {
        name_of(file, number, name);
        if (read_one(file->registers, i, name, &attr) != KE_NOT_FOUND || number == names)
            continue;
        fprintf(stderr, "store %zu: %s is not there\n", i, name);
        atomic_store(&file->registers->is_stale, true);
    }
}

static void *read_on(void *arg)
{
    const struct register_reader *reader = arg;
    struct registers *registers = reader->registers;
    while (!atomic_load(&registers->stop)) {
        for (size_t k = 0; k < REGISTERS_FILES; k++) {
            read_file(&registers->files[k], reader->store);
            read_names(&registers->files[k], reader->store);
        }
        cluster_pause();
    }
    return NULL;
}

/* --- start and stop --- */

static bool make_file(struct registers *registers, size_t k, uint64_t seed)
{
    struct register_file *file = &registers->files[k];
    struct attr attr;
    *file = (struct register_file){.registers = registers, .random = seed + k};
    snprintf(file->path, sizeof(file->path), "f%zu", k);
    int rc = cluster_put(registers->cluster, 0, file->path, "", START_TIMEOUT_MS);
    if (rc == 0)
        rc = cluster_stat(registers->cluster, 0, file->path, &attr, START_TIMEOUT_MS);
    file->id = rc == 0 ? attr.id : 0;
    return rc == 0;
}

bool registers_start(struct registers *registers, struct cluster *cluster, uint64_t seed)
{
    memset(registers, 0, sizeof(*registers));
    registers->cluster = cluster;
    int rc = cluster_make_dir(cluster, 0, "d", START_TIMEOUT_MS);
    bool good = rc == 0 || rc == KE_EXISTS;
    for (size_t k = 0; k < REGISTERS_FILES && good; k++)
        good = make_file(registers, k, seed);
    if (!good)
        return false;
    for (size_t k = 0; k < REGISTERS_FILES; k++)
        pthread_create(&registers->files[k].writer, NULL, write_on, &registers->files[k]);
    registers->reader_count = cluster->count;
    for (size_t i = 0; i < registers->reader_count; i++) {
        struct register_reader *reader = &registers->readers[i];
        *reader = (struct register_reader){.registers = registers, .store = i};
        pthread_create(&reader->thread, NULL, read_on, reader);
    }
    return true;
}

bool registers_stop(struct registers *registers)
{
    atomic_store(&registers->stop, true);
    for (size_t i = 0; i < registers->reader_count; i++)
        pthread_join(registers->readers[i].thread, NULL);
    for (size_t k = 0; k < REGISTERS_FILES; k++)
        pthread_join(registers->files[k].writer, NULL);
    printf("registers: %llu writes; reads: %llu cached, %llu by lease, %llu by barrier\n",
           (unsigned long long)registers->writes,
           (unsigned long long)registers->reads[CLUSTER_FROM_CACHE],
           (unsigned long long)registers->reads[CLUSTER_FROM_LEASE],
           (unsigned long long)registers->reads[CLUSTER_FROM_BARRIER]);
    return !atomic_load(&registers->is_stale);
}
