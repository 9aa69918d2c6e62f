/* What is open in the control directory: text to be read, all there at open or still
 * growing.
 *
 * Each kind of file embeds a handle as its first member and says with its operations
 * where more text comes from. A read at the end asks for more; when there is none it
 * is the end of the file, or, of a file that is followed, waits until there is.
 * The wait has no end of its own: ^C and kill end it, and the end of the mount.
 */
#ifndef KEELFS_FS_CONTROL_HANDLE_H
#define KEELFS_FS_CONTROL_HANDLE_H

#include "fs/fs.h"
#include "fs/fuse.h"
#include "fs/stream.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct control_handle;

/* The first two are called under the handle's lock. */
struct control_handle_ops {
    /* Adds to the stream what there is by now; NULL: it is all there. Returns
     * the round that ends when there is more, for `wait`. */
    uint64_t (*fill)(struct control_handle *handle);
    /* Forgets what is in the stream: it is read from the start again. NULL: it stays as it
     * was. */
    void (*rewind)(struct control_handle *handle);
    /* Has the end of `round` finish `op`; false when it has ended already. NULL: what
     * is there is all, for now, and a read at the end returns nothing. */
    bool (*wait)(struct control_handle *handle, uint64_t round, struct op *op);
    /* Ends the waits with a failure: the mount goes. NULL where nothing waits. */
    void (*stop)(struct control_handle *handle);
    /* Frees what embeds the handle, whose own parts are freed already. */
    void (*free)(struct control_handle *handle);
};

struct control_handle {
    struct fs_object object;
    struct fs *fs;
    const struct control_handle_ops *ops;
    pthread_mutex_t lock; /* guards the rest */
    struct stream stream;
    struct op *notice; /* to the last poll(2) that found nothing, or NULL */
};

/* Makes it findable; the rest of `handle` is set. */
void control_handle_init(struct control_handle *handle, struct fs *fs,
                         const struct control_handle_ops *ops);
/* Frees it. */
void control_handle_close(struct control_handle *handle);

/* Answers. */
void control_handle_read(struct control_handle *handle, fuse_req_t req, size_t size, off_t offset);

/* Answers poll(2): whether there is something that was not read. `notify` is the kernel's,
 * or NULL, and taken: when there is nothing yet, it is told as soon as there is. */
void control_handle_poll(struct control_handle *handle, fuse_req_t req,
                         struct fuse_pollhandle *notify);

#endif
