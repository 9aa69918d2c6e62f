#include "fs/op_record.h"

#include <assert.h>
#include <inttypes.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>

/* What stands behind the header: a struct of fixed size, then names. */
struct op_kind {
    const char *name;
    size_t fixed;
    unsigned names; /* at most 2 */
    bool is_patient;
};

static_assert(FUSE_TMPFILE < OP_CODES, "there is room for every request");

/* FORGET, INTERRUPT and their like are not answered; INIT and DESTROY are no one's. */
static const struct op_kind kinds[OP_CODES] = {
    [FUSE_LOOKUP] = {"lookup", 0, 1},
    [FUSE_GETATTR] = {"getattr", 0, 0},
    [FUSE_SETATTR] = {"setattr", sizeof(struct fuse_setattr_in), 0},
    [FUSE_READLINK] = {"readlink", 0, 0},
    [FUSE_SYMLINK] = {"symlink", 0, 2},
    [FUSE_MKNOD] = {"mknod", sizeof(struct fuse_mknod_in), 1},
    [FUSE_MKDIR] = {"mkdir", sizeof(struct fuse_mkdir_in), 1},
    [FUSE_UNLINK] = {"unlink", 0, 1},
    [FUSE_RMDIR] = {"rmdir", 0, 1},
    [FUSE_RENAME] = {"rename", sizeof(struct fuse_rename_in), 2},
    [FUSE_LINK] = {"link", sizeof(struct fuse_link_in), 1},
    [FUSE_OPEN] = {"open", sizeof(struct fuse_open_in), 0},
    [FUSE_READ] = {"read", sizeof(struct fuse_read_in), 0},
    [FUSE_WRITE] = {"write", sizeof(struct fuse_write_in), 0},
    [FUSE_STATFS] = {"statfs", 0, 0},
    [FUSE_RELEASE] = {"release", 0, 0},
    [FUSE_FSYNC] = {"fsync", 0, 0},
    /* As long as it was before FUSE_SETXATTR_EXT, which libfuse does not ask for. */
    [FUSE_SETXATTR] = {"setxattr", FUSE_COMPAT_SETXATTR_IN_SIZE, 1},
    [FUSE_GETXATTR] = {"getxattr", sizeof(struct fuse_getxattr_in), 1},
    [FUSE_LISTXATTR] = {"listxattr", 0, 0},
    [FUSE_REMOVEXATTR] = {"removexattr", 0, 1},
    [FUSE_FLUSH] = {"flush", 0, 0},
    [FUSE_OPENDIR] = {"opendir", sizeof(struct fuse_open_in), 0},
    [FUSE_READDIR] = {"readdir", sizeof(struct fuse_read_in), 0},
    [FUSE_RELEASEDIR] = {"releasedir", 0, 0},
    [FUSE_FSYNCDIR] = {"fsyncdir", 0, 0},
    [FUSE_GETLK] = {"getlk", 0, 0},
    [FUSE_SETLK] = {"setlk", 0, 0},
    [FUSE_SETLKW] = {"setlkw", 0, 0, true},
    [FUSE_ACCESS] = {"access", 0, 0},
    [FUSE_CREATE] = {"create", sizeof(struct fuse_create_in), 1},
    [FUSE_IOCTL] = {"ioctl", 0, 0},
    [FUSE_POLL] = {"poll", 0, 0},
    [FUSE_FALLOCATE] = {"fallocate", sizeof(struct fuse_fallocate_in), 0},
    [FUSE_READDIRPLUS] = {"readdirplus", sizeof(struct fuse_read_in), 0},
    [FUSE_RENAME2] = {"rename2", sizeof(struct fuse_rename2_in), 2},
    [FUSE_LSEEK] = {"lseek", sizeof(struct fuse_lseek_in), 0},
    [FUSE_COPY_FILE_RANGE] = {"copy_file_range", sizeof(struct fuse_copy_file_range_in), 0},
    [FUSE_SYNCFS] = {"syncfs", 0, 0},
    [FUSE_TMPFILE] = {"tmpfile", sizeof(struct fuse_create_in), 0},
};

static const struct op_kind *kind_of(uint32_t opcode)
{
    return opcode < OP_CODES && kinds[opcode].name != NULL ? &kinds[opcode] : NULL;
}

const char *op_name(uint32_t opcode)
{
    const struct op_kind *kind = kind_of(opcode);

    return kind != NULL ? kind->name : NULL;
}

