/* The keys of a command cover whatever it changes: what a read lease stands on. */
#include "volume.h"

#include "raftstore/touch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMMANDS = 6000, REQUESTS_MAX = 3, PATH_MAX_BYTES = 16, LISTED_MAX = 512, IDS_MAX = 65536 };

/* --- all that can be seen --- */

struct listed {
    char path[64];
    struct attr attr;
    char target[64]; /* of a symbolic link */
};

struct listing {
    size_t count;
    struct listed objects[LISTED_MAX];
};

static struct listing before, after;
/* Objects that have, or had, several names: nobody relies on their keys. */
static bool had_names[IDS_MAX];

static void list_object(struct listing *listing, struct tree_view *view, const char *path)
{
    struct listed *object = &listing->objects[listing->count++];
    char target[4096];

    cr_assert_lt(listing->count, LISTED_MAX);
    memset(object, 0, sizeof *object);
    (void)snprintf(object->path, sizeof object->path, "%s", path);
    cr_assert_eq(tree_stat(view, path, &object->attr), 0);
    if (object->attr.type == FILE_SYMLINK) {
        cr_assert_eq(tree_read_link(view, path, target), 0);
        (void)snprintf(object->target, sizeof object->target, "%.*s", 60, target);
    }
    if (object->attr.type != FILE_DIRECTORY && object->attr.nlink > 1) {
        had_names[object->attr.id % IDS_MAX] = true;
    }
}

static void list_directory(struct listing *listing, struct tree_view *view, const char *dir)
{
    struct tree_list *list;
    const char *name;
    struct attr attr;
    char path[64];

    list_object(listing, view, dir);
    cr_assert_eq(tree_list_open(view, dir, &list), 0);
    tree_list_seek(list, "");
    while (tree_list_next(list, &name, &attr) == 1) {
        (void)snprintf(path, sizeof path, "%.40s%s%.16s", dir, dir[0] != '\0' ? "/" : "", name);
        if (attr.type == FILE_DIRECTORY) {
            list_directory(listing, view, path);
        } else {
            list_object(listing, view, path);
        }
    }
    tree_list_close(list);
}

static void list_all(struct volume *v, struct listing *listing)
{
    struct tree_view *view = tree_view_new(v->tree);

    listing->count = 0;
    list_directory(listing, view, "");
    tree_view_unref(view);
}

static const struct listed *find(const struct listing *listing, const char *path)
{
    for (size_t i = 0; i < listing->count; i++) {
        if (strcmp(listing->objects[i].path, path) == 0) {
            return &listing->objects[i];
        }
    }
    return NULL;
}

/* --- the property --- */

struct keys {
    uint64_t keys[COMMAND_TOUCHED_MAX];
    size_t count;
};

/* With `mark`, that of names. */
static bool covers(const struct keys *keys, const char *path, size_t size, uint64_t mark)
{
    uint64_t key = touch_key(path, size);

    for (size_t i = 0; i < keys->count; i++) {
        if (touch_is_everything(keys->keys[i]) ||
            (touch_object(keys->keys[i]) == key && (keys->keys[i] & mark) == mark)) {
            return true;
        }
    }
    return false;
}

static void assert_name_covered(const struct keys *keys, const char *path)
{
    const char *slash = strrchr(path, '/');

    cr_assert(covers(keys, path, strlen(path), TOUCH_NAMES), "the name %s", path);
    cr_assert(covers(keys, path, slash != NULL ? (size_t)(slash - path) : 0, 0),
              "the directory of %s", path);
}

