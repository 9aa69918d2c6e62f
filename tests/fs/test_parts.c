/* The small parts, each alone. */
#include "fs/behind.h"
#include "fs/budget.h"
#include "fs/errno.h"
#include "fs/inode.h"
#include "fs/recent.h"
#include "fs/remains.h"
#include "fs/reply.h"
#include "raftstore/err.h"
#include "raftstore/path.h"
#include "raftstore/tree.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- errno --- */

Test(errno_of, every_code_has_a_number_of_its_meaning)
{
    cr_assert_eq(errno_of(0), 0);
    for (int code = -1; code >= KE_CODE_MIN; code--)
        cr_assert_gt(errno_of(code), 0);
    cr_assert_eq(errno_of(KE_NOT_FOUND), ENOENT);
    cr_assert_eq(errno_of(KE_EXISTS), EEXIST);
    cr_assert_eq(errno_of(KE_NOT_EMPTY), ENOTEMPTY);
    cr_assert_eq(errno_of(KE_TIMEOUT), ETIMEDOUT);
    cr_assert_eq(errno_of(KE_STALE), ESTALE);
    cr_assert_eq(errno_of(KE_CROSS), EXDEV);
    cr_assert_eq(errno_of(KE_TOO_LARGE), EFBIG);
    cr_assert_eq(errno_of(KE_NAME_TOO_LONG), ENAMETOOLONG);
    cr_assert_eq(errno_of(KE_CODE_MIN - 1), EIO);
}

/* --- attributes --- */

Test(reply, times_before_the_epoch_keep_their_nanoseconds_positive)
{
    const struct attr attr = {.type = FILE_REGULAR, .mtime_ns = -1, .size = 513, .mode = 0640};
    struct stat st;

    reply_fill_stat(&attr, 1, &st);
    cr_assert_eq(st.st_mtim.tv_sec, -1);
    cr_assert_eq(st.st_mtim.tv_nsec, 999999999);
    cr_assert_eq(st.st_blocks, 2);
    cr_assert_eq(st.st_mode, S_IFREG | 0640);
}

Test(reply, a_hole_takes_no_blocks)
{
    struct attr attr = {.type = FILE_REGULAR, .size = 10 * TREE_CHUNK_SIZE, .hole_chunks = 9};
    struct stat st;

    reply_fill_stat(&attr, 1, &st);
    cr_assert_eq(st.st_blocks, TREE_CHUNK_SIZE / 512);
    attr.hole_chunks = 10;
    reply_fill_stat(&attr, 1, &st);
    cr_assert_eq(st.st_blocks, 0);
}

/* --- the inode table --- */

static struct inode_table table;

static void setup_table(void)
{
    inode_table_init(&table);
}

static void teardown_table(void)
{
    inode_table_release(&table);
}

TestSuite(inode, .init = setup_table, .fini = teardown_table);

static void know(uint64_t id, enum file_type type, const char *path)
{
    struct inode *inode = inode_remember(&table, id, type, path);

    inode_add_lookup(inode);
    inode_unpin(inode);
}

static const char *path_of(uint64_t id)
{
    static char path[PATH_BYTES_MAX + 1];
    struct inode *inode = inode_pin(&table, id);
    bool present = inode != NULL && inode_path(inode, path);

    inode_unpin(inode);
    return present ? path : NULL;
}

Test(inode, one_lives_until_the_kernel_has_forgotten_all_its_lookups)
{
    know(5, FILE_REGULAR, "f");
    know(5, FILE_REGULAR, "f");
    inode_forget(&table, 5, 1);
    cr_assert_not_null(path_of(5));
    inode_forget(&table, 5, 1);
    cr_assert_null(path_of(5));
    inode_forget(&table, 5, 1);
}

Test(inode, a_pin_keeps_one_that_the_kernel_forgot)
{
    struct inode *inode = inode_remember(&table, 5, FILE_REGULAR, "f");

    inode_add_lookup(inode);
    inode_forget(&table, 5, 1);
    cr_assert_str_eq(path_of(5), "f");
    inode_unpin(inode);
    cr_assert_null(path_of(5));
}

Test(inode, the_root_is_always_there)
{
    inode_forget(&table, ATTR_ROOT_ID, 7);
    cr_assert_str_eq(path_of(ATTR_ROOT_ID), "");
}

Test(inode, a_rename_of_a_directory_moves_all_that_is_known_below)
{
    know(2, FILE_DIRECTORY, "d");
    know(3, FILE_REGULAR, "d/f");
    know(4, FILE_REGULAR, "d/e/g");
    know(5, FILE_REGULAR, "dx");
    inode_note_renamed(&table, 2, "d", "new/place");
    cr_assert_str_eq(path_of(2), "new/place");
    cr_assert_str_eq(path_of(3), "new/place/f");
    cr_assert_str_eq(path_of(4), "new/place/e/g");
    cr_assert_str_eq(path_of(5), "dx");
    inode_note_renamed(&table, 99, "dx", "unknown");
    cr_assert_str_eq(path_of(5), "dx");
}

