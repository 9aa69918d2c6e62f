/* Snapshots between two stores: what arrives whole, and what leaves nothing. */
#include "raftstore/op.h"
#include "raftstore/thread.h"

#include "raw_stream.h"
#include "snap_rig.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB ((uint64_t)1 << 20)

/* Sizes below, at and above that of a chunk, and a family without rows. */
static const uint64_t several[CF_COUNT] = {5 * MIB + 77, MIB, 0, 1, MIB - 1};
static const uint64_t small[CF_COUNT] = {1000, 10};
static const uint64_t large[CF_COUNT] = {32 * MIB, 8 * MIB};

/* The receiver is done with what it got. */
static void drop_received(struct snap_rig *rig, uint64_t index)
{
    struct snap_id id = snap_rig_id(SNAP_RECEIVED, index);
    snap_files_unref(rig->to.files, &id);
}

/* Still works, whatever came before. */
static void expect_works(struct snap_rig *rig, uint64_t index)
{
    size_t before = inbox_count(rig->inbox);
    cr_assert(snap_rig_send(rig, index, several));
    cr_assert_eq(inbox_count(rig->inbox), before + 1);
    cr_assert(snap_rig_equal(rig, index, several));
    drop_received(rig, index);
    cr_assert_eq(snap_rig_file_count(&rig->to), 0);
}

Test(snap, several_files_and_an_empty_one_arrive_whole_and_only_then_the_message, .timeout = 60)
{
    struct snap_rig *rig = snap_rig_open(0);
    cr_assert(snap_rig_send(rig, 100, several));
    cr_assert_eq(inbox_count(rig->inbox), 1);
    const struct raft_message *m = &rig->inbox->messages[0];
    cr_assert_eq(m->type, RAFT_MESSAGE_SNAPSHOT);
    cr_assert_eq(m->snapshot->index, 100);
    cr_assert_eq(m->snapshot->term, SNAP_RIG_TERM);
    cr_assert_eq(rig->inbox->envelopes[0].from_store, 2);
    struct snapshot_meta meta;
    cr_assert_eq(snapshot_unpack(m->snapshot, &meta, NULL), 0);
    struct snap_id id = snap_rig_id(SNAP_RECEIVED, 100);
    struct err e;
    cr_assert_eq(snap_files_verify(rig->to.files, &id, &meta, &e), 0, "%s", e.text);
    cr_assert(snap_rig_equal(rig, 100, several));
    /* One reference came with the message; the sender's files are gone with the test's. */
    drop_received(rig, 100);
    cr_assert_eq(snap_rig_file_count(&rig->to), 0);
    cr_assert_eq(snap_rig_file_count(&rig->from), 0);
    snap_rig_close(rig);
}

Test(snap, a_snapshot_without_any_row_arrives, .timeout = 60)
{
    struct snap_rig *rig = snap_rig_open(0);
    static const uint64_t none[CF_COUNT] = {0};
    cr_assert(snap_rig_send(rig, 100, none));
    cr_assert_eq(inbox_count(rig->inbox), 1);
    drop_received(rig, 100);
    snap_rig_close(rig);
}

Test(snap, one_after_another_arrive, .timeout = 60)
{
    struct snap_rig *rig = snap_rig_open(0);
    for (uint64_t index = 100; index < 120; index++)
        expect_works(rig, index);
    snap_rig_close(rig);
}

Test(snap, nobody_there_is_a_failure_that_is_reported, .timeout = 60)
{
    struct snap_rig *rig = snap_rig_open(0);
    struct raft_message message;
    struct wire_envelope envelope;
    snap_rig_make(rig, 100, small, &message, &envelope);
    snap_runner_send(rig->from.runner, "127.0.0.1:1", &envelope, &message);
    snap_rig_await(rig, 1);
    cr_assert_eq(rig->failed, 1);
    snap_rig_forget(rig, &message);
    expect_works(rig, 101);
    snap_rig_close(rig);
}

Test(snap, files_that_are_gone_are_a_failure_that_is_reported, .timeout = 60)
{
    struct snap_rig *rig = snap_rig_open(0);
    struct raft_message message;
    struct wire_envelope envelope;
    snap_rig_make(rig, 100, small, &message, &envelope);
    struct snap_id id = snap_rig_id(SNAP_GENERATED, 100);
    snap_files_unref(rig->from.files, &id);
    snap_runner_send(rig->from.runner, rig->address, &envelope, &message);
    snap_rig_await(rig, 1);
    cr_assert_eq(rig->failed, 1);
    raft_message_release(&message);
    expect_works(rig, 101);
    snap_rig_close(rig);
}

