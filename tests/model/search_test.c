/* Histories that are right and such as are wrong: the search must tell them apart. */
#include "search.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static struct texts texts;
static struct search_window window;
static struct search_result result;
static struct model_op ops[MODEL_PROCESSES * MODEL_OPS_MAX];

static void setup(void)
{
    texts = (struct texts){0};
    window = (struct search_window){.texts = &texts, .ops = ops};
    state_init(&window.before);
    state_init(&window.after);
}

static void teardown(void)
{
    texts_release(&texts);
}

TestSuite(search, .init = setup, .fini = teardown);

static const struct model_path a = {NAME_NONE, NAME_a}, b = {NAME_NONE, NAME_b},
                               d = {NAME_NONE, NAME_d}, in_d = {NAME_d, NAME_x};

/* --- what is there --- */

static void put(struct state *state, uint8_t dir, uint8_t name, struct state_inode inode)
{
    memset(inode.entries, STATE_NO_INODE, sizeof(inode.entries));
    state->inodes[state->inode_count] = inode;
    state->inodes[dir].entries[name] = state->inode_count++;
}

static struct state_inode file_of(uint64_t ino, const char *content)
{
    return (struct state_inode){
        .ino = ino,
        .type = TYPE_FILE,
        .nlink = 1,
        .mode = 0644,
        .version_count = 1,
        .versions = {texts_add(&texts, content, strlen(content))},
    };
}

static struct state_inode dir_of(uint64_t ino)
{
    return (struct state_inode){.ino = ino, .type = TYPE_DIR, .nlink = 1, .mode = 0755};
}

/* --- what was done --- */

static struct model_op *add(uint8_t process, enum model_kind kind, uint64_t call, uint64_t ret)
{
    struct model_op *op = &ops[window.count++];

    *op = (struct model_op){
        .kind = (uint8_t)kind,
        .process = process,
        .node = process % MODEL_NODES,
        .path = {NAME_NONE, NAME_NONE},
        .to = {NAME_NONE, NAME_NONE},
        .call_ns = call,
        .return_ns = ret,
    };
    return op;
}

static struct model_op *add_path(uint8_t process, enum model_kind kind, struct model_path path,
                                 int error, uint64_t call, uint64_t ret)
{
    struct model_op *op = add(process, kind, call, ret);

    op->path = path;
    op->error = error;
    return op;
}

static struct model_op *add_open(uint8_t process, struct model_path path, int flags, uint64_t ino,
                                 uint64_t call, uint64_t ret)
{
    struct model_op *op = add_path(process, KIND_OPEN, path, 0, call, ret);

    op->flags = (uint32_t)flags;
    op->number = 0644;
    op->attr.ino = ino;
    op->handle = (flags & O_ACCMODE) == O_RDONLY ? 1 : 0;
    return op;
}

static void add_read(uint8_t process, uint8_t handle, const char *content, uint64_t call,
                     uint64_t ret)
{
    struct model_op *op = add(process, KIND_READ, call, ret);

    op->handle = handle;
    op->read_size = (uint16_t)strlen(content);
    memcpy(op->read, content, strlen(content));
}

static struct model_op *add_write(uint8_t process, uint32_t offset, const char *data, uint64_t call,
                                  uint64_t ret)
{
    struct model_op *op = add(process, KIND_WRITE, call, ret);

    op->number = offset;
    op->data_size = (uint8_t)strlen(data);
    memcpy(op->data, data, strlen(data));
    return op;
}

static struct model_op *add_close(uint8_t process, uint8_t handle, uint64_t call, uint64_t ret)
{
    struct model_op *op = add(process, KIND_CLOSE, call, ret);

    op->handle = handle;
    return op;
}

static struct model_op *add_stat(uint8_t process, struct model_path path, uint64_t ino,
                                 uint64_t size, uint64_t call, uint64_t ret)
{
    struct model_op *op = add_path(process, KIND_STAT, path, 0, call, ret);

    op->attr =
        (struct model_attr){.ino = ino, .size = size, .nlink = 1, .mode = 0644, .type = TYPE_FILE};
    return op;
}

static void assert_verdict(enum search_verdict expected)
{
    search_window(&window, SEARCH_STEPS_MAX, &result);
    cr_assert_eq(result.verdict, expected, "%zu of %zu calls have a place", result.placed,
                 window.count);
}

/* --- names --- */

Test(search, of_two_exclusive_creations_one_may_win)
{
    add_path(0, KIND_MKDIR, d, 0, 10, 20)->number = 0755;
    add_path(1, KIND_MKDIR, d, EEXIST, 10, 20);
    put(&window.after, STATE_ROOT, NAME_d, dir_of(5));
    assert_verdict(SEARCH_VALID);
}

