/* Extended attributes: rows named by the file's id, so that neither a rename nor a
 * second name touches them. */
#include "raftstore/command.h"
#include "raftstore/executor_run.h"
#include "raftstore/keys.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Of all changes of a batch of commands: past it extended attributes go untold. */
#define TOLD_BYTES_MAX (8u << 20)

#define CAPABILITY_NAME "security.capability"

bool run_get_xattr(struct run *run, uint64_t id, struct bytes name, uint8_t **ret_value,
                   size_t *ret_size)
{
    uint8_t key[XATTR_KEY_MAX];

    return run_get(run, CF_ATTR, key_xattr(id, name.data, name.size, key), ret_value, ret_size);
}

/* Bytes of name and value; 0 when there is none of that name. */
static size_t old_bytes(struct run *run, uint64_t id, struct bytes name)
{
    uint8_t *value;
    size_t size;

    if (!run_get_xattr(run, id, name, &value, &size)) {
        return 0;
    }
    free(value);
    return name.size + size;
}

int run_put_xattr(struct run *run, struct attr *attr, struct bytes name, struct bytes value,
                  enum command_xattr_mode mode)
{
    uint8_t key[XATTR_KEY_MAX];
    size_t old = old_bytes(run, attr->id, name);
    bool removes = mode == COMMAND_XATTR_REMOVE;
    size_t total = attr->xattr_bytes - old + (removes ? 0 : name.size + value.size);

    if (old > 0 && mode == COMMAND_XATTR_CREATE) {
        return KE_EXISTS;
    }
    if (old == 0 && (removes || mode == COMMAND_XATTR_REPLACE)) {
        return KE_NO_XATTR;
    }
    if (!removes && total > COMMAND_XATTRS_BYTES_MAX) {
        return KE_NO_SPACE;
    }
    if (removes) {
        run_delete(run, CF_ATTR, key_xattr(attr->id, name.data, name.size, key));
    } else {
        run_put(run, CF_ATTR, key_xattr(attr->id, name.data, name.size, key), value);
    }
    attr->xattr_bytes = (uint32_t)total;
    return 0;
}

static const void *keep(struct arena *arena, const void *data, size_t size)
{
    void *copy = arena_alloc(arena, size);

    assert(copy != NULL);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    return copy;
}

/* The row of an extended attribute, whose name begins at `prefix`. */
static const struct change_xattr *keep_xattr(struct arena *arena, struct bytes key, size_t prefix,
                                             struct bytes value, const struct change_xattr *next)
{
    const struct change_xattr xattr = {
        .next = next,
        .name = keep(arena, key.data + prefix, key.size - prefix),
        .name_size = key.size - prefix,
        .value = keep(arena, value.data, value.size),
        .value_size = value.size,
    };

    return keep(arena, &xattr, sizeof xattr);
}

static const struct change_xattr *collect(struct run *run, uint64_t id, struct arena *arena)
{
    const struct change_xattr *xattrs = NULL;
    uint8_t buffer[XATTR_KEY_MAX];
    struct bytes first = key_xattr(id, "", 0, buffer);
    struct key end = key_xattr_end(id);
    struct engine_iterator *it =
        engine_iterator_new(run->executor->kv, NULL, run->batch, CF_ATTR, key_bytes(&end));
    int code;

    for (engine_iterator_seek(it, first); engine_iterator_valid(it); engine_iterator_next(it)) {
        xattrs = keep_xattr(arena, engine_iterator_key(it), first.size, engine_iterator_value(it),
                            xattrs);
    }
    code = engine_iterator_status(it);
    engine_iterator_free(it);
    if (code != 0) {
        run_stop_unreadable(code);
    }
    return xattrs;
}

const struct change_xattr *run_erase_xattrs(struct run *run, uint64_t id)
{
    struct executor *executor = run->executor;
    bool tells = executor->change_paths.used < TOLD_BYTES_MAX;
    const struct change_xattr *xattrs =
        collect(run, id, tells ? &executor->change_paths : &executor->arena);
    uint8_t key[XATTR_KEY_MAX];

    /* Behind the iterator, which a change of its batch ends. */
    for (const struct change_xattr *xattr = xattrs; xattr != NULL; xattr = xattr->next) {
        run_delete(run, CF_ATTR, key_xattr(id, xattr->name, xattr->name_size, key));
    }
    return tells ? xattrs : NULL;
}

void run_drop_capability(struct run *run, struct attr *attr)
{
    const struct bytes name = {.data = (const uint8_t *)CAPABILITY_NAME,
                               .size = strlen(CAPABILITY_NAME)};

    if (attr->xattr_bytes > 0) {
        (void)run_put_xattr(run, attr, name, (struct bytes){0}, COMMAND_XATTR_REMOVE);
    }
}

static int check_set(const Keelfspb__SetXattrRequest *set)
{
    if (set->name.len == 0) {
        return KE_INVALID;
    }
    if (set->name.len > XATTR_NAME_MAX) {
        return KE_NAME_TOO_LONG;
    }
    if ((unsigned)set->mode > KEELFSPB__SET_XATTR_REQUEST__MODE__Remove) {
        return KE_INVALID;
    }
    return set->value.len > COMMAND_XATTR_VALUE_MAX ? KE_TOO_LARGE : 0;
}

int run_set_xattr(struct run *run, const Keelfspb__SetXattrRequest *set)
{
    const struct bytes name = {.data = set->name.data, .size = set->name.len};
    const struct bytes value = {.data = set->value.data, .size = set->value.len};
    enum command_xattr_mode mode = (enum command_xattr_mode)set->mode;
    char path[PATH_BYTES_MAX + 1];
    struct attr_row row;
    int code = run_take_path_or_root(set->path, path);

    if (code == 0) {
        code = check_set(set);
    }
    if (code == 0) {
        code = run_find_opened(run, path, set->id, &row);
    }
    if (code == 0) {
        code = run_is_acl(name) && mode != COMMAND_XATTR_REMOVE
                   ? run_set_acl(run, &row.attr, name, value, mode)
                   : run_put_xattr(run, &row.attr, name, value, mode);
    }
    if (code != 0) {
        return code;
    }
    row.attr.ctime_ns = run->time_ns;
    run_change(run, path, &row);
    run_answer(run, &row);
    return 0;
}
