/* One request of the kernel that is answered later: the only place that knows
 * how waiting, answering and interrupting meet.
 *
 * A handler fills a struct that begins with `struct request`, starts a wait and
 * returns. When what it waited for comes, the step function is called on
 * whatever thread that is (mostly the apply thread: it must not block), and
 * either answers or starts the next wait. Exactly one answer is sent:
 *
 *     request_init()  ->  [ wait -> step ]*  ->  fuse_reply_...(), request_end()
 *                              |
 *                              +-> interrupted: EINTR is sent, the request is
 *                                  gone, no step is called any more
 *
 * While a request waits it belongs to the wait: whoever has started one must not
 * touch it any more. In a step nobody else has it.
 *
 * How the race is decided: each wait is one `struct op`, which either finishes
 * or is cancelled, once. The interrupt function cancels; when that works the
 * answer is its own. A step first takes back the interrupt function, which waits
 * for one that is running, so that none comes after the answer. libfuse runs the
 * interrupt function under a lock of the request: nothing it does may wait for
 * anything.
 */
#ifndef KEELFS_FS_REQUEST_H
#define KEELFS_FS_REQUEST_H

#include "fs/fuse.h"
#include "raftstore/command.h"
#include "raftstore/op.h"

#include <stdbool.h>
#include <stdint.h>

/* How often a request tries again when a path it used has moved meanwhile. */
#define REQUEST_TRIES_MAX 8

struct fs;
struct inode;
struct request;

/* Frees what embeds the request. Takes no lock but the inode table's, the budget's
 * and `locks_lock`. */
typedef void request_free_fn(struct request *request);
/* Before the answer that the request was interrupted. Blocks for nothing. */
typedef void request_interrupted_fn(struct request *request);
typedef void request_step_fn(struct request *request, const struct op_result *result);

struct request {
    struct fs *fs;
    fuse_req_t req;         /* valid until the answer */
    uint64_t deadline_ns;   /* of all its waits together */
    uint64_t read_point_ns; /* see resolve.h; reached by then. 0: not yet */
    unsigned tries;
    bool is_behind;    /* its waits time out at once; see behind.h */
    bool may_be_stale; /* its reads are as on a mount with stale reads */
    /* Of a wait that may never end: the kernel tells of one signal only, and a kill that
     * came after a harmless one would not be heard. A wait for a lock begins anew by
     * itself, a read as on a pipe fails with EINTR. */
    bool any_signal_ends;
    request_free_fn *free;
    request_interrupted_fn *interrupted; /* NULL: nothing is to be done */
};

void request_init(struct request *request, struct fs *fs, fuse_req_t req, request_free_fn *free);

/* After the answer. */
void request_end(struct request *request);

/* Answers with an error, or with a plain success for 0, and ends the request. */
void request_fail(struct request *request, int code);
void request_fail_errno(struct request *request, int number);

/* One more try? */
bool request_may_retry(struct request *request);

/* Begins a wait: returns its op with a reference for the caller, who hands it to
 * whoever will finish it. NULL: the request was interrupted, or its time is up, and it
 * is gone. */
struct op *request_wait(struct request *request, request_step_fn *step);

/* Begins a read: calls `step`, which looks at what is here when that is current, and
 * asks for more with request_read_again(). */
void request_read(struct request *request, request_step_fn *step);
/* After a look that ended with `code`: true when it says that a read point is needed,
 * which is waited for now. */
bool request_read_again(struct request *request, int code, request_step_fn *step);

/* Waits for the read point; see store_barrier(). On a mount with stale reads the step
 * goes on without it when there is no leader, or none that answers: what it then
 * looks at is what this node has, which may be old. */
void request_barrier(struct request *request, request_step_fn *step);
/* Waits until `*cmd`, which is taken, is applied: a read point too. */
void request_propose(struct request *request, struct command **cmd, request_step_fn *step);

/* Waits for the end of the publish that was under way in `round`; see file.h. */
void request_wait_file(struct request *request, struct inode *inode, uint64_t round,
                       request_step_fn *step);

/* What is left until `deadline_ns`, at least 1. */
uint32_t request_left_ms(uint64_t deadline_ns);

#endif