Test(search, of_two_exclusive_creations_both_may_not_win)
{
    add_path(0, KIND_MKDIR, d, 0, 10, 20)->number = 0755;
    add_path(1, KIND_MKDIR, d, 0, 10, 20)->number = 0755;
    put(&window.after, STATE_ROOT, NAME_d, dir_of(5));
    assert_verdict(SEARCH_INVALID);
}

Test(search, what_was_made_is_seen_by_the_next_call_on_any_node)
{
    add_path(0, KIND_MKDIR, d, 0, 10, 20)->number = 0755;
    add_path(1, KIND_UNLINK, d, ENOENT, 21, 30);
    put(&window.after, STATE_ROOT, NAME_d, dir_of(5));
    assert_verdict(SEARCH_INVALID);
    ops[1].call_ns = 19;
    assert_verdict(SEARCH_VALID);
}

Test(search, a_renamed_file_is_never_missing_under_both_names)
{
    struct model_op *rename = add_path(0, KIND_RENAME, a, 0, 10, 40);

    rename->to = b;
    put(&window.before, STATE_ROOT, NAME_a, file_of(5, ""));
    put(&window.after, STATE_ROOT, NAME_b, file_of(5, ""));
    add_path(1, KIND_STAT, b, ENOENT, 15, 20);
    add_path(1, KIND_STAT, a, ENOENT, 25, 30);
    assert_verdict(SEARCH_VALID);
    ops[1].path = a;
    ops[2].path = b;
    assert_verdict(SEARCH_INVALID);
}

Test(search, a_path_may_be_walked_while_its_directory_is_renamed)
{
    struct model_op *rename = add_path(0, KIND_RENAME, d, 0, 15, 20);

    rename->to = (struct model_path){NAME_NONE, NAME_e};
    put(&window.before, STATE_ROOT, NAME_d, dir_of(5));
    put(&window.before, 1, NAME_x, file_of(6, "abc"));
    put(&window.after, STATE_ROOT, NAME_e, dir_of(5));
    put(&window.after, 1, NAME_x, file_of(6, "ab"));
    add_path(1, KIND_TRUNCATE, in_d, 0, 10, 40)->number = 2;
    add_stat(2, (struct model_path){NAME_e, NAME_x}, 6, 3, 21, 25);
    assert_verdict(SEARCH_VALID);
    ops[1].call_ns = 21;
    assert_verdict(SEARCH_INVALID);
}

Test(search, a_listing_is_of_one_moment)
{
    struct model_op *list;

    add_path(0, KIND_MKDIR, a, 0, 10, 20)->number = 0755;
    add_path(0, KIND_MKDIR, b, 0, 21, 30)->number = 0755;
    list = add_path(1, KIND_LIST, (struct model_path){NAME_NONE, NAME_NONE}, 0, 5, 40);
    list->types[NAME_a] = TYPE_DIR;
    put(&window.after, STATE_ROOT, NAME_a, dir_of(5));
    put(&window.after, STATE_ROOT, NAME_b, dir_of(6));
    assert_verdict(SEARCH_VALID);
    list->types[NAME_a] = TYPE_NONE;
    list->types[NAME_b] = TYPE_DIR;
    assert_verdict(SEARCH_INVALID);
}

Test(search, a_name_that_comes_back_in_the_end_is_noticed)
{
    put(&window.before, STATE_ROOT, NAME_a, file_of(5, ""));
    put(&window.after, STATE_ROOT, NAME_a, file_of(5, ""));
    add_path(0, KIND_UNLINK, a, 0, 10, 20);
    assert_verdict(SEARCH_INVALID);
}

Test(search, a_file_has_one_number)
{
    put(&window.before, STATE_ROOT, NAME_a, file_of(5, ""));
    put(&window.after, STATE_ROOT, NAME_a, file_of(5, ""));
    add_stat(0, a, 5, 0, 10, 20);
    assert_verdict(SEARCH_VALID);
    ops[0].attr.ino = 6;
    assert_verdict(SEARCH_INVALID);
}

/* --- content --- */

/* Process 0 writes "new" over "old" of file 5 and closes it in 30 to 40. */
static void rewrite(void)
{
    put(&window.before, STATE_ROOT, NAME_a, file_of(5, "old"));
    put(&window.after, STATE_ROOT, NAME_a, file_of(5, "new"));
    add_open(0, a, O_WRONLY | O_TRUNC, 5, 10, 12);
    add_write(0, 0, "ne", 13, 14);
    add_write(0, 2, "w", 15, 16);
    add_close(0, 0, 30, 40);
}

