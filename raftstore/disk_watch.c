#include "raftstore/disk_watch.h"

#include "raftstore/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Of the file system, kept free. */
#define RESERVE_PART 20
/* Of a mark: so much more ends the state that began at it. */
#define RETURN_PART 8
#define MIB         (1ull << 20)

struct disk_space {
    uint64_t total;
    uint64_t available;
};

static int disk_watch_look(int fd, struct disk_space *ret_space)
{
    struct statvfs found;
    int rc;
    do {
        rc = fstatvfs(fd, &found);
    } while (rc != 0 && errno == EINTR);
    if (rc != 0)
        return -1;
    ret_space->total = (uint64_t)found.f_blocks * found.f_frsize;
    ret_space->available = (uint64_t)found.f_bavail * found.f_frsize;
    return 0;
}

static uint64_t disk_watch_reserve(uint64_t total)
{
    uint64_t reserve = total / RESERVE_PART;
    if (reserve < DISK_RESERVE_MIN)
        return DISK_RESERVE_MIN;
    return reserve > DISK_RESERVE_MAX ? DISK_RESERVE_MAX : reserve;
}

static enum disk_room disk_watch_judge(const struct disk_space *space, enum disk_room before)
{
    uint64_t low = disk_watch_reserve(space->total);
    uint64_t full = low / 2;
    if (before != DISK_ROOM)
        low += low / RETURN_PART;
    if (before == DISK_FULL)
        full += full / RETURN_PART;
    if (space->available < full)
        return DISK_FULL;
    return space->available < low ? DISK_LOW : DISK_ROOM;
}

static void disk_watch_tell(const struct disk_space *space, enum disk_room room)
{
    unsigned long long available = space->available / MIB;
    unsigned long long total = space->total / MIB;
    unsigned long long reserve = disk_watch_reserve(space->total) / MIB;
    switch (room) {
    case DISK_ROOM:
        log_info("disk: %llu MiB of %llu are free: this node takes everything again", available,
                 total);
        break;
    case DISK_LOW:
        log_warn("disk: %llu MiB of %llu are free, and %llu are kept in reserve: only what gives "
                 "space back is accepted",
                 available, total, reserve);
        break;
    case DISK_FULL:
        log_error("disk: %llu MiB of %llu are free, and the last %llu are never used: this node "
                  "takes nothing into its log",
                  available, total, reserve / 2);
        break;
    }
}

int disk_watch_open(const char *data_dir, struct disk_watch *ret_watch, struct err *e)
{
    struct disk_watch watch = {.room = DISK_ROOM};
    struct disk_space space;
    watch.fd = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (watch.fd < 0)
        return err_set(e, KE_IO, "cannot open %s: %s", data_dir, strerror(errno));
    if (disk_watch_look(watch.fd, &space) != 0) {
        int error = errno;
        (void)close(watch.fd);
        return err_set(e, KE_IO, "cannot see how full the file system of %s is: %s", data_dir,
                       strerror(error));
    }
    *ret_watch = watch;
    (void)disk_watch_update(ret_watch);
    return 0;
}

void disk_watch_close(struct disk_watch *watch)
{
    (void)close(watch->fd);
    watch->fd = -1;
}

enum disk_room disk_watch_update(struct disk_watch *watch)
{
    struct disk_space space;
    /* What cannot be seen has not changed: a disk that fails is found by the writes. */
    if (disk_watch_look(watch->fd, &space) != 0)
        return watch->room;
    enum disk_room room = disk_watch_judge(&space, watch->room);
    if (room != watch->room)
        disk_watch_tell(&space, room);
    watch->room = room;
    return room;
}
