/* The open state of a regular file: its handles, the version they read, and
 * what was written through them and is not published yet.
 *
 * What readers see. A handle reads the version that was current when it was
 * opened, from first to last byte, whatever other nodes do meanwhile. While
 * anything written on this node is unpublished (a layer is not empty), all
 * handles of the file see
 *
 *     file->view, with `in_flight` over it, with `dirty` over that
 *
 * so that another process sees written bytes at once; when the last layer is
 * gone they stay on the version that has it all.
 *
 * Invariants, under the lock:
 *   - file->view never contains what is in `in_flight` or `dirty`. One publish
 *     of a file is under way at a time; when it has ended, `view` moves to a
 *     version that contains it and `in_flight` is cleared, in one step.
 *   - A look at the store while a publish is under way may contain it or not:
 *     unless its version is the one of `view`, whoever looked waits for the end.
 *   - `in_flight` is not changed while its publish is under way, but for attributes: its
 *     publish drops those that another node has set since.
 *   - While a handle can read, `view` is readable.
 *
 * A removed file goes on for those who have it open: nothing of it is published
 * any more. What was written to it and never published outlives its last handle for a
 * moment: somebody else on this node may be in the middle of opening it.
 *
 * The file belongs to its inode and is freed with it; a handle pins the inode,
 * and so does a publish. Nothing here waits or calls the store's asynchronous
 * side; functions that would have to wait return FILE_WAIT and the round for
 * file_wait().
 */
#ifndef KEELFS_FS_FILE_H
#define KEELFS_FS_FILE_H

#include "fs/dirty.h"
#include "fs/given.h"
#include "fs/inode.h"
#include "fs/layer.h"
#include "fs/view.h"
#include "fs/waiters.h"
#include "raftstore/command.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Unpublished bytes (their cost) of one handle, and the chunks they touch: as
 * much as one publish takes, but for what the writes of other handles, which cut
 * extents in pieces, can add until they are stopped. */
#define FILE_HANDLE_COST_MAX   COMMAND_CONTENT_MAX
#define FILE_HANDLE_CHUNKS_MAX (COMMAND_CHUNKS_MAX / 2)
#define FILE_SPLIT_COST_MAX    (128u << 10)
#define FILE_SPLIT_CHUNKS_MAX  (COMMAND_CHUNKS_MAX / 4)
/* What a removed file that is still open may hold in memory. */
#define FILE_REMOVED_COST_MAX (64u << 20)
/* For so long it holds that at least when nobody has it open any more. */
#define FILE_LEFT_NS 2000000000ull

struct fs;
struct publish;

/* Processes that share a handle and wrote to it, as far as they are told apart. */
#define HANDLE_WRITERS_MAX 4

/* An open file description. All but the first five fields are guarded by the
 * file's lock.
 *
 * A handle is shared by the processes that inherited it, and each of them closes
 * it: a child does when it executes another program. Such a close publishes only
 * when the process wrote something itself; otherwise half of what its parent is
 * still writing would appear elsewhere. */
struct handle {
    struct fs *fs;
    struct inode *inode; /* pinned */
    struct file *file;
    bool readable;
    bool writable;

    struct handle *next;
    struct dirty_owner owner;
    struct view *view;
    uint32_t pid;                         /* of the thread that opened it or read last */
    bool has_read;                        /* since it got its view */
    bool at_end;                          /* the last read reached the end */
    uint32_t opener;                      /* of the thread that opened it */
    uint64_t writers[HANDLE_WRITERS_MAX]; /* who wrote what is not taken yet */
    size_t writer_count;
    bool has_any_writer; /* too many to tell, or unknown */
    bool truncated;      /* made a truncation that is still in `dirty` */
    bool is_in_flight;   /* takes part in the publish under way */
    bool wants_publish;  /* until it is taken */
    uint64_t publish_deadline_ns;
    uint64_t taken;   /* publishes that took something of it */
    uint64_t settled; /* of those, how many have ended */
    int error;        /* of a failed publish; for good */
    bool is_released; /* kept only for what it wrote */
    /* The last wait for it was, so that closing it does not wait for the same. Not
     * under the lock. */
    atomic_bool was_interrupted;
};

