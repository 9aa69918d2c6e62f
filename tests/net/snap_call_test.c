/* Calls of TinyKv/Snapshot that no well-behaved sender makes. */
#include "raftstore/rpc_identity.h"

#include "raw_stream.h"
#include "snap_rig.h"

#include "raft_serverpb.pb-c.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <grpc/status.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <xxhash.h>

#define MIB   ((uint64_t)1 << 20)
#define FIRST 3000
#define WHOLE 5000

static const struct raw_identity sender = {
    .cluster = "7", .store = "2", .to = "1", .data = "77", .address = TEST_ADDRESS};

/* A snapshot of two files, FIRST and WHOLE - FIRST bytes, with its bytes at hand. */
struct sample {
    struct snap_rig *rig;
    struct raft_message message;
    struct wire_envelope envelope;
    uint8_t bytes[WHOLE];
    char words[RAW_STREAM_WORDS_MAX];
    int code;
};

static void read_sample(struct sample *sample, enum engine_cf cf, uint8_t *out, size_t size)
{
    struct snap_id id = snap_rig_id(SNAP_GENERATED, 100);
    char path[PATH_MAX];
    snap_files_path(sample->rig->from.files, &id, cf, false, path);
    int fd = open(path, O_RDONLY);
    cr_assert_eq(read(fd, out, size), (ssize_t)size);
    cr_assert_eq(close(fd), 0);
}

static struct sample *sample_open(void)
{
    static const uint64_t sizes[CF_COUNT] = {0, FIRST, 0, WHOLE - FIRST};
    struct sample *sample = calloc(1, sizeof(*sample));
    sample->rig = snap_rig_open(0);
    snap_rig_make(sample->rig, 100, sizes, &sample->message, &sample->envelope);
    read_sample(sample, CF_ATTR, sample->bytes, FIRST);
    read_sample(sample, CF_WRITE, sample->bytes + FIRST, WHOLE - FIRST);
    return sample;
}

static void sample_close(struct sample *sample)
{
    snap_rig_forget(sample->rig, &sample->message);
    snap_rig_close(sample->rig);
    free(sample);
}

static struct raw_stream *call(const struct sample *sample)
{
    return raw_stream_open(sample->rig->address, SNAP_METHOD, &sender);
}

static bool send_chunk(struct raw_stream *stream, const RaftServerpb__SnapshotChunk *chunk)
{
    size_t size = raft_serverpb__snapshot_chunk__get_packed_size(chunk);
    uint8_t *bytes = malloc(size > 0 ? size : 1);
    (void)raft_serverpb__snapshot_chunk__pack(chunk, bytes);
    bool sent = raw_stream_send(stream, bytes, size);
    free(bytes);
    return sent;
}

static bool send_message(const struct sample *sample, struct raw_stream *stream)
{
    uint8_t *bytes;
    size_t size;
    wire_pack_message(&sample->envelope, &sample->message, &bytes, &size);
    RaftServerpb__SnapshotChunk chunk = RAFT_SERVERPB__SNAPSHOT_CHUNK__INIT;
    chunk.message = raft_serverpb__raft_message__unpack(NULL, size, bytes);
    cr_assert_not_null(chunk.message);
    bool sent = send_chunk(stream, &chunk);
    raft_serverpb__raft_message__free_unpacked(chunk.message, NULL);
    free(bytes);
    return sent;
}

static bool send_data(struct sample *sample, struct raw_stream *stream, size_t from, size_t to)
{
    RaftServerpb__SnapshotChunk chunk = RAFT_SERVERPB__SNAPSHOT_CHUNK__INIT;
    chunk.data = (ProtobufCBinaryData){.data = sample->bytes + from, .len = to - from};
    chunk.checksum = XXH32(chunk.data.data, chunk.data.len, 0);
    return send_chunk(stream, &chunk);
}

/* Waits until the receiver has taken the message in. */
static void await_begun(const struct sample *sample)
{
    struct snap_id id = snap_rig_id(SNAP_RECEIVED, 100);
    while (snap_files_begin(sample->rig->to.files, &id)) {
        snap_files_unref(sample->rig->to.files, &id);
        (void)usleep(1000);
    }
}

