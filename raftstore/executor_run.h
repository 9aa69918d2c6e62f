/* Private to the executor: one command while it runs.
 *
 * A request of any kind checks everything first and then writes; what it wrote
 * is undone when a later request of its command fails (executor_run). All reads
 * go through the batch, so they see what came before. A read that fails ends the
 * process: this node cannot know any more what the others made of the command.
 *
 * Paths are valid and NUL-terminated, "" is the root. A path has at most one of
 * the rows `path` and `path/`.
 */
#ifndef KEELFS_RAFTSTORE_EXECUTOR_RUN_H
#define KEELFS_RAFTSTORE_EXECUTOR_RUN_H

#include "raft_cmdpb.pb-c.h"
#include "raftstore/arena.h"
#include "raftstore/attr_row.h"
#include "raftstore/command.h"
#include "raftstore/executor.h"
#include "raftstore/hole_map.h"
#include "raftstore/path.h"
#include "raftstore/row_cache.h"
#include "raftstore/tree.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The directory above a path. */
struct parent {
    char path[PATH_BYTES_MAX + 1];
    struct attr_row row;
};

/* What is known of the volume without a look. A revision names one state of it, so this
 * holds as long as the next command starts at the revision where the last one ended. */
struct known {
    uint64_t revision;
    struct row_cache *attr_rows; /* of CF_ATTR */
    bool has_usage;
    bool usage_changed; /* since it was put into the batch; has_usage */
    struct tree_usage usage;
};

struct executor {
    struct engine *kv;
    struct known known;
    struct arena arena; /* of the command that runs */
    struct executor_admin admin;
    struct change *changes;
    size_t change_count;
    size_t change_room;
    struct arena change_paths;
    uint8_t chunk[TREE_CHUNK_SIZE]; /* the row that is being rewritten */
};

struct run {
    struct executor *executor;
    struct engine_batch *batch;
    struct op_result *result;
    uint64_t revision;
    bool wrote; /* and so set a save point */
    bool sets_quota;
    struct tree_quota quota; /* to be set */
    /* From the command. */
    int64_t time_ns;
    uint32_t uid;
    uint32_t gid;
    /* What the command changes of the volume's usage. */
    int64_t files_added;
    int64_t bytes_added;
    /* Of COMMAND_CHUNKS_MAX. */
    uint64_t chunks;
};

/* --- executor_rows.c: rows of the namespace --- */

/* Checks a path as it came and copies it into `out` (PATH_BYTES_MAX + 1 bytes).
 * 0 or a code of path_check(). */
int run_take_path(ProtobufCBinaryData bytes, char *out);
/* The same, but the empty path is the root. */
int run_take_path_or_root(ProtobufCBinaryData bytes, char *out);

/* A file with several names, by its id; false when it has not. */
bool run_find_home(struct run *run, uint64_t id, struct attr_row *ret_row);
/* False: there is none. */
bool run_find(struct run *run, const char *path, struct attr_row *ret_row);
/* KE_NOT_FOUND, or KE_NOT_DIR when something above `path` is not a directory:
 * the answer for a path that was not found. */
int run_missing_code(struct run *run, const char *path);
/* The object that the caller opened, by the name it knows or, of a file with several, by
 * whichever: 0, or KE_STALE when there is no such object any more, or not there. */
int run_find_opened(struct run *run, const char *path, uint64_t id, struct attr_row *ret_row);
/* 0, KE_NOT_FOUND or KE_NOT_DIR. */
int run_find_parent(struct run *run, const char *path, struct parent *ret_parent);
/* The same, making missing directories; `*ret_parent` is the last. */
int run_make_parents(struct run *run, const char *path, struct parent *ret_parent);
bool run_is_empty_directory(struct run *run, const char *path);

/* Makes an object: `row` has type, mode, uid, gid, size and target; gets times,
 * version and id, and what it inherits. The path is free and `parent` exists. Content
 * and its usage are left to the caller. */
void run_add(struct run *run, const char *path, struct parent *parent, uint32_t umask,
             struct attr_row *row);
/* Writes the row of an object that changed, with the next version. */
void run_change(struct run *run, const char *path, struct attr_row *row);
/* Removes a name of an object that holds nothing below it, and with the last name the
 * object: row, content, extended attributes, usage. `row` is what it is then. */
void run_erase(struct run *run, const char *path, struct attr_row *row);
/* An entry of the directory came or went. */
void run_touch_parent(struct run *run, struct parent *parent);
/* The entry has this type: the directory counts its directories. To be written by
 * run_touch_parent(). */
void run_count_entry(struct parent *parent, enum file_type type, int change);

/* The least: no revision, no change reported. */
void run_put_row(struct run *run, const char *path, const struct attr_row *row);
/* The same for a name that is new to the object. */
void run_put_name(struct run *run, const char *path, const struct attr_row *row);
void run_delete_row(struct run *run, const char *path, bool directory);
uint64_t run_next_revision(struct run *run);
/* `to` may be NULL. */
void run_report(struct run *run, enum change_kind kind, const char *path, const char *to,
                const struct attr *attr);
/* What the path of this request is now. */
void run_answer(struct run *run, const struct attr_row *row);

