#include "fs/resolve.h"

#include "fs/fs.h"
#include "fs/remains.h"
#include "raftstore/store.h"
#include "raftstore/touch.h"

#include <string.h>

int resolve_in_tree(const struct inode *inode, struct tree_view *tree, const char *path,
                    struct attr *ret_attr, bool *ret_is_by_id)
{
    bool is_directory = inode->type == FILE_DIRECTORY;
    struct attr attr;
    int code = tree_stat_kind(tree, path, is_directory, &attr);
    bool is_there = code == 0 && attr.id == inode->id;

    if (code != 0 && code != KE_NOT_FOUND && code != KE_NOT_DIR)
        return code;
    if (!is_there)
        code = is_directory ? KE_NOT_FOUND : tree_stat_id(tree, inode->id, &attr);
    if (code != 0)
        return code == KE_NOT_FOUND ? KE_STALE : code;
    *ret_attr = attr;
    if (ret_is_by_id != NULL)
        *ret_is_by_id = !is_there;
    return 0;
}

/* The lease first, the data after that: what is applied between them is newer. Whether
 * there is a read point. */
static bool look_open(struct request *request, struct resolved *resolved)
{
    struct fs *fs = request->fs;
    uint64_t key = touch_key(resolved->path, strlen(resolved->path));
    struct look *look = &resolved->look;

    resolved->is_by_id = false;
    *look = (struct look){.path = resolved->path};
    if (!fs->no_cache) {
        look->given = given_begin(&fs->given, key);
        look->until_ns = store_current_until(fs->store, &key, 1);
    }
    if (request->read_point_ns == 0 && look->until_ns != 0)
        request->read_point_ns = look->given.begun_ns;
    look->since_ns = request->read_point_ns;
    if (look->since_ns == 0)
        return false;
    look->moment = inode_table_moment(&fs->inodes);
    look->tree = tree_view_new(fs->tree);
    return true;
}

void look_release(struct look *look)
{
    tree_view_unref(look->tree);
    look->tree = NULL;
}

/* What was found under `key` may change under another one. `had_read_point`: before
 * the look. */
static int check_names(struct request *request, struct resolved *resolved, bool had_read_point)
{
    if (!resolved->is_by_id && !resolved->look.attr.has_home)
        return 0;
    resolved->look.until_ns = 0;
    if (had_read_point)
        return 0;
    request->read_point_ns = 0;
    return FILE_WAIT_READ_POINT;
}

int resolve_inode(struct request *request, struct inode *inode, struct resolved *ret_resolved)
{
    bool had_read_point = request->read_point_ns != 0;
    struct look *look = &ret_resolved->look;

    if (!inode_path(inode, ret_resolved->path))
        return KE_NOT_FOUND;
    if (!look_open(request, ret_resolved))
        return FILE_WAIT_READ_POINT;
    int code = resolve_in_tree(inode, look->tree, ret_resolved->path, &look->attr,
                               &ret_resolved->is_by_id);
    if (code == 0)
        code = check_names(request, ret_resolved, had_read_point);
    if (code != 0)
        look_release(look);
    return code;
}

bool resolve_removed(struct inode *inode, struct attr *ret_attr)
{
    struct remains *remains = inode_remains(inode);
    struct attr last;

    if (remains != NULL)
        remains_get_attr(remains, &last);
    if (file_show_removed(inode, remains != NULL ? &last : NULL, ret_attr))
        return true;
    if (remains != NULL)
        *ret_attr = last;
    return remains != NULL;
}

int resolve_child_path(struct inode *dir, const char *name, char *dir_path, char *path)
{
    if (!inode_path(dir, dir_path))
        return KE_NOT_FOUND;
    return path_join(dir_path, name, path);
}

int resolve_child(struct request *request, struct inode *dir, const char *name,
                  struct resolved *ret_resolved)
{
    bool had_read_point = request->read_point_ns != 0;
    char dir_path[PATH_BYTES_MAX + 1];
    struct look *look = &ret_resolved->look;
    struct attr dir_attr;

    look->until_ns = 0;
    int code = resolve_child_path(dir, name, dir_path, ret_resolved->path);
    if (code != 0)
        return code;
    if (!look_open(request, ret_resolved))
        return FILE_WAIT_READ_POINT;
    /* The root cannot move. */
    if (dir->id != ATTR_ROOT_ID)
        code = resolve_in_tree(dir, look->tree, dir_path, &dir_attr, NULL);
    if (code == 0)
        code = tree_stat(look->tree, ret_resolved->path, &look->attr);
    if (code == 0)
        code = check_names(request, ret_resolved, had_read_point);
    if (code != 0)
        look_release(look);
    return code;
}

/* --- what the kernel may keep --- */

/* The end, or 0 when there is none. */
static uint64_t keep_until(const struct look *look)
{
    return look->until_ns < look->given.life_ns ? look->until_ns : look->given.life_ns;
}

struct keep resolve_keep_attr(struct fs *fs, const struct look *look, struct inode *inode)
{
    struct keep keep = {.until_ns = keep_until(look)};

    if (inode->type == FILE_DIRECTORY && inode_listing_look(inode, look->attr.version))
        recall_listing(fs, inode->id);
    /* Whoever opens it to be written takes back what is noted by then, and what is not noted
     * yet is not given. */
    keep.attr = keep.until_ns != 0 && file_is_quiet(inode) &&
                given_attr(&fs->given, &look->given, inode->id) && file_is_quiet(inode);
    return keep;
}

struct keep resolve_keep(struct fs *fs, const struct look *look, struct inode *inode)
{
    struct keep keep = resolve_keep_attr(fs, look, inode);

    if (keep.until_ns == 0 || !fs->has_epoch)
        return keep;
    keep.name = given_name(&fs->given, &look->given);
    return keep;
}

struct keep resolve_keep_missing(struct fs *fs, const struct look *look)
{
    struct keep keep = {.until_ns = keep_until(look)};

    keep.name = keep.until_ns != 0 && fs->has_epoch && given_name(&fs->given, &look->given);
    return keep;
}
