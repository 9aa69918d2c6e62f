/* Runs keelctl as a script does, and keeps what it printed. */
#ifndef KEELFS_TESTS_TOOLS_CAPTURE_H
#define KEELFS_TESTS_TOOLS_CAPTURE_H

#include <stddef.h>

#define CAPTURE_OUTPUT_MAX (1u << 20)

struct capture {
    char dir[32]; /* temporary, where keelctl runs */
    char out[CAPTURE_OUTPUT_MAX];
    size_t out_size;
    char err[CAPTURE_OUTPUT_MAX];
};

struct capture *capture_new(void);
void capture_free(struct capture *capture);

/* Runs it with `arguments` as a shell reads them, `endpoint` in $KEELFS_ENDPOINT.
 * Returns its exit status. */
int capture_run(struct capture *capture, const char *endpoint, const char *arguments);

/* Fails the test unless keelctl printed one line on stderr, with these words. */
void capture_expect_error(const struct capture *capture, const char *arguments, const char *words);

#endif
