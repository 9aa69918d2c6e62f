/* The snapshot files of a data directory: DIR/snap.
 *
 *     gen_REGION_TERM_INDEX_CF.sst   made here, to be sent
 *     rev_REGION_TERM_INDEX_CF.sst   received whole and checked, to be applied
 *     *.tmp                          being written
 *
 * A snapshot's files live as long as somebody holds a reference. At open all files
 * go but those of the snapshot that was being applied at the crash (`keep`). Any
 * thread may call.
 */
#ifndef KEELFS_RAFTSTORE_SNAP_FILES_H
#define KEELFS_RAFTSTORE_SNAP_FILES_H

#include "raftstore/err.h"
#include "raftstore/snapshot.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

enum snap_kind { SNAP_GENERATED, SNAP_RECEIVED };

struct snap_id {
    enum snap_kind kind;
    uint64_t region_id;
    uint64_t term;
    uint64_t index;
};

struct snap_files;

/* Makes the directory when missing. `keep` may be NULL; else it is a complete set
 * with one reference, whether its files are there or not. */
int snap_files_open(const char *data_dir, const struct snap_id *keep, struct snap_files **ret_files,
                    struct err *e);
void snap_files_close(struct snap_files *files); /* NULL is fine */

/* Sets there may be at a time: what is built, sent, received and applied. */
#define SNAP_FILES_MAX 32

/* A new set of files is being written by the caller; false when there is one of that
 * id, or SNAP_FILES_MAX of others. One reference. */
bool snap_files_begin(struct snap_files *files, const struct snap_id *id);
/* It is complete: the .tmp files that `meta` names get their names. Durable on return
 * when it was received. On failure the reference is still to be dropped. */
int snap_files_commit(struct snap_files *files, const struct snap_id *id,
                      const struct snapshot_meta *meta, struct err *e);
/* False when there is no complete one. */
bool snap_files_ref(struct snap_files *files, const struct snap_id *id);
/* The files go with the last reference. */
void snap_files_unref(struct snap_files *files, const struct snap_id *id);

/* `out` has PATH_MAX bytes. */
void snap_files_path(const struct snap_files *files, const struct snap_id *id, enum engine_cf cf,
                     bool temporary, char *out);

/* Size and XXH32 of a file, as struct snapshot_file has them. */
int snap_files_checksum(const char *path, uint64_t *ret_size, uint32_t *ret_checksum,
                        struct err *e);
/* Checks sizes and checksums of a complete set. KE_CORRUPT names the file. Not once
 * its tables have been put into an engine, which writes a number into them. */
int snap_files_verify(struct snap_files *files, const struct snap_id *id,
                      const struct snapshot_meta *meta, struct err *e);
/* The sizes alone. */
int snap_files_verify_sizes(struct snap_files *files, const struct snap_id *id,
                            const struct snapshot_meta *meta, struct err *e);

/* Removes files nobody has a reference to: what a broken transfer left. Now and
 * then; the number is for the log. */
unsigned snap_files_sweep(struct snap_files *files);

#endif
