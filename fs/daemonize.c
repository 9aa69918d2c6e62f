#include "fs/daemonize.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the daemon writes on the link: this byte, or the text of an error. */
#define READY_BYTE '\n'

static int open_log_file(const char *path, int *ret_fd, struct err *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);

    if (fd < 0)
        return err_set(e, KE_IO, "log file %s: %s", path, strerror(errno));
    *ret_fd = fd;
    return 0;
}

/* How a daemon ended that has said nothing. */
static void print_silent_end(pid_t child)
{
    int status;

    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR)
            return;
    }
    if (WIFSIGNALED(status))
        fprintf(stderr, "keelfs: the daemon was ended by signal %d (%s) before it served\n",
                WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        fprintf(stderr,
                "keelfs: the daemon ended with status %d before it served; its log says why\n",
                WEXITSTATUS(status));
}

static void __attribute__((noreturn)) wait_for_daemon(pid_t child, int link)
{
    char text[ERR_TEXT_MAX];
    size_t size = 0;
    ssize_t got;

    while (size < sizeof(text) && (got = read(link, text + size, sizeof(text) - size)) != 0) {
        if (got > 0)
            size += (size_t)got;
        else if (errno != EINTR)
            break;
    }
    if (size == 1 && text[0] == READY_BYTE)
        _exit(EXIT_SUCCESS);
    if (size > 0)
        fprintf(stderr, "keelfs: %.*s\n", (int)size, text);
    else
        print_silent_end(child);
    _exit(EXIT_FAILURE);
}

/* Returns in the daemon, with the writing end in `daemon->link`. */
static int fork_daemon(struct daemon *daemon, struct err *e)
{
    int link[2];

    if (pipe2(link, O_CLOEXEC) < 0)
        return err_set(e, KE_IO, "cannot make a pipe: %s", strerror(errno));
    pid_t child = fork();
    if (child < 0) {
        int reason = errno;
        close(link[0]);
        close(link[1]);
        return err_set(e, KE_IO, "cannot start the daemon: %s", strerror(reason));
    }
    if (child > 0) {
        close(link[1]);
        wait_for_daemon(child, link[0]);
    }
    close(link[0]);
    daemon->link = link[1];
    setsid();
    return 0;
}

/* Points the standard streams from `first` to `last` at `fd`. */
static void redirect(int first, int last, int fd)
{
    for (int stream = first; stream <= last; stream++)
        dup2(fd, stream);
}

static void redirect_to_null(int first, int last)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0)
        return;
    redirect(first, last, null);
    if (null > STDERR_FILENO)
        close(null);
}

int daemon_start(struct daemon *daemon, bool foreground, const char *log_file, struct err *e)
{
    int log = -1;

    /* A pipe that the shell left open would keep its reader waiting for us. */
    if (!foreground)
        close_range(STDERR_FILENO + 1, ~0U, 0);
    int code = log_file[0] ? open_log_file(log_file, &log, e) : 0;

    *daemon = (struct daemon){
        .foreground = foreground,
        .keeps_stderr = foreground || log >= 0,
        .link = -1,
    };
    if (code == 0 && !foreground)
        code = fork_daemon(daemon, e);
    if (code == 0 && foreground)
        daemon->link = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (code == 0 && log >= 0)
        redirect(STDOUT_FILENO, STDERR_FILENO, log);
    if (code == 0 && !foreground) {
        redirect_to_null(STDIN_FILENO, STDIN_FILENO);
        /* A working directory would keep its file system from being unmounted. */
        if (chdir("/") < 0)
            code = err_set(e, KE_IO, "cannot change to /: %s", strerror(errno));
    }
    if (log >= 0)
        close(log);
    return code;
}

bool daemon_report_ready(struct daemon *daemon)
{
    const char ready = READY_BYTE;

    if (daemon->foreground)
        return true;
    bool heard = write(daemon->link, &ready, 1) == 1;
    close(daemon->link);
    daemon->link = -1;
    if (!daemon->keeps_stderr)
        redirect_to_null(STDOUT_FILENO, STDERR_FILENO);
    return heard;
}

void daemon_report_failure(struct daemon *daemon, const char *text)
{
    if (daemon->link < 0)
        return;
    if (daemon->foreground)
        dprintf(daemon->link, "keelfs: %s\n", text);
    else if (write(daemon->link, text, strlen(text)) < 0)
        return; /* nobody waits any more */
    close(daemon->link);
    daemon->link = -1;
}
