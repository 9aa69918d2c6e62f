#include "fs/thread_stat.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Larger than any /proc/TID/stat. */
#define STAT_BYTES_MAX 2048

/* Counted from the field behind the name, which may hold blanks. */
#define FIELD_FLAGS     6
#define FIELD_START     19
#define FIELD_EXIT_CODE 49

/* The kernel's PF_EXITING. */
#define FLAG_EXITING 0x4u
/* Of an exit code: the signal. */
#define EXIT_SIGNAL_MASK 0x7f

static bool read_text(pid_t tid, char *text)
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

bool thread_stat_read(pid_t tid, struct thread_stat *ret_stat)
{
    char text[STAT_BYTES_MAX];
    char *save = NULL;

    if (!read_text(tid, text))
        return false;
    char *name_end = strrchr(text, ')');
    if (name_end == NULL)
        return false;
    uint64_t fields[FIELD_EXIT_CODE + 1] = {0};
    char *field = strtok_r(name_end + 1, " \n", &save);
    for (int i = 0; i <= FIELD_EXIT_CODE && field != NULL; i++) {
        fields[i] = strtoull(field, NULL, 10);
        field = strtok_r(NULL, " \n", &save);
    }
    *ret_stat = (struct thread_stat){
        .start_ns = fields[FIELD_START] * (1000000000ull / (uint64_t)sysconf(_SC_CLK_TCK)),
        .is_exiting = (fields[FIELD_FLAGS] & FLAG_EXITING) != 0,
    };
    if (ret_stat->is_exiting)
        ret_stat->signal = (int)(fields[FIELD_EXIT_CODE] & EXIT_SIGNAL_MASK);
    return true;
}

static bool lists_group(const char *list, gid_t gid)
{
    char *end;

    for (unsigned long group = strtoul(list, &end, 10); end != list;
         group = strtoul(list, &end, 10)) {
        if (group == gid)
            return true;
        list = end;
    }
    return false;
}

bool thread_has_group(pid_t tid, gid_t gid)
{
    static const char heading[] = "Groups:";
    char path[64];
    char *line = NULL;
    size_t capacity = 0;
    bool found = false;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
    FILE *status = fopen(path, "re");
    if (status == NULL)
        return false;
    while (!found && getline(&line, &capacity, status) > 0)
        found = strncmp(line, heading, strlen(heading)) == 0 &&
                lists_group(line + strlen(heading), gid);
    free(line);
    fclose(status);
    return found;
}
