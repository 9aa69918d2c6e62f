/* Error codes of everything above raft/, and errors with words.
 *
 * A function that can fail returns 0 or one of the negative codes. Functions at
 * a boundary (open, parse, connect) also take a `struct err *`, may be NULL, and
 * fill it with a sentence for the person at the shell; callers wrap it with
 * context on the way up. One place turns codes into errno (fs/errno.c), one into
 * a gRPC status (raftstore/rpc_status.c).
 */
#ifndef KEELFS_RAFTSTORE_ERR_H
#define KEELFS_RAFTSTORE_ERR_H

/* The values are stored in session rows and sent between nodes: never reorder. */
#define KE_ERRORS(X)                                                                               \
    X(KE_NOT_FOUND, -1, "no such key")                                                             \
    X(KE_EXISTS, -2, "the key exists")                                                             \
    X(KE_NOT_DIR, -3, "not a directory")                                                           \
    X(KE_IS_DIR, -4, "is a directory")                                                             \
    X(KE_NOT_EMPTY, -5, "directory not empty")                                                     \
    X(KE_INVALID, -6, "invalid argument")                                                          \
    X(KE_NAME_TOO_LONG, -7, "name too long")                                                       \
    X(KE_TOO_LARGE, -8, "too large")                                                               \
    X(KE_NO_SPACE, -9, "no space left")                                                            \
    X(KE_TIMEOUT, -10, "timed out: no answer from a majority; the outcome is unknown")             \
    X(KE_CANCELLED, -11, "cancelled by the caller; the outcome is unknown")                        \
    X(KE_BUSY, -12, "too many operations in flight")                                               \
    X(KE_STALE, -13, "the file was replaced or removed")                                           \
    X(KE_CONDITION, -14, "a condition of the command does not hold")                               \
    X(KE_CROSS, -15, "too many keys for one command")                                              \
    X(KE_IO, -16, "input/output error")                                                            \
    X(KE_CORRUPT, -17, "stored data is damaged")                                                   \
    X(KE_SHUTDOWN, -18, "this node is shutting down")                                              \
    X(KE_MISMATCH, -19, "belongs to another cluster or node")                                      \
    X(KE_NOT_SUPPORTED, -20, "not supported")                                                      \
    X(KE_NOT_REGULAR, -21, "not a regular file")                                                   \
    X(KE_REMOVED, -22, "this node is not a member any more")                                       \
    X(KE_WIPED, -23, "this is not the data directory that the cluster knows this node by")         \
    X(KE_NOT_LEADER, -24, "this node is not the leader")                                           \
    X(KE_TOO_MANY_LINKS, -25, "too many links")                                                    \
    X(KE_NO_XATTR, -26, "no such attribute")                                                       \
    X(KE_QUOTA, -27, "the quota of the volume is used up")

enum ke_code {
    KE_OK = 0,
#define KE_ENUM(name, value, text) name = value,
    KE_ERRORS(KE_ENUM)
#undef KE_ENUM
};

#define KE_CODE_MIN (-27)

/* A static sentence for a code; never NULL. */
const char *ke_text(int code);

#define ERR_TEXT_MAX 512

struct err {
    int code;
    char text[ERR_TEXT_MAX];
};

/* Fills `e` (NULL: nothing) and returns `code`. */
int err_set(struct err *e, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts context before the text: "CONTEXT: text". Returns the code in `e`, or
 * `code` when `e` is NULL. */
int err_wrap(struct err *e, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