Test(inode, an_exchange_swaps_all_that_is_known_below)
{
    know(2, FILE_DIRECTORY, "d");
    know(3, FILE_REGULAR, "d/f");
    know(4, FILE_REGULAR, "far/g");
    know(5, FILE_REGULAR, "far/gx");
    inode_note_exchanged(&table, "d", "far/g");
    cr_assert_str_eq(path_of(2), "far/g");
    cr_assert_str_eq(path_of(3), "far/g/f");
    cr_assert_str_eq(path_of(4), "d");
    cr_assert_str_eq(path_of(5), "far/gx");
}

Test(inode, a_removed_one_has_no_path_and_another_may_have_it)
{
    const struct attr last = {.id = 2, .mode = 0640};
    const struct change removal = {
        .kind = CHANGE_REMOVED, .path = "f", .id = 2, .last = &last, .last_target = ""};
    struct inode *kept;
    struct attr attr;

    know(2, FILE_REGULAR, "f");
    kept = inode_pin(&table, 2);
    cr_assert_null(inode_remains(kept));
    inode_note_removed(&table, &removal);
    remains_get_attr(inode_remains(kept), &attr);
    cr_assert_eq(attr.mode, 0640);
    inode_unpin(kept);
    know(3, FILE_REGULAR, "f");
    cr_assert_null(path_of(2));
    cr_assert_str_eq(path_of(3), "f");
    inode_note_renamed(&table, 3, "f", "g");
    cr_assert_null(path_of(2));
}

static bool is_taken_in(uint64_t id, const char *path, uint64_t moment)
{
    struct inode *inode = inode_remember_found(&table, id, FILE_REGULAR, path, moment);

    inode_unpin(inode);
    return inode != NULL;
}

Test(inode, what_was_removed_or_renamed_since_the_look_is_not_taken_in)
{
    const struct attr last = {.id = 5};
    const struct change removal = {
        .kind = CHANGE_REMOVED, .path = "f", .id = 5, .last = &last, .last_target = ""};
    uint64_t moment = inode_table_moment(&table);

    inode_note_removed(&table, &removal);
    cr_assert_not(is_taken_in(5, "f", moment));
    cr_assert(is_taken_in(6, "g", moment));
    inode_note_renamed(&table, 6, "g", "h");
    cr_assert_not(is_taken_in(6, "g", moment));
    cr_assert(is_taken_in(7, "i", moment));
    cr_assert(is_taken_in(6, "h", inode_table_moment(&table)));
}

Test(inode, when_more_has_moved_than_is_remembered_nothing_is_taken_in)
{
    uint64_t moment = inode_table_moment(&table);

    for (uint64_t i = 0; i < INODE_MOVES_MAX; i++)
        inode_note_renamed(&table, 100 + i, "a", "b");
    cr_assert(is_taken_in(5, "f", moment));
    inode_note_renamed(&table, 100, "a", "b");
    cr_assert_not(is_taken_in(5, "f", moment));
    cr_assert(is_taken_in(5, "f", moment + 1));
}

Test(inode, when_a_known_directory_has_moved_nothing_is_taken_in)
{
    uint64_t moment = inode_table_moment(&table);

    know(2, FILE_DIRECTORY, "d");
    inode_note_renamed(&table, 2, "d", "e");
    cr_assert_not(is_taken_in(5, "d/f", moment));
    moment = inode_table_moment(&table);
    inode_note_exchanged(&table, "x", "y");
    cr_assert_not(is_taken_in(5, "e/f", moment));
}

Test(inode, thousands_are_found_again)
{
    char path[32];

    for (uint64_t id = 2; id < 5000; id++) {
        snprintf(path, sizeof(path), "f%llu", (unsigned long long)id);
        know(id, FILE_REGULAR, path);
    }
    for (uint64_t id = 2; id < 5000; id++) {
        snprintf(path, sizeof(path), "f%llu", (unsigned long long)id);
        cr_assert_str_eq(path_of(id), path);
    }
}

/* --- recent versions --- */

static struct view *view_of(uint64_t id, uint64_t version)
{
    const struct attr attr = {.type = FILE_REGULAR, .id = id, .version = version};

    return view_new_unread(&attr);
}

