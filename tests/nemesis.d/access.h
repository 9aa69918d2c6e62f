/* The ways in which a client reaches the store: by RPC, or through a mount.
 *
 * An access belongs to one thread and does one thing at a time. Values are given
 * and returned as text (content.h). What a way does not offer is NULL.
 */
#ifndef KEELFS_TESTS_NEMESIS_D_ACCESS_H
#define KEELFS_TESTS_NEMESIS_D_ACCESS_H

#include "history.h"

#include <stdbool.h>

struct access;

struct answer {
    enum lin_result result;
    bool is_refused; /* nothing was changed, and nothing was learned */
    char *value;     /* of a get or read with LIN_OK; free() it */
};

struct access_ops {
    struct answer (*get)(struct access *access, const char *key);
    struct answer (*read)(struct access *access, const char *key);
    /* Gets a put of this value ready, without effect on the key. False: not possible
     * now. */
    bool (*prepare)(struct access *access, const char *key, const char *value);
    /* Makes the key what was prepared, at once. */
    struct answer (*put)(struct access *access, const char *key);
    struct answer (*remove)(struct access *access, const char *key);
    /* O_EXCL; the value is empty. */
    struct answer (*create)(struct access *access, const char *key);
    struct answer (*append)(struct access *access, const char *key, const char *token);
    /* O_CREAT: a key that is absent is made, empty. */
    struct answer (*ensure)(struct access *access, const char *key);
    /* O_TRUNC: a key that is there, and is not removed meanwhile. */
    struct answer (*overwrite)(struct access *access, const char *key, const char *value);
    /* After a failure: returns after a while, or when it makes sense to go on. */
    void (*recover)(struct access *access);
    void (*close)(struct access *access);
};

/* What each access begins with. */
struct access {
    const struct access_ops *ops;
};

/* `endpoint` is host:port. Nothing is connected before the first call. */
struct access *access_by_rpc(const char *endpoint);

/* `process` makes names of files in between unique. */
struct access *access_by_mount(const char *mount, uint32_t process);

#endif
