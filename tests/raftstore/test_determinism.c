/* The same commands make the same bytes, whatever the batches they come in. */
#include "volume.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMMANDS = 3000, REQUESTS_MAX = 3 };

static void random_path(uint64_t *seed, char *out, size_t size)
{
    static const char *const names[] = {"a", "a-", "b", "\xff", "\x01x"};
    const char *first = names[scratch_random(seed, 5)];

    if (scratch_random(seed, 2) == 0) {
        (void)snprintf(out, size, "%s", first);
    } else {
        (void)snprintf(out, size, "%s/%s", first, names[scratch_random(seed, 5)]);
    }
}

static void add_request(struct command *cmd, uint64_t *seed)
{
    static const char bytes[40000] = "some bytes";
    char path[64];
    char other[64];
    struct command_extent extent = {
        .offset = scratch_random(seed, 70000), .data = bytes, .size = scratch_random(seed, 40000)};
    uint64_t id = scratch_random(seed, 200);

    random_path(seed, path, sizeof path);
    random_path(seed, other, sizeof other);
    switch (scratch_random(seed, 9)) {
    case 0:
        command_put(cmd, "", path, strlen(path), bytes, scratch_random(seed, 40000));
        break;
    case 1:
        command_delete(cmd, "default", path, strlen(path));
        break;
    case 2:
        command_put(cmd, "lock", path, strlen(path), other, strlen(other));
        break;
    case 3:
        command_create(cmd,
                       &(struct command_create){.path = path,
                                                .type = (enum file_type)scratch_random(seed, 3),
                                                .mode = scratch_random(seed, 4096),
                                                .target = NULL,
                                                .exclusive = scratch_random(seed, 2) == 0});
        break;
    case 4:
        command_remove(cmd, path, scratch_random(seed, 2) == 0);
        break;
    case 5:
        command_rename(cmd, path, other, scratch_random(seed, 2) == 0);
        break;
    case 6:
        command_set_attr(cmd, &(struct command_set_attr){.path = path,
                                                         .id = id,
                                                         .mask = scratch_random(seed, 64),
                                                         .size = scratch_random(seed, 50000)});
        break;
    case 7:
        command_require_version(cmd, path, id);
        break;
    default:
        command_write(cmd, &(struct command_write){.path = path,
                                                   .id = id,
                                                   .extents = &extent,
                                                   .extent_count = 1,
                                                   .append = other,
                                                   .append_size = strlen(other)});
        break;
    }
}

static struct command *random_command(uint64_t *seed)
{
    struct command *cmd = command_new();
    uint32_t count = 1 + scratch_random(seed, REQUESTS_MAX);

    command_set_time(cmd, (int64_t)scratch_random(seed, 1000000));
    command_set_owner(cmd, scratch_random(seed, 5), scratch_random(seed, 5));
    for (uint32_t i = 0; i < count; i++) {
        add_request(cmd, seed);
    }
    return cmd;
}

/* Runs the commands of `seed` in batches of up to `batch_max`; the codes of their
 * results go to `codes`. */
static void run_all(struct volume *v, uint64_t seed, uint32_t batch_max, int *codes)
{
    uint64_t batches = seed ^ batch_max;

    v->hold = true;
    for (int i = 0; i < COMMANDS; i++) {
        codes[i] = volume_run(v, random_command(&seed));
        if (scratch_random(&batches, batch_max) == 0) {
            volume_commit(v);
            executor_clear_changes(v->executor);
        }
        if (scratch_random(&batches, 500) == 0) {
            volume_commit(v);
            volume_reopen(v);
        }
    }
    volume_commit(v);
}

Test(determinism, the_same_commands_make_the_same_bytes, .timeout = 120)
{
    static int codes[2][COMMANDS];
    struct volume a;
    struct volume b;
    uint64_t seed = scratch_seed("determinism");
    int succeeded = 0;
    char *dump_a;
    char *dump_b;

    volume_open(&a);
    volume_open(&b);
    run_all(&a, seed, 1, codes[0]);
    run_all(&b, seed, 100, codes[1]);
    for (int i = 0; i < COMMANDS; i++) {
        cr_assert_eq(codes[0][i], codes[1][i], "command %d", i);
        succeeded += codes[0][i] == 0;
    }
    cr_assert_gt(succeeded, COMMANDS / 50);
    cr_assert_eq(a.revision, b.revision);
    dump_a = volume_dump(&a);
    dump_b = volume_dump(&b);
    cr_assert_gt(strlen(dump_a), 1000);
    cr_assert(strcmp(dump_a, dump_b) == 0);
    free(dump_a);
    free(dump_b);
    volume_close(&a);
    volume_close(&b);
}