static void expect_refused(struct sample *sample, struct raw_stream *stream, int code,
                           const char *words)
{
    (void)raw_stream_end_code(stream, sample->words, &sample->code);
    cr_assert_eq(sample->code, code, "%d: %s", sample->code, sample->words);
    cr_assert_not_null(strstr(sample->words, words), "%s", sample->words);
    cr_assert_eq(inbox_count(sample->rig->inbox), 0);
    snap_rig_await_empty(&sample->rig->to);
}

/* The whole snapshot in its right form is taken. */
static void expect_works(struct sample *sample)
{
    struct raw_stream *stream = call(sample);
    cr_assert(send_message(sample, stream));
    /* Borders of chunks need not be those of files. */
    cr_assert(send_data(sample, stream, 0, 1));
    cr_assert(send_data(sample, stream, 1, FIRST + 10));
    cr_assert(send_data(sample, stream, FIRST + 10, WHOLE));
    raw_stream_half_close(stream);
    cr_assert_eq(raw_stream_end(stream, sample->words), GRPC_STATUS_OK, "%s", sample->words);
    cr_assert_eq(inbox_count(sample->rig->inbox), 1);
    struct snap_id id = snap_rig_id(SNAP_RECEIVED, 100);
    snap_files_unref(sample->rig->to.files, &id);
}

Test(snap_call, what_the_generated_code_writes_is_taken_in_chunks_of_any_size, .timeout = 30)
{
    struct sample *sample = sample_open();
    expect_works(sample);
    sample_close(sample);
}

Test(snap_call, a_corrupted_chunk_ends_the_call, .timeout = 30)
{
    struct sample *sample = sample_open();
    struct raw_stream *stream = call(sample);
    cr_assert(send_message(sample, stream));
    RaftServerpb__SnapshotChunk chunk = RAFT_SERVERPB__SNAPSHOT_CHUNK__INIT;
    chunk.data = (ProtobufCBinaryData){.data = sample->bytes, .len = 100};
    chunk.checksum = XXH32(sample->bytes, 100, 0) ^ 1;
    (void)send_chunk(stream, &chunk);
    expect_refused(sample, stream, KE_CORRUPT, "damaged");
    expect_works(sample);
    sample_close(sample);
}

Test(snap_call, a_wrong_file_checksum_ends_the_call, .timeout = 30)
{
    struct sample *sample = sample_open();
    sample->bytes[FIRST + 5] ^= 1;
    struct raw_stream *stream = call(sample);
    cr_assert(send_message(sample, stream));
    (void)send_data(sample, stream, 0, WHOLE);
    expect_refused(sample, stream, KE_CORRUPT, "checksum");
    sample->bytes[FIRST + 5] ^= 1;
    expect_works(sample);
    sample_close(sample);
}

Test(snap_call, a_stream_that_ends_too_early_is_refused_with_the_sizes, .timeout = 30)
{
    struct sample *sample = sample_open();
    static const size_t ends[] = {0, 1, FIRST, WHOLE - 1};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        struct raw_stream *stream = call(sample);
        cr_assert(send_message(sample, stream));
        if (ends[i] > 0)
            cr_assert(send_data(sample, stream, 0, ends[i]));
        raw_stream_half_close(stream);
        expect_refused(sample, stream, KE_INVALID, "of 5000 bytes");
    }
    expect_works(sample);
    sample_close(sample);
}

Test(snap_call, more_bytes_than_announced_end_the_call, .timeout = 30)
{
    struct sample *sample = sample_open();
    struct raw_stream *stream = call(sample);
    cr_assert(send_message(sample, stream));
    cr_assert(send_data(sample, stream, 0, WHOLE));
    (void)send_data(sample, stream, 0, 1);
    raw_stream_half_close(stream);
    expect_refused(sample, stream, KE_INVALID, "more bytes");
    expect_works(sample);
    sample_close(sample);
}

