#include "fs/dir.h"

#include "fs/resolve.h"
#include "raftstore/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* --- versions; under the lock --- */

static void drop_version(struct dir *dir)
{
    tree_list_close(dir->list);
    dir->list = NULL;
    dir->has_next = false;
    if (dir->tree != NULL)
        tree_view_unref(dir->tree);
    dir->tree = NULL;
    free(dir->path);
    dir->path = NULL;
}

static void go_to(struct dir *dir, uint64_t cookie, const char *last_name)
{
    dir->cookie = cookie;
    memmove(dir->last_name, last_name, strlen(last_name) + 1);
    dir->has_next = false;
    tree_list_seek(dir->list, dir->last_name);
}

/* From now on lists what `look` found; goes on where it was. */
static int take_version(struct dir *dir, const struct look *look)
{
    char parent[PATH_BYTES_MAX + 1];
    size_t parent_size = path_parent_length(look->path);
    struct attr attr;

    drop_version(dir);
    tree_view_ref(look->tree);
    dir->tree = look->tree;
    dir->version = look->attr.version;
    dir->moment = look->moment;
    dir->taken_ns = clock_ns();
    dir->path = mem_strdup(look->path);
    dir->is_at_end = false;
    memcpy(parent, look->path, parent_size);
    parent[parent_size] = '\0';
    dir->parent_id = tree_stat(look->tree, parent, &attr) == 0 ? attr.id : (uint64_t)ATTR_ROOT_ID;
    int code = tree_list_open(dir->tree, dir->path, &dir->list);
    if (code == 0)
        go_to(dir, dir->cookie, dir->last_name);
    else
        drop_version(dir);
    return code;
}

bool dir_needs_look(struct dir *dir, uint64_t cookie)
{
    pthread_mutex_lock(&dir->lock);
    bool goes_on = cookie == dir->cookie;
    bool is_start = cookie == DIR_COOKIE_START;
    bool has_ended = goes_on && dir->is_at_end;
    bool needs = goes_on ? dir->tree == NULL && !has_ended : is_start || dir->tree == NULL;
    /* The kernel takes its time of change from now on, not from the open. */
    bool has_moved = dir->is_kept && !has_ended &&
                     (is_start || inode_listing_has_moved(dir->inode, dir->version));
    pthread_mutex_unlock(&dir->lock);
    return needs || has_moved;
}

int dir_look(struct dir *dir, const struct look *look, uint64_t cookie)
{
    pthread_mutex_lock(&dir->lock);
    int code = take_version(dir, look);
    if (code == 0 && cookie == DIR_COOKIE_START) {
        dir_trail_clear(&dir->trail);
        go_to(dir, DIR_COOKIE_START, "");
    }
    pthread_mutex_unlock(&dir->lock);
    return code;
}

void dir_end(struct dir *dir)
{
    dir->is_at_end = true;
    drop_version(dir);
}

/* --- the entries --- */

bool dir_is_at_dots(const struct dir *dir)
{
    return dir->cookie == DIR_COOKIE_START || dir->cookie == DIR_COOKIE_DOT;
}

int dir_peek(struct dir *dir)
{
    bool is_self = dir->cookie == DIR_COOKIE_START;

    if (dir->has_next)
        return 1;
    if (dir_is_at_dots(dir)) {
        dir->name = is_self ? "." : "..";
        dir->attr = (struct attr){
            .type = FILE_DIRECTORY,
            .id = is_self ? dir->inode->id : dir->parent_id,
        };
        dir->has_next = true;
        return 1;
    }
    if (dir->list == NULL)
        return dir->is_at_end ? 0 : KE_STALE;
    int code = tree_list_next(dir->list, &dir->name, &dir->attr);
    dir->has_next = code == 1;
    return code;
}

uint64_t dir_next_cookie(const struct dir *dir)
{
    assert(dir->has_next);
    return dir_is_at_dots(dir) ? dir->cookie + 1 : dir_cookie(dir->name);
}

