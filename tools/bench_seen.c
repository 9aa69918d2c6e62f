/* How soon a change on one mount is seen by an open on another: at once, or the
 * answer of close() was too early. */
#include "tools/bench.h"

#include "tools/bench_samples.h"

#include "raftstore/op.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX  32
#define LOOKS_MAX 1000000 /* then it is not seen at all */
#define NAME      "bench-seen"

static int change(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return -1;
    ssize_t wrote = write(fd, text, strlen(text));
    int closed = close(fd);
    return wrote == (ssize_t)strlen(text) && closed == 0 ? 0 : -1;
}

/* 1: the file has that text; 0: another; -1 with errno. */
static int look(const char *path, const char *text, uint64_t *ret_opened_ns)
{
    char found[TEXT_MAX];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    *ret_opened_ns = clock_ns();
    ssize_t got = read(fd, found, sizeof(found));
    (void)close(fd);
    if (got < 0)
        return -1;
    return (size_t)got == strlen(text) && memcmp(found, text, (size_t)got) == 0 ? 1 : 0;
}

int bench_seen(const struct bench_config *config)
{
    static struct bench_samples samples; /* too large for a stack */
    uint64_t stale = 0;
    char there[PATH_MAX], here[PATH_MAX], text[TEXT_MAX];
    if (config->mounts.count != 2)
        return 2;
    (void)snprintf(there, sizeof(there), "%s/" NAME, config->mounts.items[0]);
    (void)snprintf(here, sizeof(here), "%s/" NAME, config->mounts.items[1]);
    for (uint32_t i = 0; i < config->count; i++) {
        (void)snprintf(text, sizeof(text), "%u", i);
        int seen = change(there, text) == 0 ? 0 : -1;
        uint64_t start_ns = clock_ns(), opened_ns = start_ns;
        for (uint32_t looks = 0; seen == 0 && looks < LOOKS_MAX; looks++) {
            seen = look(here, text, &opened_ns);
            if (seen == 0 && looks == 0)
                stale++;
        }
        if (seen != 1) {
            (void)fprintf(stderr, "bench: '%s' is not seen: %s\n", here,
                          seen < 0 ? strerror(errno) : "it stays as it was");
            return 1;
        }
        bench_samples_add(&samples, opened_ns - start_ns);
    }
    (void)unlink(there);
    printf("p50_ms=%.4f p99_ms=%.4f stale=%" PRIu64 "\n", bench_samples_percentile_ms(&samples, 50),
           bench_samples_percentile_ms(&samples, 99), stale);
    return 0;
}
