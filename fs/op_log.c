#include "fs/op_log.h"

#include "fs/control_handle.h"
#include "fs/time_text.h"
#include "fs/waiters.h"
#include "raftstore/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Text that is made at a time and not read yet. */
#define TEXT_MAX (64u << 10)

struct op_log_reader {
    struct control_handle handle;
    /* Guarded by the log's lock. */
    struct op_log_reader *next;
    struct record_place place;
    struct waiters waiters;
};

void op_log_init(struct op_log *log)
{
    pthread_mutex_init(&log->lock, NULL);
}

void op_log_release(struct op_log *log)
{
    pthread_mutex_destroy(&log->lock);
}

/* --- writing --- */

/* Under the lock: every wait ends. */
static void end_rounds(struct op_log *log, struct waiters *all)
{
    for (struct op_log_reader *reader = log->readers; reader != NULL; reader = reader->next) {
        struct waiters ended;
        waiters_end_round(&reader->waiters, &ended);
        waiters_move(&ended, all);
    }
}

void op_log_add(struct op_log *log, const struct op_record *record, const char *words, int error,
                uint64_t elapsed_ns)
{
    struct waiters all = {0};
    char time[TIME_TEXT_MAX];
    char line[OP_TEXT_MAX + 256];
    int size = snprintf(line, sizeof(line),
                        "%s [uid:%" PRIu32 ",gid:%" PRIu32 ",pid:%" PRIu32 "] %s: %s <%.6f>\n",
                        time_text(fs_wall_clock_ns(), time), record->uid, record->gid, record->pid,
                        words, op_result_text(error), (double)elapsed_ns / 1e9);

    pthread_mutex_lock(&log->lock);
    if (log->readers != NULL) {
        record_ring_add(&log->ring, line, (size_t)size, NULL, 0);
        end_rounds(log, &all);
    }
    pthread_mutex_unlock(&log->lock);
    waiters_finish(&all);
}

/* --- reading --- */

static uint64_t reader_fill(struct control_handle *handle)
{
    struct op_log_reader *reader = (struct op_log_reader *)handle;
    struct op_log *log = &handle->fs->op_log;
    const void *line;
    size_t size;
    uint64_t lost;

    pthread_mutex_lock(&log->lock);
    while (stream_unread(&handle->stream) < TEXT_MAX &&
           record_ring_read(&log->ring, &reader->place, &line, &size, &lost)) {
        if (lost > 0) {
            char words[64];
            int length = snprintf(words, sizeof(words),
                                  "# %" PRIu64 " lines are lost: read too slowly\n", lost);
            stream_add(&handle->stream, words, (size_t)length);
        }
        stream_add(&handle->stream, line, size);
    }
    uint64_t round = reader->waiters.round;
    pthread_mutex_unlock(&log->lock);
    return round;
}

static bool reader_wait(struct control_handle *handle, uint64_t round, struct op *op)
{
    struct op_log *log = &handle->fs->op_log;

    pthread_mutex_lock(&log->lock);
    bool is_added = waiters_add(&((struct op_log_reader *)handle)->waiters, round, op);
    pthread_mutex_unlock(&log->lock);
    return is_added;
}

static void reader_stop(struct control_handle *handle)
{
    struct op_log *log = &handle->fs->op_log;
    struct waiters ended;

    pthread_mutex_lock(&log->lock);
    waiters_end_round(&((struct op_log_reader *)handle)->waiters, &ended);
    pthread_mutex_unlock(&log->lock);
    waiters_fail(&ended, KE_SHUTDOWN);
}

static void reader_free(struct control_handle *handle)
{
    struct op_log_reader *reader = (struct op_log_reader *)handle;
    struct op_log *log = &handle->fs->op_log;

    pthread_mutex_lock(&log->lock);
    struct op_log_reader **link = &log->readers;
    while (*link != reader)
        link = &(*link)->next;
    *link = reader->next;
    atomic_fetch_sub(&log->reader_count, 1);
    if (log->readers == NULL)
        record_ring_release(&log->ring);
    pthread_mutex_unlock(&log->lock);
    waiters_drop(&reader->waiters);
    free(reader);
}

static const struct control_handle_ops reader_ops = {
    .fill = reader_fill,
    .wait = reader_wait,
    .stop = reader_stop,
    .free = reader_free,
};

/* From now on. False: too many read. */
static bool join(struct op_log *log, struct op_log_reader *reader)
{
    pthread_mutex_lock(&log->lock);
    bool has_room = atomic_load(&log->reader_count) < OP_LOG_READERS_MAX;
    if (has_room) {
        if (log->readers == NULL)
            record_ring_init(&log->ring, OP_LOG_BYTES);
        reader->place = record_ring_end(&log->ring);
        reader->next = log->readers;
        log->readers = reader;
        atomic_fetch_add(&log->reader_count, 1);
    }
    pthread_mutex_unlock(&log->lock);
    return has_room;
}

struct control_handle *op_log_open(struct fs *fs, int *ret_code)
{
    struct op_log_reader *reader = mem_zalloc(sizeof(*reader));

    if (!join(&fs->op_log, reader)) {
        free(reader);
        *ret_code = KE_BUSY;
        return NULL;
    }
    control_handle_init(&reader->handle, fs, &reader_ops);
    return &reader->handle;
}
