/* Directories that another node moves while this one removes or replaces them by name. The
 * kernel takes the one it had found for gone: were it not, nothing could be found or made in
 * it any more by those who have it open, and by nobody else while they have. */
#include "mounted.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct mounted m;

static void setup(void)
{
    mounted_start(&m, 10000);
}

static void teardown(void)
{
    mounted_stop(&m);
}

TestSuite(mount_moved, .init = setup, .fini = teardown, .timeout = 120);

struct call {
    pthread_t thread;
    const char *from; /* NULL: `to` is removed, else replaced */
    const char *to;
    int saved;
};

static void *run(void *arg)
{
    struct call *call = arg;
    int result = call->from == NULL
                     ? rmdir(mounted_path(&m, call->to))
                     : rename(mounted_path(&m, call->from), mounted_path(&m, call->to));

    call->saved = result == 0 ? 0 : errno;
    return NULL;
}

static void begin(struct call *call)
{
    fake_store_hold_proposals(m.store);
    pthread_create(&call->thread, NULL, run, call);
    fake_store_await_held(m.store, 1);
}

static void end(struct call *call)
{
    fake_store_release(m.store);
    pthread_join(call->thread, NULL);
    cr_assert_eq(call->saved, 0, "%s", strerror(call->saved));
}

/* Two directories change places while the call is under way. */
static void move_during(struct call *call, const char *one, const char *other)
{
    begin(call);
    remote_rename(&m, one, "aside");
    remote_rename(&m, other, one);
    remote_rename(&m, "aside", other);
    end(call);
}

static void assert_alive(const char *directory)
{
    char made[32];

    (void)snprintf(made, sizeof(made), "%s/made", directory);
    cr_expect_eq(mounted_write(&m, made, O_CREAT | O_EXCL, "x"), 0, "%s: %s", made,
                 strerror(errno));
}

Test(mount_moved, a_directory_that_moved_away_outlives_the_removal_of_its_old_name)
{
    struct call call = {.to = "full"};

    remote_put(&m, "full/f", "x", 1);
    remote_mkdir(&m, "empty");
    int held = open(mounted_path(&m, "full"), O_RDONLY | O_DIRECTORY);
    move_during(&call, "full", "empty");
    assert_alive("empty");
    mounted_assert_content(&m, "empty/f", "x");
    mounted_assert_fails(access(mounted_path(&m, "full"), F_OK), ENOENT);
    close(held);
}

Test(mount_moved, a_directory_that_moved_away_outlives_the_replacement_of_its_old_name)
{
    struct call call = {.from = "new", .to = "full"};

    remote_put(&m, "full/f", "x", 1);
    remote_mkdir(&m, "empty");
    remote_mkdir(&m, "new");
    int held = open(mounted_path(&m, "full"), O_RDONLY | O_DIRECTORY);
    move_during(&call, "full", "empty");
    assert_alive("empty");
    assert_alive("full");
    mounted_assert_content(&m, "empty/f", "x");
    close(held);
}

static void make_anew(const char *name)
{
    struct command *cmd = command_new();

    command_remove(cmd, name, true);
    cr_assert_eq(fake_store_apply(m.store, cmd), 0);
    remote_mkdir(&m, name);
}

Test(mount_moved, a_directory_that_was_made_anew_is_removed_in_place_of_the_old_one)
{
    struct call call = {.to = "d"};

    remote_mkdir(&m, "d");
    int held = open(mounted_path(&m, "d"), O_RDONLY | O_DIRECTORY);
    begin(&call);
    make_anew("d");
    end(&call);
    mounted_assert_fails(access(mounted_path(&m, "d"), F_OK), ENOENT);
    close(held);
}
