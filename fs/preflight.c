#include "fs/preflight.h"

#include "fs/mount.h"
#include "fs/pid_file.h"
#include "raftstore/members.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The real path of the part of `path` that exists: what does not exist yet is
 * made below it. */
static bool resolve_existing(const char *path, char *ret_real)
{
    char prefix[PATH_MAX];

    snprintf(prefix, sizeof(prefix), "%s", path);
    while (!realpath(prefix, ret_real)) {
        char *slash = strrchr(prefix, '/');
        if (errno != ENOENT || !slash)
            return false;
        slash[slash == prefix] = '\0';
    }
    return true;
}

/* The daemon would wait for itself. */
static int check_outside(const char *what, const char *path, const char *mountpoint, struct err *e)
{
    char real[PATH_MAX];
    char real_mountpoint[PATH_MAX];

    if (!path[0] || !resolve_existing(path, real) || !realpath(mountpoint, real_mountpoint))
        return 0; /* whoever opens it will say what is wrong */
    size_t size = strlen(real_mountpoint);
    if (strncmp(real, real_mountpoint, size) == 0 && (real[size] == '/' || real[size] == '\0'))
        return err_set(e, KE_INVALID, "%s %s lies under the mount point %s", what, path,
                       mountpoint);
    return 0;
}

static bool is_missing_or_empty(const char *path)
{
    DIR *dir = opendir(path);
    bool empty = true;

    if (!dir)
        return errno == ENOENT;
    for (struct dirent *entry; empty && (entry = readdir(dir));)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    closedir(dir);
    return empty;
}

static int try_bind(const char *address, const struct addrinfo *info, struct err *e)
{
    int on = 1;
    int fd = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC, info->ai_protocol);

    /* Like the server's own: only a socket that listens is in the way. */
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, info->ai_addr, info->ai_addrlen) < 0)
        err_set(e, KE_IO, "cannot listen on %s: %s", address, strerror(errno));
    else
        e->code = 0;
    if (fd >= 0)
        close(fd);
    return e->code;
}

static int check_port(const char *address, struct err *e)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found;
    char host[STORE_ADDRESS_MAX + 1];
    const char *port = strrchr(address, ':') + 1; /* checked by the parser */
    size_t size = (size_t)(port - 1 - address);
    bool bracketed = address[0] == '[' && size > 2 && address[size - 1] == ']';

    snprintf(host, sizeof(host), "%.*s", (int)(bracketed ? size - 2 : size), address + bracketed);
    int reason = getaddrinfo(host, port, &hints, &found);
    if (reason)
        return err_set(e, KE_IO, "cannot listen on %s: %s", address, gai_strerror(reason));
    int code = try_bind(address, found, e);
    freeaddrinfo(found);
    return code;
}

/* An existing node without --listen keeps its address to itself: its store
 * binds it, and has nothing to make before. */
static int check_listen(const struct options *options, struct err *e)
{
    struct store_member members[STORE_MEMBERS_MAX];
    size_t count;

    if (options->listen[0])
        return check_port(options->listen, e);
    if (!is_missing_or_empty(options->data_dir))
        return 0;
    if (options->join[0])
        return check_port(options->advertise, e);
    if (!options->initial_members[0])
        return check_port(STORE_LISTEN_DEFAULT, e);
    int code = members_parse(options->initial_members, members, &count, e);
    return code ? code : check_port(members_find_name(members, count, options->name)->address, e);
}

int preflight_check(const struct options *options, struct err *e)
{
    int code = fs_mount_check(options->mountpoint, e);

    if (code == 0)
        code = check_outside("data directory", options->data_dir, options->mountpoint, e);
    if (code == 0)
        code = check_outside("log file", options->log_file, options->mountpoint, e);
    if (code == 0)
        code = pid_file_check(options->data_dir, e);
    if (code == 0)
        code = check_listen(options, e);
    return code;
}