bool op_is_patient(uint32_t opcode)
{
    const struct op_kind *kind = kind_of(opcode);

    return kind != NULL && kind->is_patient;
}

const char *op_result_text(int error)
{
    const char *name = error == 0 ? "OK" : strerrorname_np(-error);

    return name != NULL ? name : "an unknown error";
}

/* --- from the kernel's bytes --- */

/* Any of the fixed parts. */
union op_fixed {
    struct fuse_setattr_in setattr;
    struct fuse_mknod_in mknod;
    struct fuse_mkdir_in mkdir;
    struct fuse_rename2_in rename; /* begins as the older one */
    struct fuse_link_in link;
    struct fuse_open_in open;
    struct fuse_create_in create;
    struct fuse_read_in read;
    struct fuse_write_in write;
    struct fuse_fallocate_in fallocate;
    struct fuse_lseek_in lseek;
    struct fuse_copy_file_range_in copy;
};

static void take_span(struct op_record *record, uint64_t offset, uint64_t size)
{
    record->offset = offset;
    record->size = size;
}

static void take_fixed(struct op_record *record, const union op_fixed *in)
{
    switch (record->opcode) {
    case FUSE_SETATTR:
        record->flags = in->setattr.valid;
        record->size = in->setattr.size;
        record->mode = in->setattr.mode;
        break;
    case FUSE_MKNOD:
        record->mode = in->mknod.mode;
        break;
    case FUSE_MKDIR:
        record->mode = in->mkdir.mode;
        break;
    case FUSE_RENAME:
    case FUSE_RENAME2:
        record->other_node = in->rename.newdir;
        break;
    case FUSE_LINK:
        record->other_node = in->link.oldnodeid;
        break;
    case FUSE_OPEN:
    case FUSE_OPENDIR:
        record->flags = in->open.flags;
        break;
    case FUSE_CREATE:
    case FUSE_TMPFILE:
        record->flags = in->create.flags;
        record->mode = in->create.mode;
        break;
    case FUSE_READ:
    case FUSE_READDIR:
    case FUSE_READDIRPLUS:
        take_span(record, in->read.offset, in->read.size);
        break;
    case FUSE_WRITE:
        take_span(record, in->write.offset, in->write.size);
        break;
    case FUSE_FALLOCATE:
        take_span(record, in->fallocate.offset, in->fallocate.length);
        break;
    case FUSE_LSEEK:
        take_span(record, in->lseek.offset, 0);
        break;
    case FUSE_COPY_FILE_RANGE:
        take_span(record, in->copy.off_in, in->copy.len);
        record->other_node = in->copy.nodeid_out;
        break;
    default:
        break;
    }
}

/* A name ends with a zero; behind it the next begins. False: it does not end. */
static bool take_name(const char **bytes, size_t *size, char *out)
{
    const char *end = memchr(*bytes, '\0', *size);

    if (end == NULL)
        return false;
    size_t length = (size_t)(end - *bytes);
    size_t kept = length < PATH_COMPONENT_MAX ? length : PATH_COMPONENT_MAX;
    memcpy(out, *bytes, kept);
    out[kept] = '\0';
    *bytes += length + 1;
    *size -= length + 1;
    return true;
}

bool op_record_parse(const void *request, size_t size, struct op_record *ret_record)
{
    struct fuse_in_header header;
    union op_fixed fixed = {0};

    if (size < sizeof(header))
        return false;
    memcpy(&header, request, sizeof(header));
    const struct op_kind *kind = kind_of(header.opcode);
    if (kind == NULL || size - sizeof(header) < kind->fixed)
        return false;
    ret_record->unique = header.unique;
    ret_record->opcode = header.opcode;
    ret_record->uid = header.uid;
    ret_record->gid = header.gid;
    ret_record->pid = header.pid;
    ret_record->node = header.nodeid;
    ret_record->other_node = 0;
    ret_record->offset = 0;
    ret_record->size = 0;
    ret_record->flags = 0;
    ret_record->mode = 0;
    ret_record->name[0] = '\0';
    ret_record->other_name[0] = '\0';
    const char *rest = (const char *)request + sizeof(header);
    memcpy(&fixed, rest, kind->fixed < sizeof(fixed) ? kind->fixed : sizeof(fixed));
    take_fixed(ret_record, &fixed);
    rest += kind->fixed;
    size -= sizeof(header) + kind->fixed;
    return (kind->names < 1 || take_name(&rest, &size, ret_record->name)) &&
           (kind->names < 2 || take_name(&rest, &size, ret_record->other_name));
}

