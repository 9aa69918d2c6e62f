/* One file: create, write, attributes. */
#include "raftstore/command.h"
#include "raftstore/executor_run.h"

#include <string.h>

#define SET_GROUP_ID 02000u

/* --- create --- */

static int check_create(const Keelfspb__CreateRequest *create)
{
    bool symlink = create->type == KEELFSPB__FILE_TYPE__Symlink;
    bool device = create->type == KEELFSPB__FILE_TYPE__CharDevice ||
                  create->type == KEELFSPB__FILE_TYPE__BlockDevice;

    if ((unsigned)create->type > FILE_BLOCK_DEVICE || (create->rdev != 0 && !device) ||
        symlink != (create->target.len > 0)) {
        return KE_INVALID;
    }
    if (create->target.len > ATTR_TARGET_MAX) {
        return KE_NAME_TOO_LONG;
    }
    if (symlink && memchr(create->target.data, '\0', create->target.len) != NULL) {
        return KE_INVALID;
    }
    return 0;
}

/* The path of a create is taken. */
static int answer_existing(struct run *run, const Keelfspb__CreateRequest *create,
                           const struct attr_row *row)
{
    if (create->exclusive || create->type != KEELFSPB__FILE_TYPE__RegularFile) {
        return KE_EXISTS;
    }
    if (row->attr.type != FILE_REGULAR) {
        return row->attr.type == FILE_DIRECTORY ? KE_IS_DIR : KE_EXISTS;
    }
    run_answer(run, row);
    return 0;
}

int run_create(struct run *run, const Keelfspb__CreateRequest *create)
{
    char path[PATH_BYTES_MAX + 1];
    struct attr_row row;
    struct parent parent;
    int code = run_take_path(create->path, path);

    if (code == 0) {
        code = check_create(create);
    }
    if (code != 0) {
        return code;
    }
    if (run_find(run, path, &row)) {
        return answer_existing(run, create, &row);
    }
    code = run_find_parent(run, path, &parent);
    if (code != 0) {
        return code;
    }
    row.attr = (struct attr){.type = (enum file_type)create->type,
                             .mode = create->mode & 07777,
                             .uid = create->uid,
                             .gid = create->gid,
                             .size = create->target.len,
                             .rdev = create->rdev};
    row.target_size = create->target.len;
    if (row.target_size > 0) {
        memcpy(row.target, create->target.data, row.target_size);
    }
    run_add(run, path, &parent, create->umask, &row);
    run_answer(run, &row);
    return 0;
}

/* --- write and attributes --- */

static int check_regular(const struct attr *attr)
{
    if (attr->type == FILE_DIRECTORY) {
        return KE_IS_DIR;
    }
    return attr->type == FILE_REGULAR ? 0 : KE_NOT_REGULAR;
}

static bool writes_nothing(const Keelfspb__WriteRequest *write, const struct attr *attr)
{
    if (write->truncate || write->append.len > 0) {
        return false;
    }
    for (size_t i = 0; i < write->n_extents; i++) {
        const Keelfspb__Extent *extent = write->extents[i];

        if (extent->data.len > 0 || extent->zeros > 0 || extent->offset > attr->size) {
            return false;
        }
    }
    return true;
}

int run_write(struct run *run, const Keelfspb__WriteRequest *write)
{
    char path[PATH_BYTES_MAX + 1];
    struct attr_row row;
    int code = run_take_path(write->path, path);

    if (code == 0) {
        code = run_find_opened(run, path, write->id, &row);
    }
    if (code == 0) {
        code = check_regular(&row.attr);
    }
    if (code == 0 && write->if_version != 0 && write->if_version != row.attr.version) {
        code = KE_STALE;
    }
    if (code == 0) {
        code = run_check_write(run, &row.attr, write);
    }
    if (code != 0) {
        return code;
    }
    if (!writes_nothing(write, &row.attr)) {
        run_write_content(run, &row.attr, write);
        run_drop_capability(run, &row.attr);
        row.attr.mtime_ns = run->time_ns;
        row.attr.ctime_ns = run->time_ns;
        if (write->clear_suid) {
            row.attr.mode = attr_without_suid(row.attr.mode);
        }
        run_change(run, path, &row);
    }
    run_answer(run, &row);
    return 0;
}

#define SET_ALL                                                                                    \
    (COMMAND_SET_MODE | COMMAND_SET_UID | COMMAND_SET_GID | COMMAND_SET_SIZE | COMMAND_SET_ATIME | \
     COMMAND_SET_MTIME | COMMAND_CLEAR_SUID | COMMAND_CLEAR_SGID)

static int check_set_attr(const Keelfspb__SetAttrRequest *set, const struct attr *attr)
{
    if ((set->mask & ~(unsigned)SET_ALL) != 0) {
        return KE_INVALID;
    }
    if ((set->mask & COMMAND_SET_SIZE) == 0) {
        return 0;
    }
    if (set->size > TREE_FILE_MAX) {
        return KE_TOO_LARGE;
    }
    return check_regular(attr);
}

static void set_fields(struct run *run, const Keelfspb__SetAttrRequest *set, struct attr *attr)
{
    if ((set->mask & COMMAND_SET_SIZE) != 0) {
        run_truncate_content(run, attr, set->size);
        attr->mtime_ns = run->time_ns;
    }
    if ((set->mask & COMMAND_CLEAR_SUID) != 0) {
        attr->mode = attr_without_suid(attr->mode);
    }
    if ((set->mask & COMMAND_CLEAR_SGID) != 0) {
        attr->mode &= ~SET_GROUP_ID;
    }
    if ((set->mask & COMMAND_SET_MODE) != 0) {
        attr->mode = set->mode & 07777;
        run_follow_mode(run, attr);
    }
    if ((set->mask & COMMAND_SET_UID) != 0) {
        attr->uid = set->uid;
    }
    if ((set->mask & COMMAND_SET_GID) != 0) {
        attr->gid = set->gid;
    }
    if ((set->mask & COMMAND_SET_ATIME) != 0) {
        attr->atime_ns = set->atime_ns;
    }
    if ((set->mask & COMMAND_SET_MTIME) != 0) {
        attr->mtime_ns = set->mtime_ns;
    }
    attr->ctime_ns = run->time_ns;
}

int run_set_attr(struct run *run, const Keelfspb__SetAttrRequest *set)
{
    char path[PATH_BYTES_MAX + 1];
    struct attr_row row;
    int code = run_take_path_or_root(set->path, path);

    if (code == 0) {
        code = run_find_opened(run, path, set->id, &row);
    }
    if (code == 0) {
        code = check_set_attr(set, &row.attr);
    }
    if (code != 0) {
        return code;
    }
    if (set->mask != 0) {
        if ((set->mask & (COMMAND_SET_UID | COMMAND_SET_GID | COMMAND_SET_SIZE)) != 0) {
            run_drop_capability(run, &row.attr);
        }
        set_fields(run, set, &row.attr);
        run_change(run, path, &row);
    }
    run_answer(run, &row);
    return 0;
}
