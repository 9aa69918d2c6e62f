#include "fs/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Larger than any /proc/PID/status up to the signal sets. */
#define STATUS_BYTES_MAX 4096

/* Signal sets as /proc has them: bit n-1 is signal n. */
#define SIGNAL_BIT(number) (UINT64_C(1) << ((number)-1))

#define SIGNALS_TO_STOP                                                                            \
    (SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGINT) | SIGNAL_BIT(SIGTERM) | SIGNAL_BIT(SIGHUP) |         \
     SIGNAL_BIT(SIGQUIT))

/* What does not end a process that has no handler for it. */
#define SIGNALS_HARMLESS                                                                           \
    (SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGURG) | SIGNAL_BIT(SIGWINCH) | SIGNAL_BIT(SIGCONT) |       \
     SIGNAL_BIT(SIGSTOP) | SIGNAL_BIT(SIGTSTP) | SIGNAL_BIT(SIGTTIN) | SIGNAL_BIT(SIGTTOU))

static bool read_status(pid_t tid, char *text)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t size = read(fd, text, STATUS_BYTES_MAX - 1);
    close(fd);
    if (size <= 0)
        return false;
    text[size] = '\0';
    return true;
}

static bool signal_set(const char *status, const char *name, uint64_t *ret_set)
{
    const char *line = strstr(status, name);
    if (line == NULL)
        return false;
    *ret_set = strtoull(line + strlen(name), NULL, 16);
    return true;
}

bool interrupt_means_stop(pid_t tid)
{
    char status[STATUS_BYTES_MAX];
    uint64_t own, shared, blocked, ignored, caught;

    if (!read_status(tid, status) || !signal_set(status, "\nSigPnd:\t", &own) ||
        !signal_set(status, "\nShdPnd:\t", &shared) ||
        !signal_set(status, "\nSigBlk:\t", &blocked) ||
        !signal_set(status, "\nSigIgn:\t", &ignored) || !signal_set(status, "\nSigCgt:\t", &caught))
        return true;
    uint64_t pending = (own | shared) & ~(blocked | ignored);
    uint64_t fatal = pending & ~caught & ~SIGNALS_HARMLESS;
    return fatal != 0 || (pending & SIGNALS_TO_STOP) != 0;
}