/* --- in words --- */

/* Text that is cut where its room ends. */
struct text {
    char *out;
    size_t size;
    size_t used;
};

static void add_char(struct text *text, char c)
{
    if (text->used + 1 < text->size)
        text->out[text->used++] = c;
}

static void add_text(struct text *text, const char *words)
{
    for (; *words != '\0'; words++)
        add_char(text, *words);
}

/* What would end the line, or confuse a terminal, is written as in C. */
static void add_name(struct text *text, const char *name)
{
    char octal[8];

    for (; *name != '\0'; name++) {
        unsigned char c = (unsigned char)*name;
        if (c == '\\') {
            add_text(text, "\\\\");
        } else if (c < ' ' || c == 0x7f) {
            snprintf(octal, sizeof(octal), "\\%03o", c);
            add_text(text, octal);
        } else {
            add_char(text, *name);
        }
    }
}

static void add_path(struct text *text, const char *path, const char *name)
{
    add_name(text, path == NULL ? "?" : path);
    if (name[0] == '\0') {
        if (path != NULL && path[0] == '\0')
            add_char(text, '.');
        return;
    }
    if (path == NULL || path[0] != '\0')
        add_char(text, '/');
    add_name(text, name);
}

static void add_number(struct text *text, const char *format, uint64_t number)
{
    char words[64];

    snprintf(words, sizeof(words), format, number);
    add_text(text, words);
}

static void add_set(struct text *text, const struct op_record *record)
{
    if (record->flags & FATTR_MODE)
        add_number(text, ", mode %" PRIo64, record->mode & 07777u);
    if (record->flags & (FATTR_UID | FATTR_GID))
        add_text(text, ", owner");
    if (record->flags & FATTR_SIZE)
        add_number(text, ", size %" PRIu64, record->size);
    if (record->flags & (FATTR_ATIME | FATTR_MTIME))
        add_text(text, ", times");
}

static void add_arguments(struct text *text, const struct op_record *record)
{
    switch (record->opcode) {
    case FUSE_SETATTR:
        add_set(text, record);
        break;
    case FUSE_MKNOD:
    case FUSE_MKDIR:
        add_number(text, ", mode %" PRIo64, record->mode);
        break;
    case FUSE_OPEN:
    case FUSE_OPENDIR:
        add_number(text, ", flags 0%" PRIo64, record->flags);
        break;
    case FUSE_CREATE:
    case FUSE_TMPFILE:
        add_number(text, ", flags 0%" PRIo64, record->flags);
        add_number(text, ", mode %" PRIo64, record->mode);
        break;
    case FUSE_READ:
    case FUSE_WRITE:
    case FUSE_FALLOCATE:
    case FUSE_COPY_FILE_RANGE:
        add_number(text, ", %" PRIu64, record->size);
        add_number(text, " at %" PRIu64, record->offset);
        break;
    case FUSE_READDIR:
    case FUSE_READDIRPLUS:
    case FUSE_LSEEK:
        add_number(text, ", at %" PRIu64, record->offset);
        break;
    default:
        break;
    }
}

static bool has_xattr_name(const struct op_record *record)
{
    return record->opcode == FUSE_SETXATTR || record->opcode == FUSE_GETXATTR ||
           record->opcode == FUSE_REMOVEXATTR;
}

static void add_subject(struct text *text, const struct op_record *record,
                        const struct op_paths *paths)
{
    if (record->opcode == FUSE_LINK) {
        add_path(text, paths->other_node, "");
        add_text(text, " -> ");
        add_path(text, paths->node, record->name);
    } else if (has_xattr_name(record)) {
        add_path(text, paths->node, "");
        add_text(text, ", ");
        add_name(text, record->name);
    } else {
        add_path(text, paths->node, record->name);
        if (record->other_node != 0) {
            add_text(text, " -> ");
            add_path(text, paths->other_node, record->other_name);
        } else if (record->other_name[0] != '\0') {
            add_text(text, " -> ");
            add_name(text, record->other_name);
        }
    }
}

size_t op_record_describe(const struct op_record *record, const struct op_paths *paths, char *out,
                          size_t size)
{
    struct text text = {.out = out, .size = size};

    add_text(&text, op_name(record->opcode));
    add_text(&text, " (");
    add_subject(&text, record, paths);
    add_arguments(&text, record);
    add_text(&text, ")");
    out[text.used] = '\0';
    return text.used;
}
