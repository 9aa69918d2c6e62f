#include "fs/remount.h"

#include "fs/mountpoint.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

struct flag {
    const char *name;
    unsigned long bit; /* as for mount(2) */
    bool sets;
};

static const struct flag flags[] = {
    {"ro", MS_RDONLY, true},      {"rw", MS_RDONLY, false},       {"nosuid", MS_NOSUID, true},
    {"suid", MS_NOSUID, false},   {"nodev", MS_NODEV, true},      {"dev", MS_NODEV, false},
    {"noexec", MS_NOEXEC, true},  {"exec", MS_NOEXEC, false},     {"noatime", MS_NOATIME, true},
    {"atime", MS_NOATIME, false}, {"sync", MS_SYNCHRONOUS, true}, {"async", MS_SYNCHRONOUS, false},
};

#define FLAGS_COUNT (sizeof(flags) / sizeof(flags[0]))

/* What the mount has now, as statvfs() shows it, and as mount() takes it. */
static unsigned long flags_of(const struct statvfs *st)
{
    static const struct {
        unsigned long shown;
        unsigned long bit;
    } table[] = {
        {ST_RDONLY, MS_RDONLY},     {ST_NOSUID, MS_NOSUID},
        {ST_NODEV, MS_NODEV},       {ST_NOEXEC, MS_NOEXEC},
        {ST_NOATIME, MS_NOATIME},   {ST_NODIRATIME, MS_NODIRATIME},
        {ST_RELATIME, MS_RELATIME}, {ST_SYNCHRONOUS, MS_SYNCHRONOUS},
    };
    unsigned long bits = 0;

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        bits |= st->f_flag & table[i].shown ? table[i].bit : 0;
    return bits;
}

static unsigned long apply_option(unsigned long bits, const char *option, size_t size)
{
    for (size_t i = 0; i < FLAGS_COUNT; i++) {
        if (strlen(flags[i].name) == size && strncmp(flags[i].name, option, size) == 0)
            return flags[i].sets ? bits | flags[i].bit : bits & ~flags[i].bit;
    }
    return bits;
}

int remount_change(const char *mountpoint, const char *options, struct err *e)
{
    struct statvfs st;
    int code = mountpoint_check_mounted(mountpoint, e);

    if (code != 0)
        return code;
    if (statvfs(mountpoint, &st) != 0)
        return err_set(e, KE_IO, "remount: %s: %s", mountpoint, strerror(errno));
    unsigned long bits = flags_of(&st);
    for (const char *at = options; *at != '\0'; at += *at == ',') {
        size_t size = strcspn(at, ",");
        bits = apply_option(bits, at, size);
        at += size;
    }
    if (mount(NULL, mountpoint, NULL, MS_REMOUNT | bits, NULL) != 0)
        return err_set(e, KE_IO, "remount: %s: %s%s", mountpoint, strerror(errno),
                       errno == EBUSY ? ": files are open for writing" : "");
    return 0;
}