static bool is_same(const struct attr *a, const struct attr *b)
{
    return a->version == b->version && a->mode == b->mode && a->uid == b->uid && a->gid == b->gid &&
           a->size == b->size && a->nlink == b->nlink && a->xattr_bytes == b->xattr_bytes &&
           a->atime_ns == b->atime_ns && a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

static void assert_covered(const struct keys *keys, const char *path)
{
    const struct listed *old = find(&before, path);
    const struct listed *new = find(&after, path);

    if (old == NULL || new == NULL || old->attr.id != new->attr.id) {
        assert_name_covered(keys, path);
    } else if (!is_same(&old->attr, &new->attr) &&
               !(had_names[new->attr.id % IDS_MAX] && old->attr.nlink > 1)) {
        cr_assert(covers(keys, path, strlen(path), 0), "the attributes of %s", path);
    }
}

/* Runs `cmd`, which is freed. Whether anything has changed. */
static bool run_and_check(struct volume *v, struct command *cmd)
{
    struct keys keys;
    const uint64_t *touched = command_touched(cmd, &keys.count);

    cr_assert_leq(keys.count, COMMAND_TOUCHED_MAX);
    memcpy(keys.keys, touched, keys.count * sizeof keys.keys[0]);
    (void)volume_run(v, cmd);
    list_all(v, &after);
    bool changed = before.count != after.count;
    for (size_t i = 0; i < before.count; i++) {
        assert_covered(&keys, before.objects[i].path);
    }
    for (size_t i = 0; i < after.count; i++) {
        const struct listed *old = find(&before, after.objects[i].path);

        assert_covered(&keys, after.objects[i].path);
        changed = changed || old == NULL || !is_same(&old->attr, &after.objects[i].attr);
    }
    before = after;
    return changed;
}

/* --- random commands --- */

static void random_path(uint64_t *seed, char *out)
{
    static const char *const names[] = {"a", "b", "c"};
    uint32_t depth = 1 + scratch_random(seed, 3);
    size_t used = 0;

    for (uint32_t i = 0; i < depth; i++) {
        used += (size_t)snprintf(out + used, PATH_MAX_BYTES - used, "%s%s", i > 0 ? "/" : "",
                                 names[scratch_random(seed, 3)]);
    }
}

static uint64_t id_of(const char *path)
{
    const struct listed *object = find(&before, path);

    return object != NULL ? object->attr.id : 7;
}

static void add_name_request(struct command *cmd, uint64_t *seed, const char *path,
                             const char *other)
{
    switch (scratch_random(seed, 6)) {
    case 0:
        command_remove(cmd, path, scratch_random(seed, 2) == 0);
        break;
    case 1:
        command_rename(cmd, path, other, scratch_random(seed, 2) == 0);
        break;
    case 2:
        command_rename_file(cmd, path, other, scratch_random(seed, 2) == 0);
        break;
    case 3:
        command_exchange(cmd, path, other);
        break;
    case 4:
        command_link(cmd, path, id_of(path), other);
        break;
    default:
        command_delete(cmd, "default", path, strlen(path));
        break;
    }
}

static void add_change_request(struct command *cmd, uint64_t *seed, const char *path)
{
    uint64_t id = id_of(path);

    switch (scratch_random(seed, 3)) {
    case 0:
        command_write(cmd, &(struct command_write){
                               .path = path, .id = id, .append = "more", .append_size = 4});
        break;
    case 1:
        command_set_attr(cmd,
                         &(struct command_set_attr){
                             .path = path, .id = id, .mask = COMMAND_SET_MODE | COMMAND_SET_UID});
        break;
    default:
        command_set_xattr(cmd, path, id, "user.x", "v", 1, COMMAND_XATTR_ANY);
        break;
    }
}

static void add_request(struct command *cmd, uint64_t *seed)
{
    char path[PATH_MAX_BYTES];
    char other[PATH_MAX_BYTES];

    random_path(seed, path);
    random_path(seed, other);
    switch (scratch_random(seed, 6)) {
    case 0:
        command_put(cmd, scratch_random(seed, 4) == 0 ? "lock" : "default", path, strlen(path), "v",
                    1);
        break;
    case 1:
        command_create(cmd, &(struct command_create){.path = path, .type = FILE_DIRECTORY});
        break;
    case 2:
        command_create(cmd,
                       &(struct command_create){
                           .path = path, .type = FILE_SYMLINK, .target = other, .exclusive = true});
        break;
    case 3:
        add_name_request(cmd, seed, path, other);
        break;
    default:
        add_change_request(cmd, seed, path);
        break;
    }
}

Test(touched, the_keys_of_a_command_cover_all_that_it_changes, .timeout = 120)
{
    struct volume v;
    uint64_t seed = scratch_seed("touched");
    unsigned changed = 0;

    volume_open(&v);
    list_all(&v, &before);
    for (unsigned i = 0; i < COMMANDS; i++) {
        struct command *cmd = command_new();
        uint32_t count = 1 + scratch_random(&seed, REQUESTS_MAX);

        command_set_time(cmd, (int64_t)i);
        for (uint32_t k = 0; k < count; k++) {
            add_request(cmd, &seed);
        }
        changed += run_and_check(&v, cmd);
    }
    cr_assert_gt(changed, COMMANDS / 20, "%u of %u changed something", changed, COMMANDS);
    volume_close(&v);
}

static bool touches(struct command *cmd, const char *path, uint64_t mark)
{
    struct keys keys;
    const uint64_t *touched = command_touched(cmd, &keys.count);

    memcpy(keys.keys, touched, keys.count * sizeof keys.keys[0]);
    return covers(&keys, path, strlen(path), mark);
}

Test(touched, a_file_that_is_renamed_disturbs_nothing_else)
{
    struct command *cmd = command_new();

    command_rename_file(cmd, "a/f", "b/g", false);
    cr_assert(touches(cmd, "a/f", TOUCH_NAMES));
    cr_assert(touches(cmd, "a", 0));
    cr_assert(!touches(cmd, "a", TOUCH_NAMES));
    cr_assert(touches(cmd, "b/g", TOUCH_NAMES));
    cr_assert(touches(cmd, "b", 0));
    cr_assert(!touches(cmd, "b", TOUCH_NAMES));
    cr_assert(!touches(cmd, "a/e", 0));
    cr_assert(!touches(cmd, "", 0));
    command_free(cmd);
}

Test(touched, a_directory_is_not_renamed_as_a_file)
{
    struct volume v;
    struct command *cmd = volume_command();

    volume_open(&v);
    cr_assert_eq(volume_mkdir(&v, "d"), 0);
    command_rename_file(cmd, "d", "e", false);
    cr_assert_eq(volume_run(&v, cmd), KE_STALE);
    volume_assert_names(&v, "", "d/");
    volume_close(&v);
}

Test(touched, a_write_leaves_the_names_alone)
{
    struct command *cmd = command_new();

    command_write(cmd, &(struct command_write){.path = "a/f", .append = "x", .append_size = 1});
    cr_assert(touches(cmd, "a/f", 0));
    cr_assert(!touches(cmd, "a/f", TOUCH_NAMES));
    cr_assert(!touches(cmd, "a", 0));
    command_free(cmd);
}

Test(touched, what_is_no_part_of_the_namespace_touches_nothing)
{
    size_t count;
    struct command *cmd = command_new();

    command_put(cmd, "lock", "a", 1, "v", 1);
    command_delete(cmd, "write", "a", 1);
    command_set_quota(cmd, 1, 1);
    command_compact_log(cmd, 1, 1);
    command_compute_hash(cmd);
    (void)command_touched(cmd, &count);
    cr_assert_eq(count, 0);
    command_free(cmd);
}

Test(touched, a_command_that_changes_too_much_touches_everything)
{
    char path[] = "f00";
    size_t count = 0;
    struct command *cmd = command_new();

    for (unsigned i = 0; i <= COMMAND_TOUCHED_MAX; i++) {
        (void)snprintf(path, sizeof path, "f%02u", i);
        command_write(cmd, &(struct command_write){.path = path, .append = "x", .append_size = 1});
    }
    const uint64_t *keys = command_touched(cmd, &count);
    cr_assert_eq(count, 1);
    cr_assert(touch_is_everything(keys[0]));
    command_free(cmd);
}

Test(touched, a_put_far_down_touches_everything_too)
{
    char path[2 * COMMAND_TOUCHED_MAX + 2];
    size_t count = 0;
    struct command *cmd = command_new();

    for (size_t i = 0; i < sizeof path; i++) {
        path[i] = i % 2 == 0 ? 'd' : '/';
    }
    path[sizeof path - 1] = '\0';
    command_put(cmd, "default", path, strlen(path), "v", 1);
    const uint64_t *keys = command_touched(cmd, &count);
    cr_assert_eq(count, 1);
    cr_assert(touch_is_everything(keys[0]));
    command_free(cmd);
}
