#include "fs/behind.h"

#include "raftstore/op.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Larger than /proc/TID/stat up to the field that is read. */
#define STAT_BYTES_MAX 512
/* Counted from the field behind the name, which may hold blanks. */
#define STAT_FIELD_START 19

/* Starts are told in ticks of 10 ms. */
#define START_MARGIN_NS 20000000ull

void behind_note(struct behind *behind)
{
    atomic_store(&behind->last_ns, clock_ns());
}

bool behind_is_likely(const struct behind *behind)
{
    uint64_t last_ns = atomic_load(&behind->last_ns);

    return last_ns != 0 && clock_ns() - last_ns < BEHIND_AGE_NS;
}

static bool read_stat(pid_t tid, char *text)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t size = read(fd, text, STAT_BYTES_MAX - 1);
    close(fd);
    if (size <= 0)
        return false;
    text[size] = '\0';
    return true;
}

/* When the thread was started, of clock_ns(); 0 when that cannot be known, as of
 * those in other namespaces. */
static uint64_t start_of(pid_t tid)
{
    char text[STAT_BYTES_MAX];
    char *save = NULL;

    if (!read_stat(tid, text))
        return 0;
    char *name_end = strrchr(text, ')');
    char *field = name_end != NULL ? strtok_r(name_end + 1, " ", &save) : NULL;
    for (int i = 0; i < STAT_FIELD_START && field != NULL; i++)
        field = strtok_r(NULL, " ", &save);
    if (field == NULL)
        return 0;
    return strtoull(field, NULL, 10) * (1000000000ull / (uint64_t)sysconf(_SC_CLK_TCK));
}

bool behind_was_there(const struct behind *behind, pid_t tid)
{
    return start_of(tid) + START_MARGIN_NS < atomic_load(&behind->last_ns);
}