Test(snap, a_file_that_became_shorter_ends_the_sending_and_leaves_nothing, .timeout = 60)
{
    struct snap_rig *rig = snap_rig_open(0);
    struct raft_message message;
    struct wire_envelope envelope;
    snap_rig_make(rig, 100, several, &message, &envelope);
    struct snap_id id = snap_rig_id(SNAP_GENERATED, 100);
    char path[PATH_MAX];
    snap_files_path(rig->from.files, &id, CF_DEFAULT, false, path);
    cr_assert_eq(truncate(path, 4 * MIB), 0);
    snap_runner_send(rig->from.runner, rig->address, &envelope, &message);
    snap_rig_await(rig, 1);
    cr_assert_eq(rig->failed, 1);
    snap_rig_forget(rig, &message);
    snap_rig_await_empty(&rig->to);
    cr_assert_eq(inbox_count(rig->inbox), 0);
    expect_works(rig, 101);
    snap_rig_close(rig);
}

Test(snap, a_damaged_file_at_the_sender_is_found_by_the_checksum, .timeout = 60)
{
    struct snap_rig *rig = snap_rig_open(0);
    struct raft_message message;
    struct wire_envelope envelope;
    snap_rig_make(rig, 100, several, &message, &envelope);
    struct snap_id id = snap_rig_id(SNAP_GENERATED, 100);
    char path[PATH_MAX];
    snap_files_path(rig->from.files, &id, CF_META, false, path);
    int fd = open(path, O_RDWR);
    uint8_t byte;
    cr_assert_eq(pread(fd, &byte, 1, 5000), 1);
    byte ^= 1;
    cr_assert_eq(pwrite(fd, &byte, 1, 5000), 1);
    cr_assert_eq(close(fd), 0);
    snap_runner_send(rig->from.runner, rig->address, &envelope, &message);
    snap_rig_await(rig, 1);
    cr_assert_eq(rig->failed, 1);
    snap_rig_forget(rig, &message);
    snap_rig_await_empty(&rig->to);
    cr_assert_eq(inbox_count(rig->inbox), 0);
    snap_rig_close(rig);
}

Test(snap, a_sender_that_is_not_admitted_sends_nothing, .timeout = 60)
{
    struct snap_rig *rig = snap_rig_open(0);
    inbox_set_admits(rig->inbox, KE_REMOVED);
    cr_assert_not(snap_rig_send(rig, 100, small));
    cr_assert_eq(inbox_count(rig->inbox), 0);
    cr_assert_eq(snap_rig_file_count(&rig->to), 0);
    inbox_set_admits(rig->inbox, 0);
    expect_works(rig, 100);
    snap_rig_close(rig);
}

/* ---- ends ---- */

/* Slow enough to be in the middle for long; 40 MiB take 20 s. */
#define SLOW_RATE (2 * MIB)

/* Starts to send, and waits until bytes have come. */
static void start_slowly(struct snap_rig *rig, uint64_t index, struct raft_message *message)
{
    struct wire_envelope envelope;
    snap_rig_make(rig, index, large, message, &envelope);
    snap_runner_send(rig->from.runner, rig->address, &envelope, message);
    struct snap_id id = snap_rig_id(SNAP_RECEIVED, index);
    char path[PATH_MAX];
    snap_files_path(rig->to.files, &id, CF_DEFAULT, true, path);
    while (access(path, F_OK) != 0)
        (void)usleep(1000);
}

Test(snap, a_sender_that_ends_in_the_middle_leaves_nothing_and_reports_it, .timeout = 60)
{
    struct snap_rig *rig = snap_rig_open(SLOW_RATE);
    struct raft_message message;
    start_slowly(rig, 100, &message);
    snap_rig_stop_sender(rig);
    cr_assert_eq(rig->failed, 1);
    cr_assert_eq(rig->succeeded, 0);
    snap_rig_await_empty(&rig->to);
    cr_assert_eq(inbox_count(rig->inbox), 0);
    snap_rig_forget(rig, &message);
    snap_rig_close(rig);
}

Test(snap, a_receiver_that_ends_in_the_middle_leaves_nothing_and_the_sender_is_told, .timeout = 60)
{
    struct snap_rig *rig = snap_rig_open(SLOW_RATE);
    struct raft_message message;
    start_slowly(rig, 100, &message);
    snap_rig_stop_receiver(rig);
    cr_assert_eq(snap_rig_file_count(&rig->to), 0);
    snap_rig_await(rig, 1);
    cr_assert_eq(rig->failed, 1);
    cr_assert_eq(inbox_count(rig->inbox), 0);
    snap_rig_forget(rig, &message);
    snap_rig_close(rig);
}

