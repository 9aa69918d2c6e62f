/* A change of the namespace under way; see ops_names.c. */
#ifndef KEELFS_FS_NAMES_H
#define KEELFS_FS_NAMES_H

#include "fs/inode.h"
#include "fs/request.h"
#include "raftstore/path.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct name_request;

/* Adds the request for `path`, a child of the directory, to `cmd`. */
typedef void name_build_fn(struct name_request *name, const char *path, struct command *cmd);
/* Answers after the command was applied. */
typedef void name_reply_fn(struct name_request *name, const struct attr *attr);

struct name_request {
    struct request request;
    struct inode *parent; /* pinned */
    char name[PATH_COMPONENT_MAX + 1];
    name_build_fn *build;
    name_reply_fn *reply;
    char path[PATH_BYTES_MAX + 1]; /* of the child, at the last try */

    /* Of what is made. */
    bool makes;
    int64_t time_ns; /* that the last try gives it */
    enum file_type type;
    mode_t mode;
    mode_t umask;
    uid_t uid;
    gid_t gid;
    char *target;   /* of a symbolic link */
    dev_t rdev;     /* of a device */
    bool may_exist; /* then it is opened, if it is a file */
    int flags;      /* of open(2) with O_CREAT */
    uint32_t pid;
    struct inode *made; /* by create, pinned, or NULL */
    bool is_new;        /* this request has made it */

    /* Of a rename. */
    struct inode *new_parent; /* pinned, or NULL */
    char new_name[PATH_COMPONENT_MAX + 1];
    char new_path[PATH_BYTES_MAX + 1];
    bool no_replace;
    bool exchanges;
    bool moves_file;

    /* Of rmdir, or of a rename: the directory that goes. */
    bool removes_directory;
    uint64_t replaced_id; /* 0: not known */

    /* By link(2). */
    struct inode *linked; /* the file, pinned, or NULL */
    char linked_path[PATH_BYTES_MAX + 1];
};

/* Copies `name`. NULL: refused and answered already. */
struct name_request *name_start(fuse_req_t req, fuse_ino_t parent, const char *name);

/* What is made is of this type and mode, but for what its directory gives it. */
void name_set_type(struct name_request *name, enum file_type type, mode_t mode);

/* Sends the command, and `name->reply` or an error follows. */
void name_send(struct name_request *name);

/* The inode of what was made, pinned. */
struct inode *name_made_inode(struct name_request *name, const struct attr *attr);

#endif