/* Process `process` opens it in `call` to `ret`, and reads `content`. */
static void look(uint8_t process, const char *content, uint64_t call, uint64_t ret)
{
    add_open(process, a, O_RDONLY, 5, call, ret);
    add_read(process, 1, content, ret + 1, ret + 2);
    add_close(process, 1, ret + 3, ret + 4);
}

Test(search, elsewhere_a_publish_is_seen_after_the_close_and_not_before)
{
    rewrite();
    look(1, "old", 20, 25);
    look(1, "new", 41, 45);
    assert_verdict(SEARCH_VALID);
}

Test(search, elsewhere_nothing_unpublished_is_seen)
{
    rewrite();
    look(1, "new", 20, 25);
    assert_verdict(SEARCH_INVALID);
}

Test(search, elsewhere_no_half_of_a_publish_is_seen)
{
    rewrite();
    look(1, "ne", 31, 39);
    assert_verdict(SEARCH_INVALID);
}

Test(search, an_open_after_the_close_sees_no_older_version)
{
    rewrite();
    look(1, "old", 41, 45);
    assert_verdict(SEARCH_INVALID);
}

Test(search, on_its_own_node_a_write_is_seen_at_once)
{
    rewrite();
    look(3, "new", 20, 25);
    assert_verdict(SEARCH_VALID);
}

Test(search, on_its_own_node_a_write_is_not_missed)
{
    rewrite();
    look(3, "old", 20, 25);
    assert_verdict(SEARCH_INVALID);
}

Test(search, a_handle_does_not_go_back)
{
    rewrite();
    add_open(1, a, O_RDONLY, 5, 5, 9);
    add_read(1, 1, "old", 41, 42);
    add_read(1, 1, "new", 43, 44);
    add_close(1, 1, 45, 46);
    assert_verdict(SEARCH_VALID);
    memcpy(ops[5].read, "new", 3);
    memcpy(ops[6].read, "old", 3);
    assert_verdict(SEARCH_INVALID);
}

static void append_from_two_nodes(const char *end)
{
    put(&window.before, STATE_ROOT, NAME_a, file_of(5, ""));
    put(&window.after, STATE_ROOT, NAME_a, file_of(5, end));
    for (uint8_t process = 0; process < 2; process++) {
        add_open(process, a, O_WRONLY | O_APPEND, 5, 10, 20);
        add_write(process, 0, process == 0 ? "one" : "two", 21, 22);
        add_close(process, 0, 25, 40);
    }
}

Test(search, appends_of_two_nodes_come_in_either_order)
{
    append_from_two_nodes("twoone");
    assert_verdict(SEARCH_VALID);
}

Test(search, no_append_is_lost)
{
    append_from_two_nodes("two");
    assert_verdict(SEARCH_INVALID);
}

Test(search, what_is_written_to_a_removed_file_is_seen_where_it_is_open)
{
    put(&window.before, STATE_ROOT, NAME_a, file_of(5, "old"));
    add_open(0, a, O_RDWR, 5, 1, 2);
    add_path(1, KIND_UNLINK, a, 0, 3, 4);
    add_write(0, 0, "n", 5, 6);
    add_read(0, 0, "nld", 7, 8);
    add_close(0, 0, 9, 10);
    assert_verdict(SEARCH_VALID);
    memcpy(ops[3].read, "old", 3);
    assert_verdict(SEARCH_INVALID);
}

Test(search, a_removed_file_is_truncated_for_who_has_it_open_on_the_node)
{
    put(&window.before, STATE_ROOT, NAME_a, file_of(5, "old"));
    add_open(3, a, O_RDONLY, 5, 1, 2);
    add_open(4, a, O_RDONLY, 5, 1, 2);
    add_path(0, KIND_TRUNCATE, a, 0, 3, 10)->number = 2;
    add_path(1, KIND_UNLINK, a, 0, 4, 6);
    add_read(4, 1, "old", 11, 12);
    add_read(3, 1, "ol", 11, 12);
    assert_verdict(SEARCH_VALID);
    add_read(3, 1, "old", 13, 14);
    assert_verdict(SEARCH_INVALID);
}

