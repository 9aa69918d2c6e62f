/* A `kv` instance with an executor and a tree on top: a volume without a log. */
#ifndef KEELFS_TESTS_RAFTSTORE_VOLUME_H
#define KEELFS_TESTS_RAFTSTORE_VOLUME_H

#include "raftstore/command.h"
#include "raftstore/engine.h"
#include "raftstore/executor.h"
#include "raftstore/tree.h"
#include "scratch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Time stamp and owner of the commands that the helpers make. */
#define VOLUME_TIME 1000000000000000007
#define VOLUME_UID  1001
#define VOLUME_GID  1002

struct volume {
    char dir[SCRATCH_PATH_MAX];
    struct engine *kv;
    struct executor *executor;
    struct engine_batch *batch;
    struct tree *tree;
    uint64_t revision;
    /* Keep the commands in the batch until volume_commit(). */
    bool hold;
    struct op_result result; /* of the last command */
};

void volume_open(struct volume *v);
void volume_close(struct volume *v);
/* Closes and opens the same directory. */
void volume_reopen(struct volume *v);

/* A command with the time and owner above. */
struct command *volume_command(void);
/* Executes and frees `cmd`; the code of its result. */
int volume_run(struct volume *v, struct command *cmd);
void volume_commit(struct volume *v);

/* One request each. */
int volume_put(struct volume *v, const char *path, const char *text);
int volume_delete(struct volume *v, const char *path);
int volume_create(struct volume *v, const char *path, bool exclusive);
int volume_mkdir(struct volume *v, const char *path);
int volume_symlink(struct volume *v, const char *path, const char *target);
int volume_remove(struct volume *v, const char *path, bool directory);
int volume_rename(struct volume *v, const char *from, const char *to);
int volume_write(struct volume *v, const char *path, uint64_t offset, const void *data,
                 size_t size);
int volume_append(struct volume *v, const char *path, const char *text);
int volume_truncate(struct volume *v, const char *path, uint64_t size);

/* Reads of what is committed. */
int volume_stat(struct volume *v, const char *path, struct attr *ret_attr);
uint64_t volume_id(struct volume *v, const char *path);
/* The file's bytes, malloc'ed; NULL when there is no such file. */
uint8_t *volume_bytes(struct volume *v, const char *path, size_t *ret_size);
/* Asserts that the file holds this text. */
void volume_assert_text(struct volume *v, const char *path, const char *text);
/* Names of a directory in their order, "a,b/,c@": directories end in a slash,
 * symbolic links in an at sign. malloc'ed. */
char *volume_names(struct volume *v, const char *dir);
void volume_assert_names(struct volume *v, const char *dir, const char *names);

/* Every row of every column family as text, malloc'ed. */
char *volume_dump(struct volume *v);
/* Rows in a column family. */
size_t volume_rows(struct volume *v, enum engine_cf cf);

#endif
