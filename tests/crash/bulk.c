/* Data enough for a snapshot of several chunks: a few large values, the same for the
 * same seed. */
#include "crash.h"
#include "random.h"

#include "raftstore/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BULK_VALUES 3
#define BULK_SIZE   (1u << 20)
#define BULK_PREFIX "bulk/"

/* Text that does not compress well; NUL-terminated, malloc'ed. */
static char *bulk_value(uint64_t seed, size_t number)
{
    uint64_t random = seed + number;
    char *value = malloc(BULK_SIZE + 1);
    if (value == NULL)
        abort();
    for (size_t i = 0; i < BULK_SIZE; i++)
        value[i] = (char)('0' + random_next(&random) % 64);
    value[BULK_SIZE] = '\0';
    return value;
}

bool crash_put_bulk(struct cluster *cluster, uint64_t seed)
{
    for (size_t i = 0; i < BULK_VALUES; i++) {
        char key[LEDGER_PATH_MAX];
        char *value = bulk_value(seed, i);
        snprintf(key, sizeof(key), BULK_PREFIX "%zu", i);
        int rc = cluster_put(cluster, 0, key, value, CRASH_PATIENCE_MS);
        free(value);
        if (rc != 0)
            return false;
    }
    return true;
}

struct bulk_check {
    uint64_t seed;
    size_t shown;
    bool good;
};

static int check_value(void *ctx, const void *key, size_t key_size, const void *value,
                       size_t value_size)
{
    struct bulk_check *check = ctx;
    char *expected = bulk_value(check->seed, check->shown);
    if (value_size != BULK_SIZE || memcmp(value, expected, BULK_SIZE) != 0) {
        fprintf(stderr, "%.*s shows another value (%zu bytes)\n", (int)key_size, (const char *)key,
                value_size);
        check->good = false;
    }
    free(expected);
    check->shown++;
    return 1;
}

bool crash_check_bulk(struct cluster *cluster, size_t slot, uint64_t seed)
{
    struct bulk_check check = {.seed = seed, .good = true};
    int rc = cluster_scan(cluster, slot, BULK_PREFIX, check_value, &check, CRASH_PATIENCE_MS);
    if (rc != 0 || check.shown != BULK_VALUES) {
        fprintf(stderr, "%s shows %zu large values (%s)\n", cluster->slots[slot].name, check.shown,
                ke_text(rc));
        return false;
    }
    return check.good;
}