Test(search, what_is_made_and_removed_at_once_is_open_without_a_name)
{
    add_open(0, a, O_WRONLY | O_CREAT, 5, 1, 10);
    add_path(1, KIND_UNLINK, a, 0, 2, 4);
    add_path(2, KIND_MKDIR, a, 0, 5, 6)->number = 0755;
    put(&window.after, STATE_ROOT, NAME_a, dir_of(7));
    assert_verdict(SEARCH_VALID);
    ops[0].error = EISDIR;
    assert_verdict(SEARCH_INVALID);
}

Test(search, what_is_not_there_any_more_is_not_stale)
{
    put(&window.before, STATE_ROOT, NAME_a, file_of(5, ""));
    add_path(0, KIND_OPEN, a, ESTALE, 1, 10);
    add_path(1, KIND_UNLINK, a, 0, 2, 4);
    assert_verdict(SEARCH_INVALID);
    ops[0].error = ENOENT;
    assert_verdict(SEARCH_VALID);
}

Test(search, where_a_directory_was_moved_a_call_may_be_stale)
{
    put(&window.before, STATE_ROOT, NAME_a, dir_of(5));
    put(&window.after, STATE_ROOT, NAME_b, dir_of(5));
    add_path(0, KIND_RENAME, a, 0, 1, 5)->to = b;
    add_path(1, KIND_RENAME, b, ESTALE, 2, 8)->to = a;
    assert_verdict(SEARCH_VALID);
    ops[1].call_ns = 0;
    ops[1].return_ns = 0;
    assert_verdict(SEARCH_INVALID);
}

Test(search, where_a_directory_was_removed_a_call_may_be_stale)
{
    put(&window.before, STATE_ROOT, NAME_a, dir_of(5));
    add_path(0, KIND_OPEN, a, ESTALE, 1, 10);
    add_path(1, KIND_RMDIR, a, 0, 2, 4);
    assert_verdict(SEARCH_VALID);
    ops[1].call_ns = ops[1].return_ns = 20;
    assert_verdict(SEARCH_INVALID);
}

Test(search, a_name_that_is_renamed_to_itself_may_be_stale)
{
    put(&window.before, STATE_ROOT, NAME_a, file_of(5, ""));
    put(&window.after, STATE_ROOT, NAME_a, file_of(5, ""));
    add_path(0, KIND_RENAME, a, ESTALE, 1, 5)->to = a;
    assert_verdict(SEARCH_VALID);
    ops[0].to = b;
    assert_verdict(SEARCH_INVALID);
}

/* A file is made and written, and its mode set before the publish. */
static void make_with_mode(void)
{
    add_open(0, a, O_WRONLY | O_CREAT, 5, 1, 2);
    add_write(0, 0, "new", 3, 4);
    add_path(0, KIND_CHMOD, a, 0, 5, 6)->number = 0600;
}

static void look_at_mode(uint8_t process, uint16_t mode, uint64_t size, uint64_t call)
{
    add_stat(process, a, 5, size, call, call + 1)->attr.mode = mode;
}

static void end_with_mode(uint16_t mode)
{
    struct state_inode file = file_of(5, "new");

    file.mode = mode;
    put(&window.after, STATE_ROOT, NAME_a, file);
}

Test(search, the_mode_of_a_file_that_is_being_made_may_go_with_its_publish)
{
    make_with_mode();
    look_at_mode(3, 0600, 3, 7);
    look_at_mode(1, 0644, 0, 9);
    add_close(0, 0, 11, 12);
    look_at_mode(1, 0600, 3, 13);
    end_with_mode(0600);
    assert_verdict(SEARCH_VALID);
    ops[6].attr.mode = 0644;
    assert_verdict(SEARCH_INVALID);
}

Test(search, the_mode_of_a_file_that_is_being_made_waits_though_others_have_changed_it)
{
    add_open(0, a, O_WRONLY | O_CREAT, 5, 1, 2);
    add_path(1, KIND_TRUNCATE, a, 0, 3, 4)->number = 1;
    add_write(0, 0, "new", 5, 6);
    add_path(0, KIND_CHMOD, a, 0, 7, 8)->number = 0600;
    look_at_mode(1, 0644, 1, 9);
    add_close(0, 0, 11, 12);
    end_with_mode(0600);
    assert_verdict(SEARCH_VALID);
}

Test(search, the_mode_of_a_file_that_is_being_made_may_be_seen_at_once)
{
    make_with_mode();
    look_at_mode(1, 0600, 0, 9);
    add_close(0, 0, 11, 12);
    end_with_mode(0600);
    assert_verdict(SEARCH_VALID);
}

