#include "raftstore/snap_writer.h"

#include "raftstore/log.h"
#include "raftstore/memory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* So many bytes are sent on their way to the disk at a time: the sync at the end
 * would else be one long burst that the log's own syncs wait behind. */
#define FLUSH_BYTES (8u << 20)

#define FILE_MODE 0600

static int errno_error(int number, const char *what, const char *path, struct err *e)
{
    bool full = number == ENOSPC || number == EDQUOT;
    return err_set(e, full ? KE_NO_SPACE : KE_IO, "cannot %s %s: %s", what, path, strerror(number));
}

static const char *current_path(const struct snap_writer *writer, char *out)
{
    snap_files_path(writer->files, &writer->id, (enum engine_cf)writer->cf, true, out);
    return out;
}

static int check_room(const struct snap_writer *writer, struct err *e)
{
    char path[PATH_MAX];
    snap_files_path(writer->files, &writer->id, (enum engine_cf)0, true, path);
    *strrchr(path, '/') = '\0';
    struct statvfs room;
    if (statvfs(path, &room) != 0)
        return errno_error(errno, "look at", path, e);
    uint64_t free_bytes = (uint64_t)room.f_bavail * room.f_frsize;
    if (free_bytes >= SNAP_ROOM_MIN && free_bytes - SNAP_ROOM_MIN >= writer->meta.total_bytes)
        return 0;
    return err_set(e, KE_NO_SPACE,
                   "no room for a snapshot of %" PRIu64 " bytes: %" PRIu64
                   " are free, and %llu must stay so",
                   writer->meta.total_bytes, free_bytes, SNAP_ROOM_MIN);
}

int snap_writer_begin(struct snap_writer *writer, struct snap_files *files,
                      const struct snap_id *id, const struct snapshot_meta *meta, struct err *e)
{
    *writer = (struct snap_writer){.files = files, .id = *id, .meta = *meta, .fd = -1};
    int rc = check_room(writer, e);
    if (rc != 0)
        return rc;
    if (!snap_files_begin(files, id))
        return err_set(e, KE_BUSY, "the snapshot at index %" PRIu64 " is here or coming already",
                       id->index);
    writer->hash = XXH32_createState();
    if (writer->hash == NULL)
        log_fatal("out of memory: the state of a checksum");
    return 0;
}

/* ---- one file ---- */

static int open_file(struct snap_writer *writer, struct err *e)
{
    char path[PATH_MAX];
    (void)current_path(writer, path);
    writer->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, FILE_MODE);
    if (writer->fd < 0)
        return errno_error(errno, "create", path, e);
    writer->written = 0;
    writer->flushed = 0;
    (void)XXH32_reset(writer->hash, 0);
    return 0;
}

static int write_bytes(struct snap_writer *writer, const uint8_t *data, size_t size, struct err *e)
{
    for (size_t done = 0; done < size;) {
        ssize_t count = write(writer->fd, data + done, size - done);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0) {
            int number = errno;
            char path[PATH_MAX];
            return errno_error(number, "write", current_path(writer, path), e);
        }
        done += (size_t)count;
    }
    (void)XXH32_update(writer->hash, data, size);
    writer->written += size;
    if (writer->written - writer->flushed >= FLUSH_BYTES) {
        /* Only starts it. Whether it succeeded, the sync at the end says. */
        (void)sync_file_range(writer->fd, (off_t)writer->flushed,
                              (off_t)(writer->written - writer->flushed), SYNC_FILE_RANGE_WRITE);
        writer->flushed = writer->written;
    }
    return 0;
}

static int end_file(struct snap_writer *writer, struct err *e)
{
    char path[PATH_MAX];
    int rc = close(writer->fd);
    writer->fd = -1;
    if (rc != 0)
        return errno_error(errno, "write", current_path(writer, path), e);
    if (XXH32_digest(writer->hash) != writer->meta.files[writer->cf].checksum)
        return err_set(e, KE_CORRUPT, "the checksum of %s is wrong", current_path(writer, path));
    writer->cf++;
    return 0;
}

/* ---- the stream ---- */

/* Files without a row are not there. */
static void skip_empty(struct snap_writer *writer)
{
    while (writer->cf < CF_COUNT && writer->meta.files[writer->cf].size == 0)
        writer->cf++;
}

int snap_writer_put(struct snap_writer *writer, const uint8_t *data, size_t size, struct err *e)
{
    if (size > writer->meta.total_bytes - writer->taken)
        return err_set(e, KE_INVALID,
                       "the snapshot has more bytes than the %" PRIu64 " that were announced",
                       writer->meta.total_bytes);
    writer->taken += size;
    while (size > 0) {
        skip_empty(writer);
        assert(writer->cf < CF_COUNT);
        int rc = writer->fd < 0 ? open_file(writer, e) : 0;
        uint64_t left = writer->meta.files[writer->cf].size - writer->written;
        size_t part = size < left ? size : (size_t)left;
        if (rc == 0)
            rc = write_bytes(writer, data, part, e);
        if (rc == 0 && part == left)
            rc = end_file(writer, e);
        if (rc != 0)
            return rc;
        data += part;
        size -= part;
    }
    return 0;
}

int snap_writer_commit(struct snap_writer *writer, struct err *e)
{
    if (writer->taken < writer->meta.total_bytes)
        return err_set(e, KE_INVALID, "the snapshot ended after %" PRIu64 " of %" PRIu64 " bytes",
                       writer->taken, writer->meta.total_bytes);
    int rc = snap_files_commit(writer->files, &writer->id, &writer->meta, e);
    if (rc != 0)
        return rc;
    (void)XXH32_freeState(writer->hash);
    writer->hash = NULL;
    return 0;
}

void snap_writer_abort(struct snap_writer *writer)
{
    if (writer->fd >= 0)
        (void)close(writer->fd);
    (void)XXH32_freeState(writer->hash);
    snap_files_unref(writer->files, &writer->id);
}
