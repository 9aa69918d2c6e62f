/* Takes the bytes of a snapshot in, one file after another, into temporary files of
 * snap_files.h, and checks them.
 *
 * Owned by one thread, embedded by its owner. What snap_writer_begin() has begun ends
 * with snap_writer_commit() or snap_writer_abort(); afterwards nothing is left but,
 * in the first case, the complete files and one reference to them.
 */
#ifndef KEELFS_RAFTSTORE_SNAP_WRITER_H
#define KEELFS_RAFTSTORE_SNAP_WRITER_H

#include "raftstore/err.h"
#include "raftstore/snap_files.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xxhash.h>

/* Room that must remain on the disk: a snapshot must not stop the log from being
 * written. */
#define SNAP_ROOM_MIN (32ull << 20)

struct snap_writer {
    struct snap_files *files;
    struct snap_id id;
    struct snapshot_meta meta;
    uint64_t taken; /* bytes so far, of all files */
    size_t cf;      /* the file being written, CF_COUNT: all are */
    int fd;         /* -1: not open yet */
    uint64_t written;
    uint64_t flushed; /* of these; the rest has not been sent to the disk yet */
    XXH32_state_t *hash;
};

/* KE_BUSY: a snapshot of that id is here or coming; KE_NO_SPACE. */
int snap_writer_begin(struct snap_writer *writer, struct snap_files *files,
                      const struct snap_id *id, const struct snapshot_meta *meta, struct err *e);
/* KE_INVALID: more bytes than announced; KE_CORRUPT: a file's checksum is wrong;
 * KE_NO_SPACE, KE_IO. */
int snap_writer_put(struct snap_writer *writer, const uint8_t *data, size_t size, struct err *e);
/* KE_INVALID: fewer bytes than announced. Durable on return; the reference is the
 * caller's. After an error it is for snap_writer_abort() as before. */
int snap_writer_commit(struct snap_writer *writer, struct err *e);
void snap_writer_abort(struct snap_writer *writer);

#endif
