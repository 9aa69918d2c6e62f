/* One request of the kernel as it is on record: what is asked, of what, for whom.
 *
 * It is taken from the bytes that the kernel sends (linux/fuse.h), before libfuse sees
 * them, so that every request is on record whichever handler it goes to. Pure.
 */
#ifndef KEELFS_FS_OP_RECORD_H
#define KEELFS_FS_OP_RECORD_H

#include "raftstore/path.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The kinds of requests that are answered, by their number in the protocol. */
#define OP_CODES 52

/* NULL: of that number there is no record. */
const char *op_name(uint32_t opcode);
/* It may wait for what others do, as a lock does, and is not slow for that. */
bool op_is_patient(uint32_t opcode);

struct op_record {
    uint64_t unique; /* names the request until its answer */
    uint32_t opcode;
    uint32_t uid;
    uint32_t gid;
    uint32_t pid;        /* a thread, in fact; 0: of another name space */
    uint64_t node;       /* what it is about, or the directory of `name` */
    uint64_t other_node; /* the directory of `other_name`, or a second file; 0: none */
    uint64_t offset;
    uint64_t size;
    uint32_t flags;                          /* of open(2), or what setattr sets */
    uint32_t mode;                           /* of what is made, or to be set */
    char name[PATH_COMPONENT_MAX + 1];       /* "" when there is none; cut where too long, as is */
    char other_name[PATH_COMPONENT_MAX + 1]; /* also what a link leads to */
};

/* False: such a request has no record, or makes no sense. */
bool op_record_parse(const void *request, size_t size, struct op_record *ret_record);

/* "OK", or the name of an error as "ENOENT"; `error` is 0 or a negative errno. */
const char *op_result_text(int error);

/* The longest text, without its end. */
#define OP_TEXT_MAX (3 * PATH_BYTES_MAX)

/* The paths of `node` and `other_node`; NULL for what is not known any more. */
struct op_paths {
    const char *node;
    const char *other_node;
};

/* "NAME (ARGUMENTS)" in `out`, cut at `size`; always one line. Returns its length. */
size_t op_record_describe(const struct op_record *record, const struct op_paths *paths, char *out,
                          size_t size);

#endif
