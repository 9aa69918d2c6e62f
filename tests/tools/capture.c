#include "capture.h"

#include "raftstore/memory.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define COMMAND_MAX 1024

struct capture *capture_new(void)
{
    struct capture *capture = mem_zalloc(sizeof(*capture));
    (void)snprintf(capture->dir, sizeof(capture->dir), "/tmp/keelctl.XXXXXX");
    cr_assert_not_null(mkdtemp(capture->dir));
    return capture;
}

void capture_free(struct capture *capture)
{
    char command[COMMAND_MAX];
    (void)snprintf(command, sizeof(command), "rm -r %s", capture->dir);
    cr_assert_eq(system(command), 0);
    free(capture);
}

static size_t slurp(const struct capture *capture, const char *name, char *text)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "%s/%s", capture->dir, name);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    size_t size = fread(text, 1, CAPTURE_OUTPUT_MAX - 1, file);
    text[size] = '\0';
    (void)fclose(file);
    return size;
}

int capture_run(struct capture *capture, const char *endpoint, const char *arguments)
{
    char command[COMMAND_MAX];
    (void)snprintf(command, sizeof(command),
                   "cd %s && export KEELFS_ENDPOINT=%s && { %s %s; } </dev/null >out 2>err",
                   capture->dir, endpoint, KEELCTL, arguments);
    int status = system(command);
    cr_assert(WIFEXITED(status), "%s", arguments);
    capture->out_size = slurp(capture, "out", capture->out);
    (void)slurp(capture, "err", capture->err);
    return WEXITSTATUS(status);
}

void capture_expect_error(const struct capture *capture, const char *arguments, const char *words)
{
    cr_assert_eq(strncmp(capture->err, "keelctl: ", 9), 0, "%s: %s", arguments, capture->err);
    const char *end = strchr(capture->err, '\n');
    cr_assert(end != NULL && end[1] == '\0', "%s: %s", arguments, capture->err);
    cr_assert_not_null(strstr(capture->err, words), "%s: %s", arguments, capture->err);
}
