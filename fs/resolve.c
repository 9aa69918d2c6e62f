#include "fs/resolve.h"

#include "fs/fs.h"

#include <string.h>

/* Looks at the inode at `path`. */
static int look_at_inode(struct inode *inode, struct tree_view *tree, const char *path,
                         struct attr *ret_attr)
{
    int code = tree_stat(tree, path, ret_attr);

    if (code == KE_NOT_FOUND || code == KE_NOT_DIR)
        return KE_STALE;
    if (code == 0 && ret_attr->id != inode->id)
        return KE_STALE;
    return code;
}

static void look_open(struct fs *fs, uint64_t since_ns, struct resolved *resolved)
{
    resolved->look = (struct look){
        .tree = tree_view_new(fs->tree),
        .path = resolved->path,
        .since_ns = since_ns,
    };
}

void look_release(struct look *look)
{
    tree_view_unref(look->tree);
    look->tree = NULL;
}

int resolve_inode(struct fs *fs, struct inode *inode, uint64_t since_ns,
                  struct resolved *ret_resolved)
{
    if (!inode_path(inode, ret_resolved->path))
        return KE_NOT_FOUND;
    look_open(fs, since_ns, ret_resolved);
    int code =
        look_at_inode(inode, ret_resolved->look.tree, ret_resolved->path, &ret_resolved->look.attr);
    if (code != 0)
        look_release(&ret_resolved->look);
    return code;
}

bool resolve_removed(struct fs *fs, struct inode *inode, struct attr *ret_attr, nlink_t *ret_links)
{
    *ret_links = 0;
    if (file_show_removed(inode, ret_attr))
        return true;
    struct view *view = recent_find(&fs->recent, inode->id);
    if (view == NULL)
        return false;
    *ret_attr = view->attr;
    *ret_links = 1;
    view_unref(view);
    return true;
}

int resolve_child_path(struct inode *dir, const char *name, char *dir_path, char *path)
{
    if (!inode_path(dir, dir_path))
        return KE_NOT_FOUND;
    return path_join(dir_path, name, path);
}

int resolve_child(struct fs *fs, struct inode *dir, const char *name, uint64_t since_ns,
                  struct resolved *ret_resolved)
{
    char dir_path[PATH_BYTES_MAX + 1];
    struct attr dir_attr;
    int code = resolve_child_path(dir, name, dir_path, ret_resolved->path);

    if (code != 0)
        return code;
    look_open(fs, since_ns, ret_resolved);
    struct tree_view *tree = ret_resolved->look.tree;
    /* The root cannot move. */
    if (dir->id != ATTR_ROOT_ID)
        code = look_at_inode(dir, tree, dir_path, &dir_attr);
    if (code == 0)
        code = tree_stat(tree, ret_resolved->path, &ret_resolved->look.attr);
    if (code != 0)
        look_release(&ret_resolved->look);
    return code;
}
