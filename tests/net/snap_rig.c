#include "snap_rig.h"

#include "raftstore/memory.h"
#include "raftstore/op.h"
#include "raftstore/thread.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#define PIECE_BYTES (1u << 20)
#define ROUND_MS    10
#define EMPTY_MS    30000
#define NS_PER_MS   1000000ull

static void on_sent(void *ctx, uint64_t to_store, bool succeeded)
{
    struct snap_rig *rig = ctx;
    cr_assert_eq(to_store, 1);
    pthread_mutex_lock(&rig->lock);
    rig->succeeded += succeeded;
    rig->failed += !succeeded;
    pthread_cond_broadcast(&rig->changed);
    pthread_mutex_unlock(&rig->lock);
}

static void on_delivered(void *ctx, const struct wire_envelope *envelope,
                         struct raft_message *message)
{
    struct snap_rig *rig = ctx;
    inbox_put(rig->inbox, envelope, message);
}

/* A directory of its own when `dir` is NULL. */
static void side_open(struct snap_rig *rig, struct snap_side *side, const char *dir,
                      uint64_t store_id, uint64_t rate_bytes)
{
    (void)snprintf(side->dir, sizeof(side->dir), "%s",
                   dir != NULL ? dir : "/tmp/keelfs-snap-XXXXXX");
    side->own_dir = dir == NULL;
    cr_assert(dir != NULL || mkdtemp(side->dir) != NULL);
    struct err e;
    cr_assert_eq(snap_files_open(side->dir, NULL, &side->files, &e), 0, "%s", e.text);
    struct snap_runner_config config = {
        .loop = store_id == 1 ? rig->inbox->server_loop : rig->inbox->sender_loop,
        .files = side->files,
        .identity = {.cluster_id = TEST_CLUSTER,
                     .store_id = store_id,
                     .data_id = TEST_DATA,
                     .address = TEST_ADDRESS},
        .rate_bytes = rate_bytes,
        .sent = on_sent,
        .deliver = on_delivered,
        .ctx = rig,
    };
    side->runner = snap_runner_start(&config);
}

struct snap_rig *snap_rig_open_at(uint64_t rate_bytes, const char *to_dir)
{
    struct snap_rig *rig = mem_zalloc(sizeof(*rig));
    pthread_mutex_init(&rig->lock, NULL);
    thread_cond_init(&rig->changed);
    rig->inbox = inbox_new();
    side_open(rig, &rig->from, NULL, 2, rate_bytes);
    side_open(rig, &rig->to, to_dir, 1, 0);
    rig->inbox->snap_runner = rig->to.runner;
    rig->server = inbox_serve(rig->inbox, 1, 0, NULL);
    (void)inbox_address(rig->server, rig->address);
    return rig;
}

struct snap_rig *snap_rig_open(uint64_t rate_bytes)
{
    return snap_rig_open_at(rate_bytes, NULL);
}

void snap_rig_stop_receiver(struct snap_rig *rig)
{
    snap_runner_stop(rig->to.runner);
    rpc_server_stop(rig->server);
    rpc_server_free(rig->server);
    snap_runner_free(rig->to.runner);
    rig->server = NULL;
}

void snap_rig_stop_sender(struct snap_rig *rig)
{
    snap_runner_stop(rig->from.runner);
    snap_runner_free(rig->from.runner);
    rig->from.runner = NULL;
}

static void side_close(struct snap_side *side)
{
    snap_files_close(side->files);
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "rm -rf %s/snap", side->dir);
    cr_assert_eq(system(path), 0);
    cr_assert(!side->own_dir || rmdir(side->dir) == 0);
}

void snap_rig_close(struct snap_rig *rig)
{
    if (rig->from.runner != NULL)
        snap_rig_stop_sender(rig);
    if (rig->server != NULL)
        snap_rig_stop_receiver(rig);
    side_close(&rig->from);
    side_close(&rig->to);
    inbox_free(rig->inbox);
    pthread_cond_destroy(&rig->changed);
    pthread_mutex_destroy(&rig->lock);
    free(rig);
}

/* ---- snapshots ---- */