struct file {
    struct fs *fs;
    struct inode *inode;  /* whose it is */
    pthread_mutex_t lock; /* guards the rest */
    struct handle *handles;
    struct view *view;   /* NULL while nobody has it open */
    uint64_t current_ns; /* `view` was the current version at this time */
    struct layer in_flight;
    struct layer dirty;
    struct attr set_over;    /* what it was when the attributes in a layer were set last */
    struct publish *publish; /* the one under way, or NULL */
    struct waiters waiters;  /* for its end */
    bool is_detached;        /* removed: nothing is published any more */
    struct dirty_owner left; /* of what was written by those who have closed it since */
    uint64_t left_ns;        /* when the last of them did; 0: somebody has it open */
    uint64_t if_version;     /* the next publish is refused unless the file has it; 0: any */
};

enum file_answer { FILE_READY, FILE_WAIT, FILE_WAIT_BUDGET, FILE_WAIT_READ_POINT };

/* One look at the store, made after a read point. */
struct look {
    struct tree_view *tree;
    const char *path;
    struct attr attr;
    uint64_t moment;   /* of the inode table, before the look */
    uint64_t since_ns; /* the read point was reached by then */
    uint64_t until_ns; /* it shows all there is to see till then; 0: it may not any more */
    struct given_look given;
};

/* For the inode table. NULL is fine. */
void file_free(struct file *file);

/* The attributes of the file that `look` found, with what is unpublished here.
 * Handles that `pid` reads and that are not in the middle of a version move to
 * the one found: fstat() is how a reader asks for what is new. */
enum file_answer file_show(struct inode *inode, const struct look *look, uint32_t pid,
                           struct attr *ret_attr, uint64_t *ret_round);

/* Whether what file_show() says changes only by what other nodes do: nobody here has
 * written what is not published, or has the file open for it. */
bool file_is_quiet(struct inode *inode);

/* What is open through `handle`. */
void file_show_handle(struct handle *handle, struct attr *ret_attr);

/* The same for a removed file that was `last`, or NULL, when it was removed. False when
 * nobody has it open. */
bool file_show_removed(struct inode *inode, const struct attr *last, struct attr *ret_attr);

/* `set` was set on a removed file: what was written before shows through it. */
void file_note_set_removed(struct inode *inode, const struct command_set_attr *set);

/* Opens what `look` found; it pins the inode again. `flags` as for open(2). */
enum file_answer file_open(struct fs *fs, struct inode *inode, const struct look *look, int flags,
                           uint32_t pid, struct handle **ret_handle, uint64_t *ret_round);
/* Opens a removed file that is open already, or was a moment ago, or version `view` of one
 * that was looked up just before. NULL: neither, or not the content that the file had at the
 * end, by its attributes `last` (NULL: nobody knows them). */
struct handle *file_open_removed(struct fs *fs, struct inode *inode, struct view *view,
                                 const struct attr *last, int flags, uint32_t pid);

/* Ends a handle, and publishes in the background what no flush came for. */
void file_release(struct handle *handle);

/* Waits for the end of the publish that was under way in `round`. */
void file_wait(struct file *file, uint64_t round, struct op *op);

/* Reads what the handle sees. `*ret_size` is short only at the end. */
int file_read(struct handle *handle, uint64_t offset, void *buffer, size_t size, uint32_t pid,
              size_t *ret_size);

enum file_write_kind {
    FILE_WRITE_DATA,
    FILE_WRITE_ZEROS, /* as a hole, as far as they fill chunks; never to append */
    FILE_WRITE_LENGTH /* none: the file is `offset` bytes long at least; `size` is 0 */
};

struct file_write {
    enum file_write_kind kind;
    bool append;
    bool clear_suid;
    uint64_t offset;
    const void *data;
    size_t size;
    uint64_t writer;      /* the kernel's lock owner: a process; 0: unknown */
    uint64_t deadline_ns; /* of a publish that has to make room */
};

/* Returns an enum file_answer, or a KE_ code: KE_TOO_LARGE, KE_BUSY (no memory
 * left for unpublished data), the error of an earlier publish. */
