/* The file system of a window as the contract has it (docs/DESIGN: names are
 * linearizable, a publish is atomic, a handle reads the version of its open or a
 * later one, a node sees its own unpublished bytes), and what each call does to it.
 *
 * A call is one to four steps, since no file system takes a path in one: a directory
 * is looked up in the root, then a name in that directory, then something is done
 * with what was found, though its name may be gone meanwhile. Each step happens at
 * one point, and all of them between the call and its return.
 *
 * Which outcome a step allows follows from the state alone, so there is nothing to
 * guess but the order; see search.h. What of the contract is left open stays open
 * here: a read may show any version from the handle's on, but never goes back; the
 * time of a change of content is not known.
 */
#ifndef KEELFS_TESTS_MODEL_STATE_H
#define KEELFS_TESTS_MODEL_STATE_H

#include "op.h"
#include "texts.h"

#include <stdbool.h>
#include <stdint.h>

#define STATE_INODES_MAX   96
#define STATE_VERSIONS_MAX 20
#define STATE_EXTENT_MAX   16
#define STATE_LEFT_MAX     8 /* removed files that a node has written to */
#define STATE_ROOT         0
#define STATE_NO_INODE     UINT8_MAX

struct state_inode {
    uint64_t ino;     /* once somebody has seen it */
    uint32_t mtime_s; /* 0: not known */
    uint16_t mode;
    uint16_t target;
    uint16_t xattr;
    uint8_t type;  /* TYPE_NONE: not made */
    uint8_t nlink; /* 0: removed */
    uint8_t entries[NAME_COUNT];
    uint8_t version_count;
    uint16_t versions[STATE_VERSIONS_MAX];
    uint8_t blurred[MODEL_NODES]; /* that its node may see anything of the content */
    bool may_have_moved;          /* of a directory: it was renamed, or may have been before */
};

struct state_handle {
    uint8_t inode;   /* or STATE_NO_INODE: closed */
    uint8_t version; /* it reads this one or a later one */
    bool writes;
    bool appends;
};

/* What the writer of a node has not published. */
struct state_layer {
    uint8_t inode; /* or STATE_NO_INODE: nothing */
    uint8_t process;
    uint16_t extents; /* a bit for each byte that is there */
    uint16_t append;  /* a text, or 0 */
    uint16_t mode;    /* that goes with it, or 0 */
    bool is_truncated;
    uint8_t low; /* when truncated: of what lies below no more than this is left, */
    uint8_t end; /* and zeros behind it up to here */
    char extent[STATE_EXTENT_MAX + 1]; /* one more: no padding, states are hashed */
};

struct state {
    struct state_inode inodes[STATE_INODES_MAX];
    uint8_t inode_count;
    bool is_overflown; /* too many versions: nothing can be said */
    struct state_handle handles[MODEL_PROCESSES][MODEL_HANDLES];
    struct state_layer layers[MODEL_NODES];
    /* What would have been published of files that are removed: the node goes on
     * seeing it, over the version that it has. */
    struct state_layer left[MODEL_NODES][STATE_LEFT_MAX];
};

/* What a call found so far. */
struct state_cursor {
    uint8_t phase;
    uint8_t dir;
    uint8_t to_dir;
    uint8_t inode;
};

enum state_step {
    STEP_NO,   /* what was told does not fit this state */
    STEP_MORE, /* one step was made, others follow */
    STEP_DONE, /* the call took effect */
    STEP_SEEN, /* the same, and nothing was changed by it */
};

/* What all steps of a window share. `made` is the inode that the call makes, if it
 * does: it depends on the call alone, so that orders that lead to the same thing
 * lead to equal states. */
struct state_call {
    const struct model_op *op;
    struct texts *texts;
    uint8_t made;
    bool node_is_uncertain; /* something of the node's handles has an unknown outcome */
};

/* An empty root; no handle is open. */
void state_init(struct state *state);

/* Makes one step of the call. The state and cursor are undefined after STEP_NO. */
enum state_step state_step(struct state *state, struct state_cursor *cursor,
                           const struct state_call *call);

/* The same for a call that has two outcomes: of the truncation of an empty file by open
 * something is left for the publish, or nothing; the mode that its process gives to a file
 * that it is still making is seen by all, or goes with the publish. STEP_NO where there is
 * but one. */
enum state_step state_step_otherwise(struct state *state, struct state_cursor *cursor,
                                     const struct state_call *call);

/* Whether `state` can be what was found to be there when all had ended. */
bool state_fits(const struct state *state, const struct state *found);

/* The content of a file as `node` sees version `version` of it. */
uint16_t state_content(const struct state *state, struct texts *texts, uint8_t node, uint8_t inode,
                       uint8_t version);

#endif
