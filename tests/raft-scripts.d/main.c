// raft-scripts PATH...: runs datadriven scripts against raft/.

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner.h"

#define PATHS_MAX 4096

struct totals {
    int passed;
    int failed;
};

static bool read_file(const char *path, struct text *content)
{
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return false;
    }
    char buf[65536];
    size_t n;
    while ((n = fread(buf, 1, sizeof(buf), f)) > 0) {
        text_add_bytes(content, buf, n);
    }
    bool good = !ferror(f);
    fclose(f);
    return good;
}

// In a process of its own: a script that trips an assert fails alone.
static bool run_apart(const char *path)
{
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        perror("fork");
        return false;
    }
    if (child == 0) {
        struct text content = {.at = NULL};
        struct text report = {.at = NULL};
        bool readable = read_file(path, &content);
        struct script_result r = {.steps = 0};
        if (readable) {
            r = run_script(text_get(&content), path, &report, NULL);
        }
        printf("%s", text_get(&report));
        if (readable && r.steps == 0) {
            printf("%s: no commands in it\n", path);
        }
        fflush(NULL);
        text_free(&content);
        text_free(&report);
        exit(readable && r.steps > 0 && r.differing == 0 ? 0 : 1);
    }
    int status;
    if (waitpid(child, &status, 0) != child) {
        return false;
    }
    if (WIFSIGNALED(status)) {
        printf("%s: ended by signal %d\n", path, WTERMSIG(status));
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void run_path(const char *path, struct totals *totals);

static void run_folder(const char *path, struct totals *totals)
{
    struct dirent **names;
    int n = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        char *inner = NULL;
        if (name[0] != '.' && asprintf(&inner, "%s/%s", path, name) > 0) {
            struct stat st;
            size_t length = strlen(name);
            bool script = length > 4 && strcmp(name + length - 4, ".txt") == 0;
            if (stat(inner, &st) == 0 && (S_ISDIR(st.st_mode) || script)) {
                run_path(inner, totals);
            }
        }
        free(inner);
        free(names[i]);
    }
    if (n >= 0) {
        free(names);
    }
}

static void run_path(const char *path, struct totals *totals)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        printf("FAIL %s: %s\n", path, strerror(errno));
        totals->failed++;
    } else if (S_ISDIR(st.st_mode)) {
        run_folder(path, totals);
    } else if (run_apart(path)) {
        printf("ok   %s\n", path);
        totals->passed++;
    } else {
        printf("FAIL %s\n", path);
        totals->failed++;
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s PATH...\n", argv[0]);
        return 2;
    }
    struct totals totals = {.passed = 0};
    for (int i = 1; i < argc; i++) {
        run_path(argv[i], &totals);
    }
    printf("%d passed, %d failed\n", totals.passed, totals.failed);
    return totals.failed == 0 && totals.passed > 0 ? 0 : 1;
}