void dir_pass(struct dir *dir)
{
    uint64_t cookie = dir_next_cookie(dir);

    if (!dir_is_at_dots(dir)) {
        dir_trail_add(&dir->trail, dir->last_name, dir->name);
        memcpy(dir->last_name, dir->name, strlen(dir->name) + 1);
    }
    dir->cookie = cookie;
    dir->has_next = false;
}

/* --- seekdir --- */

/* The last name of this version that was listed no later than the place. */
static int find_by_trail(struct dir *dir, uint64_t cookie, const struct dir_place *place,
                         char *ret_name)
{
    const char *name;
    struct attr attr;
    int code;

    memcpy(ret_name, place->after, strlen(place->after) + 1);
    tree_list_seek(dir->list, place->after);
    while ((code = tree_list_next(dir->list, &name, &attr)) == 1) {
        if (strcmp(name, place->last) > 0)
            return 0;
        if (!dir_place_has(place, dir_cookie(name)))
            continue;
        memcpy(ret_name, name, strlen(name) + 1);
        if (dir_cookie(name) == cookie)
            return 0;
    }
    return code;
}

/* The trail does not go back so far: the name itself must still be there. */
static int find_by_cookie(struct dir *dir, uint64_t cookie, char *ret_name)
{
    const char *name;
    struct attr attr;
    int code;

    tree_list_seek(dir->list, "");
    while ((code = tree_list_next(dir->list, &name, &attr)) == 1) {
        if (dir_cookie(name) == cookie) {
            memcpy(ret_name, name, strlen(name) + 1);
            return 0;
        }
    }
    return code == 0 ? KE_INVALID : code;
}

int dir_seek(struct dir *dir, uint64_t cookie)
{
    char name[PATH_COMPONENT_MAX + 1] = "";
    struct dir_place place;
    int code = 0;

    if (cookie == dir->cookie)
        return 0;
    if (dir->list == NULL)
        return KE_STALE;
    if (cookie > DIR_COOKIE_DOT_DOT && dir_trail_find(&dir->trail, cookie, &place))
        code = find_by_trail(dir, cookie, &place, name);
    else if (cookie > DIR_COOKIE_DOT_DOT)
        code = find_by_cookie(dir, cookie, name);
    if (code == 0)
        go_to(dir, cookie, name);
    else
        go_to(dir, dir->cookie, dir->last_name);
    return code;
}

/* --- opening and closing --- */

static void dir_free(struct fs_object *object)
{
    struct dir *dir = (struct dir *)object;

    if (dir->is_kept)
        inode_listing_close(dir->inode);
    drop_version(dir);
    dir_trail_clear(&dir->trail);
    pthread_mutex_destroy(&dir->lock);
    inode_unpin(dir->inode);
    free(dir);
}

static void dir_renew(struct fs_object *object)
{
    struct dir *dir = (struct dir *)object;

    if (pthread_mutex_trylock(&dir->lock) != 0)
        return; /* being read: next time */
    if (dir->tree != NULL && clock_ns() - dir->taken_ns > VIEW_AGE_MAX_NS)
        drop_version(dir);
    pthread_mutex_unlock(&dir->lock);
}

void dir_close(struct dir *dir)
{
    fs_object_remove(dir->fs, &dir->object);
    dir_free(&dir->object);
}

int dir_open(struct fs *fs, struct inode *inode, const struct look *look, struct dir **ret_dir)
{
    if (look->attr.type != FILE_DIRECTORY)
        return KE_NOT_DIR;
    struct dir *dir = mem_zalloc(sizeof(*dir));
    dir->fs = fs;
    dir->inode = inode;
    inode_pin_again(inode);
    pthread_mutex_init(&dir->lock, NULL);
    dir->object.free = dir_free;
    dir->object.renew = dir_renew;
    fs_object_add(fs, &dir->object);
    int code = take_version(dir, look);
    if (code == 0)
        *ret_dir = dir;
    else
        dir_close(dir);
    return code;
}
