/* cut-power DIR...: throws away what the ext4 file systems at these directories
 * have not written to their devices yet, journal and all, and stops them, as if
 * the power of the disks had gone. What remains is there after the next mount. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DIRS_MAX 16

/* Of the kernel's fs/ext4/ext4.h, which is no header for programs. */
#define EXT4_SHUTDOWN     _IOR('X', 125, uint32_t)
#define EXT4_NO_LOG_FLUSH 2u

static int failed(const char *dir)
{
    (void)fprintf(stderr, "cut-power: %s: %s\n", dir, strerror(errno));
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    int fds[DIRS_MAX];
    int count = argc - 1, status = EXIT_SUCCESS;
    if (count < 1 || count > DIRS_MAX) {
        (void)fprintf(stderr, "usage: cut-power DIR...\n");
        return 2;
    }
    for (int i = 0; i < count; i++) {
        fds[i] = open(argv[i + 1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fds[i] < 0)
            return failed(argv[i + 1]);
    }
    /* All at once, as far as can be. */
    for (int i = 0; i < count; i++) {
        uint32_t how = EXT4_NO_LOG_FLUSH;
        if (ioctl(fds[i], EXT4_SHUTDOWN, &how) != 0)
            status = failed(argv[i + 1]);
    }
    for (int i = 0; i < count; i++)
        (void)close(fds[i]);
    return status;
}
