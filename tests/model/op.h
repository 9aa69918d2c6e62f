/* What a process asked of a mount, when, and what it was told.
 *
 * All happens in one directory, the root, with a few names. A path is a name in the
 * root, or one in a directory of the root; files hold a few bytes; whoever opens
 * does so with O_NOFOLLOW and symbolic links lead nowhere. A process has two handles:
 * the first may be open for writing, the second never is, and of the processes of a
 * node one writes in a window.
 */
#ifndef KEELFS_TESTS_MODEL_OP_H
#define KEELFS_TESTS_MODEL_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_NODES     3
#define MODEL_PROCESSES 6
#define MODEL_HANDLES   2  /* of a process */
#define MODEL_OPS_MAX   24 /* of a process in a window */
/* Bytes that one write brings, and what may be read. */
#define MODEL_DATA_MAX 8
#define MODEL_READ_MAX 512

#define MODEL_NAMES(X) X(a) X(b) X(d) X(e) X(s) X(x) X(y)

enum model_name {
#define MODEL_NAME_ENUM(name) NAME_##name,
    MODEL_NAMES(MODEL_NAME_ENUM)
#undef MODEL_NAME_ENUM
        NAME_COUNT,
    NAME_NONE = NAME_COUNT,
};

/* The name in the directory `dir` of the root; NAME_NONE: in the root. The root
 * itself has no name either. */
struct model_path {
    uint8_t dir;
    uint8_t name;
};

enum model_type { TYPE_NONE, TYPE_FILE, TYPE_DIR, TYPE_LINK };

#define MODEL_KINDS(X)                                                                             \
    X(OPEN, "open")                                                                                \
    X(CLOSE, "close")                                                                              \
    X(READ, "read")                                                                                \
    X(WRITE, "write")                                                                              \
    X(FTRUNCATE, "ftruncate to 0")                                                                 \
    X(FSYNC, "fsync")                                                                              \
    X(FSTAT, "fstat")                                                                              \
    X(STAT, "lstat")                                                                               \
    X(LIST, "list")                                                                                \
    X(MKDIR, "mkdir")                                                                              \
    X(RMDIR, "rmdir")                                                                              \
    X(UNLINK, "unlink")                                                                            \
    X(RENAME, "rename")                                                                            \
    X(LINK, "link")                                                                                \
    X(SYMLINK, "symlink")                                                                          \
    X(READLINK, "readlink")                                                                        \
    X(CHMOD, "chmod")                                                                              \
    X(UTIMENS, "utimens")                                                                          \
    X(TRUNCATE, "truncate")                                                                        \
    X(SETXATTR, "setxattr")                                                                        \
    X(GETXATTR, "getxattr")

enum model_kind {
#define MODEL_KIND_ENUM(kind, text) KIND_##kind,
    MODEL_KINDS(MODEL_KIND_ENUM)
#undef MODEL_KIND_ENUM
        KIND_COUNT,
};

struct model_attr {
    uint64_t ino;
    uint64_t size;
    int64_t mtime_s;
    uint32_t nlink;
    uint16_t mode; /* permissions */
    uint8_t type;
};

struct model_op {
    uint8_t kind;
    uint8_t process;
    uint8_t node;
    uint8_t handle;         /* of the process */
    struct model_path path; /* from, for rename and link */
    struct model_path to;
    uint32_t flags;  /* of open or rename */
    uint32_t number; /* mode, offset, size, time */
    uint8_t data_size;
    char data[MODEL_DATA_MAX]; /* written, or a target or value, without a zero */

    int error; /* errno; 0: it was done */
    bool is_unknown;
    uint64_t call_ns;
    uint64_t return_ns;
    struct model_attr attr;    /* of lstat, fstat, open */
    uint8_t types[NAME_COUNT]; /* of list: what is there, by name */
    bool has_stranger;         /* of list: a name that nobody made */
    uint16_t read_size;
    char read[MODEL_READ_MAX]; /* content, target, value */
};

const char *model_name_text(uint8_t name);
const char *model_kind_text(uint8_t kind);

/* For people, within a line: what was asked and what was told. Returns `text`. */
#define MODEL_OP_TEXT_MAX 256
const char *model_op_describe(const struct model_op *op, char text[MODEL_OP_TEXT_MAX]);

#endif
