/* The rows that an executor knows without a look, and that knowing them changes nothing. */
#include "raftstore/row_cache.h"
#include "volume.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the table --- */

static struct bytes text_bytes(const char *text)
{
    return (struct bytes){.data = (const uint8_t *)text, .size = strlen(text)};
}

static void assert_there(struct row_cache *cache, const char *key, const char *value)
{
    struct bytes found;

    cr_assert_eq(row_cache_find(cache, text_bytes(key), &found), ROW_THERE, "%s", key);
    cr_assert_eq(found.size, strlen(value));
    cr_assert_eq(memcmp(found.data, value, found.size), 0);
}

static enum row_known find(struct row_cache *cache, const char *key)
{
    struct bytes found;

    return row_cache_find(cache, text_bytes(key), &found);
}

Test(row_cache, the_last_that_was_told_of_a_row_is_known)
{
    struct row_cache *cache = row_cache_new();

    cr_assert_eq(find(cache, "a"), ROW_UNKNOWN);
    row_cache_put(cache, text_bytes("a"), text_bytes("1"));
    assert_there(cache, "a", "1");
    row_cache_put(cache, text_bytes("a"), text_bytes("22"));
    assert_there(cache, "a", "22");
    row_cache_put_absent(cache, text_bytes("a"));
    cr_assert_eq(find(cache, "a"), ROW_ABSENT);
    row_cache_put(cache, text_bytes("a"), text_bytes(""));
    assert_there(cache, "a", "");
    row_cache_clear(cache);
    cr_assert_eq(find(cache, "a"), ROW_UNKNOWN);
    row_cache_free(cache);
}

Test(row_cache, a_row_that_grows_too_large_is_unknown)
{
    struct row_cache *cache = row_cache_new();
    char large[ROW_CACHE_BYTES_MAX + 1];

    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    row_cache_put(cache, text_bytes("a"), text_bytes(large + 1));
    assert_there(cache, "a", large + 1);
    row_cache_put(cache, text_bytes("a"), text_bytes(large));
    cr_assert_eq(find(cache, "a"), ROW_UNKNOWN);
    row_cache_free(cache);
}

Test(row_cache, keys_that_share_a_place_are_told_apart)
{
    struct row_cache *cache = row_cache_new();
    char key[32];
    size_t known = 0;

    for (int i = 0; i < 4 * ROW_CACHE_ROWS; i++) {
        (void)snprintf(key, sizeof key, "%d", i);
        row_cache_put(cache, text_bytes(key), text_bytes(key));
    }
    for (int i = 0; i < 4 * ROW_CACHE_ROWS; i++) {
        (void)snprintf(key, sizeof key, "%d", i);
        if (find(cache, key) != ROW_UNKNOWN) {
            assert_there(cache, key, key);
            known++;
        }
    }
    cr_assert_gt(known, ROW_CACHE_ROWS / 2);
    cr_assert_leq(known, ROW_CACHE_ROWS);
    row_cache_free(cache);
}

/* --- in the executor --- */

Test(row_cache, what_a_failed_command_wrote_is_not_known_to_the_next)
{
    struct volume v;
    struct command *cmd;

    volume_open(&v);
    v.hold = true;
    cr_assert_eq(volume_put(&v, "gone", "1"), 0);
    cmd = volume_command();
    command_put(cmd, "default", "made", 4, "2", 1);
    command_remove(cmd, "gone", false);
    command_remove(cmd, "none", false);
    cr_assert_eq(volume_run(&v, cmd), KE_NOT_FOUND);
    cr_assert_eq(volume_remove(&v, "made", false), KE_NOT_FOUND);
    cr_assert_eq(volume_create(&v, "gone", true), KE_EXISTS);
    volume_commit(&v);
    volume_assert_names(&v, "", "gone");
    volume_close(&v);
}

struct change_of_names {
    uint32_t kind;
    char from[16];
    char to[16];
};

#define KINDS 10

static void random_name(uint64_t *seed, char *out, size_t size)
{
    static const char *const dirs[] = {"", "", "d/", "d/e/", "x/"};
    static const char *const names[] = {"a", "b", "c", "d", "e", "x"};

    (void)snprintf(out, size, "%s%s", dirs[scratch_random(seed, 5)],
                   names[scratch_random(seed, 6)]);
}

static int run_change(struct volume *v, const struct change_of_names *change)
{
    struct command *cmd;

    switch (change->kind) {
    case 0:
        return volume_put(v, change->from, change->to);
    case 1:
        return volume_create(v, change->from, true);
    case 2:
        return volume_mkdir(v, change->from);
    case 3:
        return volume_symlink(v, change->from, change->to);
    case 4:
        return volume_remove(v, change->from, false);
    case 5:
        return volume_remove(v, change->from, true);
    case 6:
    case 7:
        return volume_rename(v, change->from, change->to);
    case 8:
        cmd = volume_command();
        command_exchange(cmd, change->from, change->to);
        return volume_run(v, cmd);
    default:
        /* Mostly fails when it has written already. */
        cmd = volume_command();
        command_put(cmd, "default", change->from, strlen(change->from), "y", 1);
        command_remove(cmd, change->to, false);
        return volume_run(v, cmd);
    }
}

/* One node applies each command alone and knows nothing from before; the other has them
 * in batches of any size. */
Test(row_cache, batches_of_any_size_make_the_same_rows)
{
    struct volume alone;
    struct volume batched;
    uint64_t seed = scratch_seed("row_cache");

    volume_open(&alone);
    volume_open(&batched);
    batched.hold = true;
    for (int i = 0; i < 400; i++) {
        struct change_of_names change = {.kind = scratch_random(&seed, KINDS)};

        random_name(&seed, change.from, sizeof change.from);
        random_name(&seed, change.to, sizeof change.to);
        executor_free(alone.executor);
        alone.executor = executor_new(alone.kv);
        cr_assert_eq(run_change(&alone, &change), run_change(&batched, &change), "change %d", i);
        cr_assert_eq(alone.revision, batched.revision);
        if (scratch_random(&seed, 8) == 0) {
            volume_commit(&batched);
        }
    }
    volume_commit(&batched);
    char *rows = volume_dump(&alone);
    char *batched_rows = volume_dump(&batched);
    cr_assert_str_eq(batched_rows, rows);
    free(rows);
    free(batched_rows);
    volume_close(&alone);
    volume_close(&batched);
}