Test(search, a_mode_that_was_set_later_elsewhere_stays)
{
    make_with_mode();
    look_at_mode(1, 0644, 0, 7);
    add_path(1, KIND_CHMOD, a, 0, 9, 10)->number = 0640;
    look_at_mode(0, 0640, 3, 11);
    add_close(0, 0, 13, 14);
    end_with_mode(0640);
    assert_verdict(SEARCH_VALID);
    ops[5].attr.mode = 0600;
    assert_verdict(SEARCH_INVALID);
}

/* --- outcomes that are not known --- */

Test(search, an_unknown_call_may_have_been_or_not_also_later)
{
    struct model_op *op = add_path(0, KIND_UNLINK, a, ETIMEDOUT, 10, 20);

    op->is_unknown = true;
    put(&window.before, STATE_ROOT, NAME_a, file_of(5, ""));
    assert_verdict(SEARCH_VALID);
    add_stat(0, a, 5, 0, 30, 40);
    assert_verdict(SEARCH_VALID);
    put(&window.after, STATE_ROOT, NAME_a, file_of(5, ""));
    assert_verdict(SEARCH_VALID);
}

Test(search, an_unknown_call_does_nothing_before_it_began)
{
    struct model_op *op = add_path(0, KIND_UNLINK, a, ETIMEDOUT, 10, 20);

    op->is_unknown = true;
    put(&window.before, STATE_ROOT, NAME_a, file_of(5, ""));
    add_path(1, KIND_STAT, a, ENOENT, 5, 9);
    assert_verdict(SEARCH_INVALID);
}

Test(search, too_much_to_search_is_not_taken_for_right)
{
    for (uint8_t process = 0; process < MODEL_PROCESSES; process++) {
        for (uint64_t i = 0; i < 8; i++)
            add_path(process, KIND_CHMOD, a, 0, 10 + i, 1000 + i)->number = 0600 + process;
    }
    put(&window.before, STATE_ROOT, NAME_a, file_of(5, ""));
    put(&window.after, STATE_ROOT, NAME_a, file_of(5, ""));
    search_window(&window, 100, &result);
    cr_assert_eq(result.verdict, SEARCH_UNDECIDED);
}

Test(search, the_farthest_order_leaves_out_the_call_that_does_not_fit)
{
    char text[MODEL_OP_TEXT_MAX];

    rewrite();
    look(1, "old", 41, 45);
    assert_verdict(SEARCH_INVALID);
    cr_assert_eq(result.placed, 5);
    cr_assert(result.is_placed[4] && !result.is_placed[5]);
    cr_assert_str_eq(model_op_describe(&ops[5], text), "read [1] -> ok 'old'");
    cr_assert_str_eq(model_op_describe(&ops[0], text),
                     "open [0] a WRONLY|TRUNC 0644 -> ok inode 5");
}

Test(search, what_is_left_of_a_removed_file_lies_over_the_version_that_its_node_has)
{
    put(&window.before, STATE_ROOT, NAME_a, file_of(5, "old"));
    add_open(0, a, O_WRONLY | O_APPEND, 5, 1, 2);
    add_open(3, a, O_RDONLY, 5, 1, 2);
    add_write(0, 0, "er", 3, 4);
    add_open(1, a, O_WRONLY | O_TRUNC, 5, 5, 6);
    add_close(1, 0, 7, 8);
    add_path(1, KIND_UNLINK, a, 0, 9, 10);
    add_close(0, 0, 11, 12);
    add_read(3, 1, "older", 13, 14);
    assert_verdict(SEARCH_VALID);
    ops[7].read_size = 3;
    assert_verdict(SEARCH_INVALID);
}

Test(search, what_is_left_of_a_second_removed_file_takes_nothing_from_the_first)
{
    put(&window.before, STATE_ROOT, NAME_a, file_of(5, "old"));
    put(&window.before, STATE_ROOT, NAME_b, file_of(6, ""));
    add_open(3, a, O_RDONLY, 5, 1, 2);
    add_open(0, a, O_WRONLY, 5, 1, 2);
    add_path(1, KIND_UNLINK, a, 0, 3, 4);
    add_write(0, 0, "n", 5, 6);
    add_close(0, 0, 7, 8);
    add_open(0, (struct model_path){NAME_NONE, NAME_b}, O_WRONLY, 6, 9, 10);
    add_path(1, KIND_UNLINK, (struct model_path){NAME_NONE, NAME_b}, 0, 11, 12);
    add_write(0, 0, "x", 13, 14);
    add_close(0, 0, 15, 16);
    add_read(3, 1, "nld", 17, 18);
    assert_verdict(SEARCH_VALID);
    memcpy(ops[window.count - 1].read, "old", 3);
    assert_verdict(SEARCH_INVALID);
}
