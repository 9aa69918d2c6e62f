#include "raftstore/failpoint.h"

#include "raftstore/log.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {
#define X(name) [FAILPOINT_##name] = #name,
    FAILPOINTS(X)
#undef X
};
#define NAME_COUNT (sizeof names / sizeof names[0])

/* What the environment asks for: set once, then only `left` changes. */
static struct {
    pthread_once_t once;
    bool armed;
    enum failpoint point;
    atomic_ulong left; /* hits until the end */
} plan = {.once = PTHREAD_ONCE_INIT};

static bool failpoint_parse(const char *text, enum failpoint *ret_point, unsigned long *ret_count)
{
    size_t length = strcspn(text, ":");
    const char *number = text + length;
    char *end = NULL;
    *ret_count = 1;
    if (*number == ':') {
        errno = 0;
        *ret_count = strtoul(number + 1, &end, 10);
        if (errno != 0 || end == number + 1 || *end != '\0' || *ret_count == 0)
            return false;
    }
    for (size_t i = 0; i < NAME_COUNT; i++) {
        if (strlen(names[i]) == length && memcmp(names[i], text, length) == 0) {
            *ret_point = (enum failpoint)i;
            return true;
        }
    }
    return false;
}

static void failpoint_read_environment(void)
{
    const char *text = getenv("KEELFS_FAILPOINT");
    unsigned long count;
    if (text == NULL || *text == '\0')
        return;
    if (!failpoint_parse(text, &plan.point, &count))
        log_fatal("KEELFS_FAILPOINT=%s names no place to die at", text);
    atomic_store(&plan.left, count);
    plan.armed = true;
}

void failpoint_hit(enum failpoint point)
{
    pthread_once(&plan.once, failpoint_read_environment);
    /* Hits that come while the process is dying wrap the count, and nobody sees it. */
    if (plan.armed && plan.point == point && atomic_fetch_sub(&plan.left, 1) == 1)
        (void)raise(SIGKILL);
}

const char *failpoint_name(enum failpoint point)
{
    assert((size_t)point < NAME_COUNT);
    return names[point];
}