Test(snap_call, chunks_out_of_order_and_no_chunks_are_refused, .timeout = 30)
{
    struct sample *sample = sample_open();
    struct raw_stream *stream = call(sample);
    (void)send_data(sample, stream, 0, 100);
    expect_refused(sample, stream, KE_INVALID, "first snapshot chunk");
    stream = call(sample);
    cr_assert(send_message(sample, stream));
    (void)send_message(sample, stream);
    expect_refused(sample, stream, KE_INVALID, "second raft message");
    stream = call(sample);
    raw_stream_half_close(stream);
    expect_refused(sample, stream, KE_INVALID, "no snapshot");
    stream = call(sample);
    (void)raw_stream_send(stream, "\xff\xff", 2);
    expect_refused(sample, stream, KE_INVALID, "raft_serverpb.SnapshotChunk");
    expect_works(sample);
    sample_close(sample);
}

Test(snap_call, a_message_that_does_not_belong_here_is_refused, .timeout = 30)
{
    struct sample *sample = sample_open();
    struct wire_envelope right = sample->envelope;
    sample->envelope.from_store = 3;
    struct raw_stream *stream = call(sample);
    (void)send_message(sample, stream);
    expect_refused(sample, stream, KE_MISMATCH, "store 3");
    sample->envelope = right;
    sample->envelope.region_id = 9;
    stream = call(sample);
    (void)send_message(sample, stream);
    expect_refused(sample, stream, KE_MISMATCH, "region 9");
    sample->envelope = right;
    sample->message.type = RAFT_MESSAGE_APPEND;
    stream = call(sample);
    (void)send_message(sample, stream);
    expect_refused(sample, stream, KE_INVALID, "no snapshot");
    sample->message.type = RAFT_MESSAGE_SNAPSHOT;
    sample->message.snapshot->data[0] ^= 0xff;
    stream = call(sample);
    (void)send_message(sample, stream);
    expect_refused(sample, stream, KE_INVALID, "snapshot");
    sample->message.snapshot->data[0] ^= 0xff;
    expect_works(sample);
    sample_close(sample);
}

Test(snap_call, a_caller_that_does_not_introduce_itself_is_refused, .timeout = 30)
{
    struct sample *sample = sample_open();
    expect_refused(sample, raw_stream_open(sample->rig->address, SNAP_METHOD, NULL), KE_MISMATCH,
                   TRANSPORT_METADATA_CLUSTER);
    struct raw_identity other = sender;
    other.cluster = "8";
    expect_refused(sample, raw_stream_open(sample->rig->address, SNAP_METHOD, &other), KE_MISMATCH,
                   "cluster");
    expect_works(sample);
    sample_close(sample);
}

Test(snap_call, a_call_that_could_last_for_ever_is_refused, .timeout = 30)
{
    struct sample *sample = sample_open();
    expect_refused(sample, raw_stream_open_endless(sample->rig->address, SNAP_METHOD, &sender),
                   KE_INVALID, "deadline");
    expect_works(sample);
    sample_close(sample);
}

Test(snap_call, a_sender_that_goes_away_in_the_middle_leaves_nothing, .timeout = 30)
{
    struct sample *sample = sample_open();
    for (unsigned i = 0; i < 20; i++) {
        struct raw_stream *stream = call(sample);
        (void)send_message(sample, stream);
        (void)send_data(sample, stream, 0, 10 * (i + 1));
        raw_stream_cancel(stream);
        snap_rig_await_empty(&sample->rig->to);
    }
    cr_assert_eq(inbox_count(sample->rig->inbox), 0);
    snap_rig_stop_receiver(sample->rig);
    sample_close(sample);
}

Test(snap_call, a_snapshot_that_is_coming_already_is_refused, .timeout = 30)
{
    struct sample *sample = sample_open();
    struct raw_stream *first = call(sample), *second;
    cr_assert(send_message(sample, first));
    await_begun(sample);
    second = call(sample);
    (void)send_message(sample, second);
    expect_refused(sample, second, KE_BUSY, "already");
    /* The first one goes on. */
    cr_assert(send_data(sample, first, 0, WHOLE));
    raw_stream_half_close(first);
    cr_assert_eq(raw_stream_end(first, sample->words), GRPC_STATUS_OK, "%s", sample->words);
    sample_close(sample);
}