int file_write(struct handle *handle, const struct file_write *write, uint64_t *ret_round);

/* Where data or a hole begins, at or behind `offset`; a hole is at the end at the latest.
 * KE_NOT_FOUND: there is no data, or `offset` is not in the file. */
int file_seek(struct handle *handle, uint64_t offset, bool is_data, uint64_t *ret_offset);
/* Whether there is data at `offset`, up to `*ret_end`. KE_NOT_FOUND behind the end. */
int file_probe(struct handle *handle, uint64_t offset, bool *ret_is_data, uint64_t *ret_end);

/* Truncates or extends as a part of the next publish. 0 or a KE_ code. */
int file_truncate(struct handle *handle, uint64_t size, bool clear_suid, struct attr *ret_attr);

/* Who wants a handle published. */
struct file_publish {
    bool is_close;   /* by one process of those that share it: */
    uint64_t closer; /* its lock owner */
    uint32_t pid;    /* a thread of it */
    uint64_t deadline_ns;
    bool has_begun;  /* false at the first call; then kept, with: */
    uint64_t target; /* of the handle's `settled` */
};

/* Publishes what the handle wrote. Returns an enum file_answer or the error of
 * the publish; after a wait it is called again. */
int file_publish(struct handle *handle, struct file_publish *publish, uint64_t *ret_round);

/* Publishes what is written to the file here, through whichever handle. FILE_READY:
 * nothing is left; after a wait it is called again. */
enum file_answer file_publish_all(struct inode *inode, uint64_t deadline_ns, uint64_t *ret_round);

/* A publish of the file is under way: attributes must not be changed now. */
enum file_answer file_settled(struct inode *inode, uint64_t *ret_round);

/* The next publish of what is written to the file here fails with KE_STALE unless
 * it has this version; 0 takes the condition back. KE_INVALID when nobody has the
 * file open. */
int file_set_if_version(struct inode *inode, uint64_t version);

/* A file that process `pid` is still making: it was created here, and what was written to it
 * waits. Nobody else has seen more of it than its name, so content, mode, owner and times
 * appear as one, with its first publish. */
bool file_is_being_made(struct inode *inode, uint32_t pid);
/* Makes `set` a part of that. `look` found what it is now: of the attributes that wait for
 * the publish, and of these, nothing is put over what is set elsewhere later. False: it
 * is no such file, or a size is set. */
bool file_defer_set_attr(struct inode *inode, const struct command_set_attr *set,
                         const struct look *look, uint32_t pid, struct attr *ret_attr);

/* Such a mode, for what has to come behind it. False: none waits. */
bool file_deferred_mode(struct inode *inode, uint32_t *ret_mode);
/* It was set, and something behind it: the publish leaves both alone. */
void file_note_mode_set(struct inode *inode);

/* set_attr with `set` has been applied, and `look` found the file after that. */
void file_note_set_attr(struct inode *inode, const struct command_set_attr *set,
                        const struct look *look);

/* Replaces views that are too old, and drops what was left of a removed file long enough ago;
 * on the apply thread. */
void file_renew_views(struct inode *inode);

/* Drops all handles without publishing: the mount is gone. */
void file_abandon(struct inode *inode);

/* --- for publish.c and file_io.c, under the lock --- */

/* Both are threads; 0 is nobody. */
bool file_is_same_process(uint32_t pid, uint32_t other);

/* What the layers cost in memory. A change of it is told to the budget. */
size_t file_cost(const struct file *file);
void file_recharge(struct file *file, size_t before);

/* No layer has anything. */
bool file_is_clean(const struct file *file);
bool file_has_readers(const struct file *file);
/* The size of what lies below the dirty layer. */
uint64_t file_size_below(const struct file *file);
void file_get_attr(const struct file *file, struct attr *ret_attr);

/* `view` (taken) is the current version now. */
void file_advance(struct file *file, struct view *view);
/* All handles read file->view from now on. */
void file_pin_handles(struct file *file);
/* Nothing of it can be published any more. */
bool file_check_detached(struct file *file);

/* Frees what the last handle left behind, and unlocks. The file may be gone
 * after this. */
void file_unlock(struct file *file);

#endif
