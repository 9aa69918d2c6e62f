#include "fs/relocate.h"

#include "fs/fs.h"
#include "raftstore/log.h"
#include "raftstore/path.h"
#include "raftstore/tree.h"

#include <string.h>

/* So many are looked for one by one, where they were, before all names are read:
 * mostly that is where they still are. */
#define RELOCATE_LOOKS_MAX 4096

struct relocation {
    struct inode_table *inodes;
    struct tree_view *tree;
    size_t lost; /* at most; a lookup on a worker may find some */
    char path[PATH_BYTES_MAX + 1];
};

static void note_found(struct relocation *relocation, uint64_t id, const char *path)
{
    if (inode_note_found(relocation->inodes, id, path))
        relocation->lost--;
}

static void look_where_it_was(void *ctx, struct inode *inode)
{
    struct relocation *relocation = ctx;
    char path[PATH_BYTES_MAX + 1];
    struct attr attr;

    if (inode_path(inode, path) && tree_stat(relocation->tree, path, &attr) == 0 &&
        attr.id == inode->id)
        note_found(relocation, attr.id, path);
}

static int walk(struct relocation *relocation, size_t dir_size);

/* A child of the directory whose path, of `dir_size` bytes, is in the buffer. */
static int visit(struct relocation *relocation, size_t dir_size, const char *name,
                 const struct attr *attr)
{
    char *end = relocation->path + dir_size;
    size_t name_size = strlen(name);

    if (dir_size + 1 + name_size > PATH_BYTES_MAX)
        return KE_CORRUPT;
    if (dir_size > 0)
        *end++ = '/';
    memcpy(end, name, name_size + 1);
    note_found(relocation, attr->id, relocation->path);
    int code = 0;
    if (attr->type == FILE_DIRECTORY)
        code = walk(relocation, (size_t)(end - relocation->path) + name_size);
    relocation->path[dir_size] = '\0';
    return code;
}

/* As deep as a path can be. */
static int walk(struct relocation *relocation, size_t dir_size)
{
    struct tree_list *list;
    struct attr attr;
    const char *name;
    int code = tree_list_open(relocation->tree, relocation->path, &list);

    if (code != 0)
        return code;
    while (relocation->lost > 0 && (code = tree_list_next(list, &name, &attr)) == 1) {
        code = visit(relocation, dir_size, name, &attr);
        if (code != 0)
            break;
    }
    tree_list_close(list);
    return code < 0 ? code : 0;
}

void relocate_inodes(struct fs *fs)
{
    struct relocation relocation = {.inodes = &fs->inodes};
    int code = 0;

    relocation.lost = inode_table_lose_all(&fs->inodes);
    relocation.tree = tree_view_new(fs->tree);
    if (relocation.lost <= RELOCATE_LOOKS_MAX)
        inode_table_each_lost(&fs->inodes, look_where_it_was, &relocation);
    if (relocation.lost > 0)
        code = walk(&relocation, 0);
    if (code != 0)
        log_error("looking for open files after a snapshot: %s", ke_text(code));
    inode_table_end_search(&fs->inodes, code == 0);
    tree_view_unref(relocation.tree);
}