Test(recent, of_a_file_that_was_changed_since_the_new_version_is_found)
{
    struct recent recent;
    struct view *changed = view_of(5, 4);

    recent_init(&recent);
    recent_add(&recent, view_of(5, 1));
    recent_add(&recent, view_of(5, 3));
    recent_change(&recent, 5, changed);
    recent_change(&recent, 6, changed);
    struct view *view = recent_find(&recent, 5);
    cr_assert_eq(view, changed);
    cr_assert_not(recent_has(&recent, 6));
    view_unref(view);
    view_unref(changed);
    recent_release(&recent);
}

Test(recent, a_file_that_was_changed_since_nobody_knows_how_is_not_found)
{
    struct recent recent;

    recent_init(&recent);
    recent_add(&recent, view_of(5, 1));
    recent_add(&recent, view_of(6, 2));
    recent_add(&recent, view_of(5, 3));
    recent_change(&recent, 5, NULL);
    cr_assert_null(recent_find(&recent, 5));
    struct view *view = recent_find(&recent, 6);
    cr_assert_not_null(view);
    view_unref(view);
    recent_release(&recent);
}

Test(recent, the_latest_version_of_a_file_is_found)
{
    struct recent recent;

    recent_init(&recent);
    recent_add(&recent, view_of(5, 1));
    recent_add(&recent, view_of(6, 2));
    recent_add(&recent, view_of(5, 3));
    struct view *view = recent_find(&recent, 5);
    cr_assert_eq(view->attr.version, 3);
    view_unref(view);
    cr_assert_null(recent_find(&recent, 7));
    for (uint64_t i = 0; i < RECENT_MAX; i++)
        recent_add(&recent, view_of(100 + i, 4));
    cr_assert_null(recent_find(&recent, 5));
    recent_release(&recent);
}

Test(recent, what_is_too_old_is_not_found_and_let_go)
{
    struct recent recent;

    recent_init(&recent);
    recent_add(&recent, view_of(5, 1));
    recent.looks[0].looked_ns -= RECENT_AGE_NS + 1;
    recent_add(&recent, view_of(6, 2));
    cr_assert_null(recent_find(&recent, 5));
    recent_expire(&recent, false);
    cr_assert_null(recent.looks[0].view);
    cr_assert_not_null(recent.looks[1].view);
    recent_release(&recent);
}

/* --- what comes behind a call that timed out --- */

Test(behind, a_process_that_was_there_does_not_wait_again_for_a_moment)
{
    struct behind behind = {0};

    cr_assert_not(behind_is_likely(&behind));
    behind_note(&behind);
    cr_assert(behind_is_likely(&behind));
    /* This process is older than any margin, seen from a minute later. */
    atomic_store(&behind.last_ns, clock_ns() + 60000000000ull);
    cr_assert(behind_was_there(&behind, getpid()));
    atomic_store(&behind.last_ns, clock_ns() - BEHIND_AGE_NS);
    cr_assert_not(behind_is_likely(&behind));
}

Test(behind, a_process_that_was_started_since_waits)
{
    struct behind behind = {0};

    behind_note(&behind);
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    cr_assert_not(behind_was_there(&behind, child));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

/* --- the budget --- */

static int finished;

static void note_finished(struct op *op, const struct op_result *result)
{
    (void)op;
    cr_assert_eq(result->code, 0);
    finished++;
}

Test(budget, who_finds_no_room_waits_only_while_something_is_published)
{
    struct budget budget;
    uint64_t round;
    struct op op;

    budget_init(&budget);
    budget_recharge(&budget, 0, BUDGET_BYTES_MAX - 10);
    cr_assert_eq(budget_ask(&budget, 10, &round), BUDGET_ROOM);
    cr_assert_eq(budget_ask(&budget, 11, &round), BUDGET_FULL);
    budget_begin_publish(&budget);
    cr_assert_eq(budget_ask(&budget, 11, &round), BUDGET_WAIT);
    op_init(&op, 1000, note_finished, NULL);
    budget_wait(&budget, round, &op);
    cr_assert_eq(finished, 0);
    budget_end_publish(&budget);
    cr_assert_eq(finished, 1);
    op_unref(&op);
    /* The round is over: no wait any more. */
    op_init(&op, 1000, note_finished, NULL);
    budget_wait(&budget, round, &op);
    cr_assert_eq(finished, 2);
    op_unref(&op);
    budget_recharge(&budget, BUDGET_BYTES_MAX - 10, 0);
    budget_release(&budget);
}

Test(budget, the_data_of_waiting_writes_is_limited_too)
{
    struct budget budget;

    budget_init(&budget);
    cr_assert(budget_hold(&budget, BUDGET_WAITING_BYTES_MAX));
    cr_assert_not(budget_hold(&budget, 1));
    budget_unhold(&budget, BUDGET_WAITING_BYTES_MAX);
    cr_assert(budget_hold(&budget, 1));
    budget_unhold(&budget, 1);
    budget_release(&budget);
}
