/* Extended attributes: rows named by the file's id, so that neither a rename nor a
 * second name touches them. */
#include "raftstore/command.h"
#include "raftstore/executor_run.h"
#include "raftstore/keys.h"

#include <stdlib.h>
#include <string.h>

#define CAPABILITY_NAME "security.capability"

/* Bytes of name and value; 0 when there is none of that name. */
static size_t old_bytes(struct run *run, struct bytes key, size_t name_size)
{
    uint8_t *value;
    size_t size;

    if (!run_get(run, CF_ATTR, key, &value, &size)) {
        return 0;
    }
    free(value);
    return name_size + size;
}

void run_drop_capability(struct run *run, struct attr *attr)
{
    uint8_t buffer[XATTR_KEY_MAX];
    struct bytes key;
    size_t old;

    if (attr->xattr_bytes == 0) {
        return;
    }
    key = key_xattr(attr->id, CAPABILITY_NAME, strlen(CAPABILITY_NAME), buffer);
    old = old_bytes(run, key, strlen(CAPABILITY_NAME));
    if (old > 0) {
        run_delete(run, CF_ATTR, key);
        attr->xattr_bytes -= (uint32_t)old;
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
    char path[PATH_BYTES_MAX + 1];
    uint8_t key_buffer[XATTR_KEY_MAX];
    struct attr_row row;
    struct bytes key;
    bool removes = set->mode == KEELFSPB__SET_XATTR_REQUEST__MODE__Remove;
    size_t old, total;
    int code = run_take_path_or_root(set->path, path);

    if (code == 0) {
        code = check_set(set);
    }
    if (code == 0) {
        code = run_find_opened(run, path, set->id, &row);
    }
    if (code != 0) {
        return code;
    }
    key = key_xattr(row.attr.id, set->name.data, set->name.len, key_buffer);
    old = old_bytes(run, key, set->name.len);
    if (old > 0 && set->mode == KEELFSPB__SET_XATTR_REQUEST__MODE__Create) {
        return KE_EXISTS;
    }
    if (old == 0 && (removes || set->mode == KEELFSPB__SET_XATTR_REQUEST__MODE__Replace)) {
        return KE_NO_XATTR;
    }
    total = row.attr.xattr_bytes - old + (removes ? 0 : set->name.len + set->value.len);
    if (!removes && total > COMMAND_XATTRS_BYTES_MAX) {
        return KE_NO_SPACE;
    }
    if (removes) {
        run_delete(run, CF_ATTR, key);
    } else {
        run_put(run, CF_ATTR, key, (struct bytes){.data = set->value.data, .size = set->value.len});
    }
    row.attr.xattr_bytes = (uint32_t)total;
    row.attr.ctime_ns = run->time_ns;
    run_change(run, path, &row);
    run_answer(run, &row);
    return 0;
}