struct snap_id snap_rig_id(enum snap_kind kind, uint64_t index)
{
    return (struct snap_id){
        .kind = kind, .region_id = TEST_REGION, .term = SNAP_RIG_TERM, .index = index};
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Returns the checksum. */
static uint32_t write_file(const char *path, uint64_t size, uint64_t seed)
{
    static uint64_t piece[PIECE_BYTES / sizeof(uint64_t)];
    XXH32_state_t *hash = XXH32_createState();
    (void)XXH32_reset(hash, 0);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_geq(fd, 0);
    while (size > 0) {
        for (size_t i = 0; i < PIECE_BYTES / sizeof(uint64_t); i++)
            piece[i] = next_random(&seed);
        size_t part = size < PIECE_BYTES ? (size_t)size : PIECE_BYTES;
        cr_assert_eq(write(fd, piece, part), (ssize_t)part);
        (void)XXH32_update(hash, piece, part);
        size -= part;
    }
    cr_assert_eq(close(fd), 0);
    uint32_t checksum = XXH32_digest(hash);
    (void)XXH32_freeState(hash);
    return checksum;
}

/* Stores 1 and 2, both voters. */
static void make_membership(struct membership *membership)
{
    *membership = (struct membership){
        .region = {.id = TEST_REGION,
                   .conf_ver = 1,
                   .version = 1,
                   .next_store_id = 3,
                   .peer_count = 2,
                   .peers = {{1, 1, MEMBER_VOTER}, {2, 2, MEMBER_VOTER}}},
        .store_count = 2,
        .stores = {{.id = 1, .name = "n1", .address = "h1:1"},
                   {.id = 2, .name = "n2", .address = "h2:2"}},
    };
}

void snap_rig_make(struct snap_rig *rig, uint64_t index, const uint64_t sizes[CF_COUNT],
                   struct raft_message *ret_message, struct wire_envelope *ret_envelope)
{
    struct snap_id id = snap_rig_id(SNAP_GENERATED, index);
    struct snapshot_meta meta = {.index = index, .term = SNAP_RIG_TERM, .revision = index};
    make_membership(&meta.membership);
    cr_assert(snap_files_begin(rig->from.files, &id));
    for (size_t cf = 0; cf < CF_COUNT; cf++) {
        meta.files[cf] = (struct snapshot_file){.cf = (enum engine_cf)cf, .size = sizes[cf]};
        meta.total_bytes += sizes[cf];
        char path[PATH_MAX];
        snap_files_path(rig->from.files, &id, (enum engine_cf)cf, true, path);
        if (sizes[cf] > 0)
            meta.files[cf].checksum = write_file(path, sizes[cf], index * CF_COUNT + cf + 1);
    }
    struct err e;
    cr_assert_eq(snap_files_commit(rig->from.files, &id, &meta, &e), 0, "%s", e.text);
    raft_message_init(ret_message, RAFT_MESSAGE_SNAPSHOT);
    ret_message->from = 2;
    ret_message->to = 1;
    ret_message->term = SNAP_RIG_TERM;
    ret_message->snapshot = snapshot_pack(&meta);
    *ret_envelope = (struct wire_envelope){.region_id = TEST_REGION,
                                           .from_peer = 2,
                                           .from_store = 2,
                                           .to_peer = 1,
                                           .to_store = 1,
                                           .conf_ver = 1,
                                           .version = 1};
}

void snap_rig_forget(struct snap_rig *rig, struct raft_message *message)
{
    struct snap_id id = snap_rig_id(SNAP_GENERATED, message->snapshot->index);
    snap_files_unref(rig->from.files, &id);
    raft_message_release(message);
}

unsigned snap_rig_reports(struct snap_rig *rig)
{
    pthread_mutex_lock(&rig->lock);
    unsigned reports = rig->succeeded + rig->failed;
    pthread_mutex_unlock(&rig->lock);
    return reports;
}

void snap_rig_await(struct snap_rig *rig, unsigned reports)
{
    pthread_mutex_lock(&rig->lock);
    while (rig->succeeded + rig->failed < reports)
        pthread_cond_wait(&rig->changed, &rig->lock);
    cr_assert_eq(rig->succeeded + rig->failed, reports);
    pthread_mutex_unlock(&rig->lock);
}

bool snap_rig_send(struct snap_rig *rig, uint64_t index, const uint64_t sizes[CF_COUNT])
{
    struct raft_message message;
    struct wire_envelope envelope;
    unsigned before = rig->succeeded, reports = snap_rig_reports(rig);
    snap_rig_make(rig, index, sizes, &message, &envelope);
    snap_runner_send(rig->from.runner, rig->address, &envelope, &message);
    snap_rig_await(rig, reports + 1);
    snap_rig_forget(rig, &message);
    return rig->succeeded > before;
}

/* ---- what is there ---- */

bool snap_rig_equal(struct snap_rig *rig, uint64_t index, const uint64_t sizes[CF_COUNT])
{
    struct snap_id id = snap_rig_id(SNAP_RECEIVED, index);
    for (size_t cf = 0; cf < CF_COUNT; cf++) {
        char path[PATH_MAX], again[] = "/tmp/keelfs-snap-file-XXXXXX";
        uint64_t size;
        uint32_t checksum;
        snap_files_path(rig->to.files, &id, (enum engine_cf)cf, false, path);
        if (sizes[cf] == 0 && access(path, F_OK) != 0)
            continue;
        int fd = mkstemp(again);
        cr_assert_geq(fd, 0);
        cr_assert_eq(close(fd), 0);
        uint32_t expected = write_file(again, sizes[cf], index * CF_COUNT + cf + 1);
        cr_assert_eq(unlink(again), 0);
        if (snap_files_checksum(path, &size, &checksum, NULL) != 0 || size != sizes[cf] ||
            checksum != expected)
            return false;
    }
    return true;
}

unsigned snap_rig_file_count(const struct snap_side *side)
{
    char path[SNAP_RIG_DIR_MAX + sizeof("/snap")];
    (void)snprintf(path, sizeof(path), "%s/snap", side->dir);
    DIR *dir = opendir(path);
    cr_assert_not_null(dir);
    unsigned count = 0;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        count += entry->d_name[0] != '.';
    (void)closedir(dir);
    return count;
}

void snap_rig_await_empty(const struct snap_side *side)
{
    for (uint64_t until_ns = clock_ns() + EMPTY_MS * NS_PER_MS; snap_rig_file_count(side) > 0;) {
        cr_assert_lt(clock_ns(), until_ns, "files are left");
        (void)usleep(ROUND_MS * 1000);
    }
}