Test(snap, a_server_may_stop_before_the_runner, .timeout = 60)
{
    struct snap_rig *rig = snap_rig_open(SLOW_RATE);
    struct raft_message message;
    start_slowly(rig, 100, &message);
    rpc_server_stop(rig->server);
    snap_rig_await(rig, 1);
    snap_runner_stop(rig->to.runner);
    cr_assert_eq(snap_rig_file_count(&rig->to), 0);
    rpc_server_free(rig->server);
    snap_runner_free(rig->to.runner);
    rig->server = NULL;
    snap_rig_forget(rig, &message);
    snap_rig_close(rig);
}

Test(snap, what_is_to_be_sent_after_the_end_is_reported_as_failed, .timeout = 60)
{
    struct snap_rig *rig = snap_rig_open(0);
    struct raft_message message;
    struct wire_envelope envelope;
    snap_rig_make(rig, 100, small, &message, &envelope);
    snap_runner_stop(rig->from.runner);
    snap_runner_send(rig->from.runner, rig->address, &envelope, &message);
    cr_assert_eq(rig->failed, 1);
    snap_runner_free(rig->from.runner);
    rig->from.runner = NULL;
    snap_rig_forget(rig, &message);
    snap_rig_close(rig);
}

Test(snap, more_sends_than_allowed_at_once_fail, .timeout = 60)
{
    struct snap_rig *rig = snap_rig_open(SLOW_RATE);
    struct raft_message messages[SNAP_SENDS_MAX];
    for (size_t i = 0; i < SNAP_SENDS_MAX; i++)
        start_slowly(rig, 100 + i, &messages[i]);
    cr_assert_not(snap_rig_send(rig, 200, small));
    snap_rig_stop_sender(rig);
    snap_rig_await_empty(&rig->to);
    for (size_t i = 0; i < SNAP_SENDS_MAX; i++)
        snap_rig_forget(rig, &messages[i]);
    snap_rig_close(rig);
}

/* ---- the rate, and the others on the way ---- */

Test(snap, no_more_bytes_a_second_than_the_rate_are_sent, .timeout = 60)
{
    struct snap_rig *rig = snap_rig_open(16 * MIB);
    static const uint64_t sizes[CF_COUNT] = {12 * MIB, 4 * MIB};
    uint64_t start_ns = clock_ns();
    cr_assert(snap_rig_send(rig, 100, sizes));
    uint64_t took_ms = (clock_ns() - start_ns) / 1000000;
    /* A second, less a chunk and what may be made up for. */
    cr_assert_geq(took_ms, 850);
    drop_received(rig, 100);
    snap_rig_close(rig);
}

static int compare_u64(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

Test(snap, raft_messages_do_not_wait_behind_a_large_snapshot, .timeout = 60)
{
    struct snap_rig *rig = snap_rig_open(0);
    struct transport *transport = inbox_transport(rig->inbox, TEST_CLUSTER, 2);
    transport_set_address(transport, 1, rig->address);
    inbox_connect(rig->inbox, transport);
    struct raft_message message;
    struct wire_envelope envelope;
    static const uint64_t sizes[CF_COUNT] = {256 * MIB};
    snap_rig_make(rig, 100, sizes, &message, &envelope);
    snap_runner_send(rig->from.runner, rig->address, &envelope, &message);
    static uint64_t took_ns[INBOX_MESSAGES_MAX / 2];
    size_t count = 0;
    while (count < INBOX_MESSAGES_MAX / 2 && snap_rig_reports(rig) == 0) {
        size_t before = inbox_count(rig->inbox);
        uint64_t start_ns = clock_ns();
        inbox_send(transport, 1, 100);
        inbox_await(rig->inbox, before + 1);
        took_ns[count++] = clock_ns() - start_ns;
    }
    snap_rig_await(rig, 1);
    cr_assert_eq(rig->succeeded, 1);
    qsort(took_ns, count, sizeof(took_ns[0]), compare_u64);
    cr_log_info("%zu messages, median %llu us, longest %llu us", count,
                (unsigned long long)took_ns[count / 2] / 1000,
                (unsigned long long)took_ns[count - 1] / 1000);
    cr_assert_lt(took_ns[count / 2], 20000000);
    cr_assert_lt(took_ns[count - 1], 400000000);
    transport_free(transport);
    snap_rig_forget(rig, &message);
    drop_received(rig, 100);
    snap_rig_close(rig);
}
