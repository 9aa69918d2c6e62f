#include "fs/resolve.h"

#include "fs/fs.h"
#include "fs/remains.h"

#include <string.h>

int resolve_in_tree(const struct inode *inode, struct tree_view *tree, const char *path,
                    struct attr *ret_attr, bool *ret_is_by_id)
{
    struct attr attr;
    int code = tree_stat(tree, path, &attr);
    bool is_there = code == 0 && attr.id == inode->id;

    if (code != 0 && code != KE_NOT_FOUND && code != KE_NOT_DIR)
        return code;
    if (!is_there)
        code = inode->type == FILE_DIRECTORY ? KE_NOT_FOUND : tree_stat_id(tree, inode->id, &attr);
    if (code != 0)
        return code == KE_NOT_FOUND ? KE_STALE : code;
    *ret_attr = attr;
    if (ret_is_by_id != NULL)
        *ret_is_by_id = !is_there;
    return 0;
}

static void look_open(struct fs *fs, uint64_t since_ns, struct resolved *resolved)
{
    resolved->is_by_id = false;
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
    int code = resolve_in_tree(inode, ret_resolved->look.tree, ret_resolved->path,
                               &ret_resolved->look.attr, &ret_resolved->is_by_id);
    if (code != 0)
        look_release(&ret_resolved->look);
    return code;
}

bool resolve_removed(struct fs *fs, struct inode *inode, struct attr *ret_attr, nlink_t *ret_links)
{
    struct remains *remains = inode_remains(inode);
    struct attr last;

    *ret_links = 0;
    if (remains != NULL)
        remains_get_attr(remains, &last);
    if (file_show_removed(inode, remains != NULL ? &last : NULL, ret_attr))
        return true;
    if (remains != NULL) {
        *ret_attr = last;
        return true;
    }
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
        code = resolve_in_tree(dir, tree, dir_path, &dir_attr, NULL);
    if (code == 0)
        code = tree_stat(tree, ret_resolved->path, &ret_resolved->look.attr);
    if (code != 0)
        look_release(&ret_resolved->look);
    return code;
}