/* Ends the process: a row cannot be read, or makes no sense. */
void run_stop_unreadable(int code) __attribute__((noreturn));

/* Through the batch to the engine. False: no such row. `*ret_value` is malloc'ed. */
bool run_get(struct run *run, enum engine_cf cf, struct bytes key, uint8_t **ret_value,
             size_t *ret_size);
void run_put(struct run *run, enum engine_cf cf, struct bytes key, struct bytes value);
void run_delete(struct run *run, enum engine_cf cf, struct bytes key);
void run_delete_range(struct run *run, enum engine_cf cf, struct bytes from, struct bytes to);

/* Adds what the command changed to the volume's usage, the last that can fail: KE_QUOTA
 * when it adds what the volume may not hold. */
int run_add_usage(struct run *run);

/* --- executor_holes.c: which chunks of a file have rows --- */

struct holes {
    struct run *run;
    uint64_t id;
    uint32_t chunks; /* of the file */
    uint32_t count;  /* of those, without a row */
    bool held;       /* `map` is that of `group`: */
    uint32_t group;
    bool stored; /* it has a row */
    bool changed;
    struct hole_map map;
};

/* `attr` is the file's before the command. */
void holes_begin(struct holes *holes, struct run *run, const struct attr *attr);
bool holes_has_row(struct holes *holes, uint32_t chunk);
/* The chunk gets a row; chunks between the end and it become holes. */
void holes_add_row(struct holes *holes, uint32_t chunk);
/* The file has at least so many chunks; new ones are holes. */
void holes_extend(struct holes *holes, uint32_t chunks);
/* The rows of [from, to) go. */
void holes_dig(struct holes *holes, uint32_t from, uint32_t to);
/* The file has no more chunks than these. */
void holes_cut(struct holes *holes, uint32_t chunks);
/* Writes what changed and returns the number of holes. */
uint32_t holes_end(struct holes *holes);

/* --- executor_content.c: rows of content. They keep attr->size, attr->hole_chunks and
 *     the usage. --- */

void run_replace_content(struct run *run, struct attr *attr, const void *data, size_t size);
void run_truncate_content(struct run *run, struct attr *attr, uint64_t size);
/* The file goes: nothing of it is left. */
void run_erase_content(struct run *run, const struct attr *attr);
/* Checks that the write fits: 0 or KE_TOO_LARGE. */
int run_check_write(struct run *run, const struct attr *attr, const Keelfspb__WriteRequest *write);
void run_write_content(struct run *run, struct attr *attr, const Keelfspb__WriteRequest *write);

/* --- executor_xattr.c: extended attributes. They keep attr->xattr_bytes, in a row that
 *     is for the caller to write. --- */

/* False: there is none. `*ret_value` is malloc'ed. */
bool run_get_xattr(struct run *run, uint64_t id, struct bytes name, uint8_t **ret_value,
                   size_t *ret_size);
/* 0, KE_EXISTS, KE_NO_XATTR or KE_NO_SPACE, and then nothing is written. */
int run_put_xattr(struct run *run, struct attr *attr, struct bytes name, struct bytes value,
                  enum command_xattr_mode mode);
/* Removes them all; returns what they were, for as long as the list of changes, unless
 * that is too much to keep. */
const struct change_xattr *run_erase_xattrs(struct run *run, uint64_t id);
/* What the file may do as a program does not outlive a change of its content or owner:
 * capabilities(7). */
void run_drop_capability(struct run *run, struct attr *attr);

/* --- executor_acl.c: those that are access control lists --- */

bool run_is_acl(struct bytes name);
/* Sets the mode too. KE_INVALID for a list that makes no sense, or not there. */
int run_set_acl(struct run *run, struct attr *attr, struct bytes name, struct bytes value,
                enum command_xattr_mode mode);
/* The mode was set: its list says the same. */
void run_follow_mode(struct run *run, struct attr *attr);
/* What a new object, made with `umask`, has from its directory: the group and the list
 * of one that has them to give. */
void run_inherit(struct run *run, const struct attr *parent, uint32_t umask, struct attr *attr);

/* --- requests: 0 or a negative code, and then nothing is written --- */

/* executor_raw.c */
int run_raw_put(struct run *run, const RaftCmdpb__PutRequest *put);
int run_raw_delete(struct run *run, const RaftCmdpb__DeleteRequest *delete);
/* executor_file.c */
int run_create(struct run *run, const Keelfspb__CreateRequest *create);
int run_write(struct run *run, const Keelfspb__WriteRequest *write);
int run_set_attr(struct run *run, const Keelfspb__SetAttrRequest *set);
/* executor_name.c */
int run_remove(struct run *run, const Keelfspb__RemoveRequest *remove);
int run_rename(struct run *run, const Keelfspb__RenameRequest *request);
/* executor_link.c */
int run_link(struct run *run, const Keelfspb__LinkRequest *link);
/* executor_xattr.c */
int run_set_xattr(struct run *run, const Keelfspb__SetXattrRequest *set);
/* executor_rows.c */
void run_set_quota(struct run *run, const Keelfspb__SetQuotaRequest *set);

#endif
