#include "observe.h"

#include "act.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define DEPTH_MAX 16

struct observer {
    struct texts *texts;
    struct state *state;
    char *why;
};

static bool fail(struct observer *observer, const char *what, const char *path)
{
    (void)snprintf(observer->why, OBSERVE_WHY_MAX, "%s of %s: %s", what, path, strerror(errno));
    return false;
}

static bool read_content(struct observer *observer, const char *path, uint16_t *ret_text)
{
    char bytes[TEXT_MAX];
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return fail(observer, "open", path);
    ssize_t size = pread(fd, bytes, sizeof(bytes), 0);
    close(fd);
    if (size < 0)
        return fail(observer, "read", path);
    *ret_text = texts_add(observer->texts, bytes, (size_t)size);
    return true;
}

static bool read_details(struct observer *observer, const char *path, struct state_inode *inode)
{
    char bytes[TEXT_MAX];

    if (inode->type == TYPE_FILE) {
        inode->version_count = 1;
        if (!read_content(observer, path, &inode->versions[0]))
            return false;
    }
    if (inode->type == TYPE_LINK) {
        ssize_t size = readlink(path, bytes, sizeof(bytes));
        if (size < 0)
            return fail(observer, "readlink", path);
        inode->target = texts_add(observer->texts, bytes, (size_t)size);
        return true;
    }
    ssize_t size = lgetxattr(path, "user.stress", bytes, sizeof(bytes));
    if (size < 0 && errno != ENODATA)
        return fail(observer, "getxattr", path);
    inode->xattr = size < 0 ? 0 : texts_add(observer->texts, bytes, (size_t)size);
    return true;
}

static uint8_t find_inode(const struct state *state, uint64_t ino)
{
    for (uint8_t i = 0; i < state->inode_count; i++) {
        if (state->inodes[i].ino == ino)
            return i;
    }
    return STATE_NO_INODE;
}

static bool observe_dir(struct observer *observer, const char *path, uint8_t dir, size_t depth);

static bool observe_name(struct observer *observer, const char *path, uint8_t *entry, size_t depth)
{
    struct state *state = observer->state;
    struct model_op op = {.kind = KIND_STAT};
    struct stat st;

    if (lstat(path, &st) != 0)
        return fail(observer, "lstat", path);
    *entry = find_inode(state, st.st_ino);
    if (*entry != STATE_NO_INODE)
        return true;
    if (state->inode_count == STATE_INODES_MAX) {
        errno = EOVERFLOW;
        return fail(observer, "number", path);
    }
    *entry = state->inode_count++;
    struct state_inode *inode = &state->inodes[*entry];
    inode->ino = st.st_ino;
    inode->mtime_s = (uint32_t)st.st_mtim.tv_sec;
    inode->mode = S_ISLNK(st.st_mode) ? 0 : (uint16_t)(st.st_mode & 07777);
    inode->nlink = S_ISDIR(st.st_mode) ? 1 : (uint8_t)st.st_nlink;
    act_attr_of(&st, &op.attr);
    inode->type = op.attr.type;
    inode->may_have_moved = inode->type == TYPE_DIR;
    return read_details(observer, path, inode) &&
           (inode->type != TYPE_DIR || observe_dir(observer, path, *entry, depth + 1));
}

static bool observe_dir(struct observer *observer, const char *path, uint8_t dir, size_t depth)
{
    struct model_op list = {.kind = KIND_LIST};
    char below[ACT_PATH_MAX + 2];

    errno = act_list(path, &list);
    if (errno == 0 && list.has_stranger)
        errno = EEXIST;
    if (errno == 0 && depth == DEPTH_MAX)
        errno = ELOOP;
    if (errno != 0)
        return fail(observer, "listing", path);
    for (size_t name = 0; name < NAME_COUNT; name++) {
        if (list.types[name] == TYPE_NONE)
            continue;
        (void)snprintf(below, sizeof(below), "%.*s/%s", ACT_PATH_MAX - 2, path,
                       model_name_text((uint8_t)name));
        if (!observe_name(observer, below, &observer->state->inodes[dir].entries[name], depth))
            return false;
    }
    return true;
}

bool observe(const char *root, struct texts *texts, struct state *ret_state,
             char why[OBSERVE_WHY_MAX])
{
    struct observer observer = {.texts = texts, .state = ret_state, .why = why};

    state_init(ret_state);
    return observe_dir(&observer, root, STATE_ROOT, 0);
}

/* Zeros as dots. */
static void show_text(const char *what, const struct texts *texts, uint16_t number, FILE *out)
{
    if (number == 0)
        return;
    const struct text *text = texts_get(texts, number);
    (void)fprintf(out, " %s'", what);
    for (size_t i = 0; i < text->size; i++)
        (void)fputc(text->bytes[i] == '\0' ? '.' : text->bytes[i], out);
    (void)fputc('\'', out);
}

static void show_dir(const struct state *state, const struct texts *texts, uint8_t dir,
                     const char *path, FILE *out)
{
    char below[ACT_PATH_MAX];

    for (size_t name = 0; name < NAME_COUNT; name++) {
        uint8_t entry = state->inodes[dir].entries[name];
        if (entry == STATE_NO_INODE)
            continue;
        const struct state_inode *inode = &state->inodes[entry];
        (void)snprintf(below, sizeof(below), "%.*s%s", ACT_PATH_MAX - 3, path,
                       model_name_text((uint8_t)name));
        (void)fprintf(out, "  %-8s %c inode %" PRIu64 " mode %04o nlink %u mtime %u", below,
                      "?fdl"[inode->type & 3], inode -> ino, inode -> mode, inode -> nlink,
                      inode -> mtime_s);
        uint16_t text =
            inode->type == TYPE_FILE ? inode->versions[inode->version_count - 1] : inode->target;
        show_text("", texts, text, out);
        show_text("xattr ", texts, inode->xattr, out);
        (void)fprintf(out, "\n");
        (void)strncat(below, "/", sizeof(below) - strlen(below) - 1);
        show_dir(state, texts, entry, below, out);
    }
}

void observe_show(const struct state *state, const struct texts *texts, FILE *out)
{
    show_dir(state, texts, STATE_ROOT, "", out);
}
