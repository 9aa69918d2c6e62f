/* Requests of the kernel in words. */
#include "fs/op_record.h"

#include <criterion/criterion.h>
#include <linux/fuse.h>
#include <string.h>

static struct op_record record;
static char text[OP_TEXT_MAX];

/* A request on node 1, the root, with what follows its header. */
static bool parse(uint32_t opcode, const void *fixed, size_t fixed_size, const char *names,
                  size_t names_size)
{
    char bytes[4096];
    const struct fuse_in_header header = {
        .opcode = opcode,
        .unique = 42,
        .nodeid = 1,
        .uid = 7,
        .gid = 8,
        .pid = 9,
    };
    size_t size = sizeof(header) + fixed_size + names_size;

    cr_assert_leq(size, sizeof(bytes));
    memcpy(bytes, &header, sizeof(header));
    if (fixed_size > 0)
        memcpy(bytes + sizeof(header), fixed, fixed_size);
    if (names_size > 0)
        memcpy(bytes + sizeof(header) + fixed_size, names, names_size);
    return op_record_parse(bytes, size, &record);
}

static const char *describe(const char *path, const char *other_path)
{
    const struct op_paths paths = {.node = path, .other_node = other_path};
    size_t length = op_record_describe(&record, &paths, text, sizeof(text));

    cr_assert_eq(length, strlen(text));
    return text;
}

Test(op_record, a_name_stands_behind_its_directory)
{
    cr_assert(parse(FUSE_LOOKUP, NULL, 0, "f", 2));
    cr_assert_eq(record.unique, 42);
    cr_assert_eq(record.uid, 7);
    cr_assert_eq(record.gid, 8);
    cr_assert_eq(record.pid, 9);
    cr_assert_str_eq(describe("", NULL), "lookup (f)");
    cr_assert_str_eq(describe("a/b", NULL), "lookup (a/b/f)");
    cr_assert_str_eq(describe(NULL, NULL), "lookup (?/f)");
}

Test(op_record, what_is_read_and_written_has_a_size_and_a_place)
{
    const struct fuse_write_in write = {.offset = 4096, .size = 10};
    const struct fuse_read_in read = {.offset = 0, .size = 131072};

    cr_assert(parse(FUSE_WRITE, &write, sizeof(write), "bytes", 5));
    cr_assert_str_eq(describe("f", NULL), "write (f, 10 at 4096)");
    cr_assert(parse(FUSE_READ, &read, sizeof(read), NULL, 0));
    cr_assert_str_eq(describe("f", NULL), "read (f, 131072 at 0)");
}

Test(op_record, a_rename_has_two_names)
{
    const struct fuse_rename_in rename = {.newdir = 5};

    cr_assert(parse(FUSE_RENAME, &rename, sizeof(rename), "from\0to", 8));
    cr_assert_str_eq(describe("", "d"), "rename (from -> d/to)");
}

Test(op_record, a_link_leads_from_the_new_name_to_what_there_is)
{
    const struct fuse_link_in link = {.oldnodeid = 5};

    cr_assert(parse(FUSE_SYMLINK, NULL, 0, "l\0../to", 8));
    cr_assert_str_eq(describe("d", NULL), "symlink (d/l -> ../to)");
    cr_assert(parse(FUSE_LINK, &link, sizeof(link), "new", 4));
    cr_assert_str_eq(describe("d", "old"), "link (old -> d/new)");
}

Test(op_record, what_setattr_sets_is_named)
{
    const struct fuse_setattr_in setattr = {
        .valid = FATTR_MODE | FATTR_SIZE,
        .mode = 0100644,
        .size = 12,
    };

    cr_assert(parse(FUSE_SETATTR, &setattr, sizeof(setattr), NULL, 0));
    cr_assert_str_eq(describe("", NULL), "setattr (., mode 644, size 12)");
}

Test(op_record, an_extended_attribute_is_named)
{
    const struct fuse_getxattr_in getxattr = {.size = 100};

    cr_assert(parse(FUSE_GETXATTR, &getxattr, sizeof(getxattr), "user.a", 7));
    cr_assert_str_eq(describe("f", NULL), "getxattr (f, user.a)");
}

Test(op_record, a_name_cannot_end_the_line)
{
    cr_assert(parse(FUSE_UNLINK, NULL, 0, "a\nb\\\x1b", 6));
    cr_assert_str_eq(describe("", NULL), "unlink (a\\012b\\\\\\033)");
}

Test(op_record, a_text_that_is_too_long_is_cut)
{
    char small[12];
    const struct op_paths paths = {.node = "directory"};

    cr_assert(parse(FUSE_GETATTR, NULL, 0, NULL, 0));
    cr_assert_eq(op_record_describe(&record, &paths, small, sizeof(small)), 11);
    cr_assert_str_eq(small, "getattr (di");
}

Test(op_record, what_makes_no_sense_has_no_record)
{
    cr_assert_not(parse(FUSE_LOOKUP, NULL, 0, "f", 1));
    cr_assert_not(parse(FUSE_WRITE, "x", 1, NULL, 0));
    cr_assert_not(parse(FUSE_FORGET, NULL, 0, NULL, 0));
    cr_assert_not(parse(999999, NULL, 0, NULL, 0));
    cr_assert_not(op_record_parse("short", 5, &record));
}