Test(snap_call, more_receives_than_allowed_at_once_are_refused, .timeout = 30)
{
    struct sample *sample = sample_open();
    struct raw_stream *taken[SNAP_RECEIVES_MAX];
    for (size_t i = 0; i < SNAP_RECEIVES_MAX; i++) {
        taken[i] = call(sample);
        sample->message.snapshot->index = 100 + i;
        cr_assert(send_message(sample, taken[i]));
        /* Taken in, not only sent: the next chunk is asked for. */
        cr_assert(send_data(sample, taken[i], 0, 1));
    }
    sample->message.snapshot->index = 100;
    await_begun(sample);
    struct raw_stream *stream = call(sample);
    (void)raw_stream_end_code(stream, sample->words, &sample->code);
    cr_assert_eq(sample->code, KE_BUSY, "%s", sample->words);
    for (size_t i = 0; i < SNAP_RECEIVES_MAX; i++)
        raw_stream_cancel(taken[i]);
    snap_rig_await_empty(&sample->rig->to);
    sample_close(sample);
}

/* ---- a full disk ---- */

#define DISK_BYTES (64 * MIB)

static char disk[] = "/tmp/keelfs-snap-disk-XXXXXX";

/* A file system of DISK_BYTES that only this process sees, and that goes with it; false
 * when this user may not mount one. */
static bool disk_mount(void)
{
    cr_assert_not_null(mkdtemp(disk));
    if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("tmpfs", disk, "tmpfs", 0, "size=64m") == 0)
        return true;
    cr_assert_eq(rmdir(disk), 0);
    return false;
}

static void disk_unmount(void)
{
    cr_assert_eq(umount(disk), 0);
    cr_assert_eq(rmdir(disk), 0);
}

/* Takes room until `left` bytes are free; with 0, all of it. */
static void disk_fill(uint64_t left)
{
    static uint8_t zeros[64 << 10];
    char path[sizeof(disk) + sizeof("/filler")];
    (void)snprintf(path, sizeof(path), "%s/filler", disk);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    struct statvfs room;
    while (statvfs(disk, &room) == 0 && (uint64_t)room.f_bavail * room.f_frsize > left) {
        if (write(fd, zeros, sizeof(zeros)) < 0)
            break;
    }
    cr_assert_eq(close(fd), 0);
}

Test(snap_call, a_snapshot_for_which_there_is_no_room_is_refused_before_it_is_written,
     .timeout = 60)
{
    if (!disk_mount())
        cr_skip("no right to mount");
    struct snap_rig *rig = snap_rig_open_at(0, disk);
    static const uint64_t sizes[CF_COUNT] = {DISK_BYTES - (8 * MIB)};
    cr_assert_not(snap_rig_send(rig, 100, sizes));
    cr_assert_eq(inbox_count(rig->inbox), 0);
    snap_rig_await_empty(&rig->to);
    snap_rig_close(rig);
    disk_unmount();
}

Test(snap_call, a_disk_that_gets_full_in_the_middle_leaves_nothing_and_the_next_one_works,
     .timeout = 60)
{
    if (!disk_mount())
        cr_skip("no right to mount");
    struct snap_rig *rig = snap_rig_open_at(8 * MIB, disk);
    static const uint64_t sizes[CF_COUNT] = {16 * MIB};
    struct raft_message message;
    struct wire_envelope envelope;
    snap_rig_make(rig, 100, sizes, &message, &envelope);
    snap_runner_send(rig->from.runner, rig->address, &envelope, &message);
    while (snap_rig_file_count(&rig->to) == 0)
        (void)usleep(1000);
    disk_fill(0);
    snap_rig_await(rig, 1);
    cr_assert_eq(rig->failed, 1);
    cr_assert_eq(inbox_count(rig->inbox), 0);
    snap_rig_await_empty(&rig->to);
    snap_rig_forget(rig, &message);
    char path[sizeof(disk) + sizeof("/filler")];
    (void)snprintf(path, sizeof(path), "%s/filler", disk);
    cr_assert_eq(unlink(path), 0);
    cr_assert(snap_rig_send(rig, 101, sizes));
    snap_rig_close(rig);
    disk_unmount();
}
