/* keelfs-lin: are these histories linearizable, taken together? */
#include "check.h"
#include "history.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What is shown of a key around the operation that shows the fault. */
#define SHOWN_BEFORE 15
#define SHOWN_AFTER  10

#define EXIT_INVALID 1
#define EXIT_USAGE   2

static void tell(void *ctx, const struct lin_key *key, const struct lin_fault *fault)
{
    char text[LIN_OP_TEXT_MAX];
    (void)ctx;
    printf("%s: %s: %s\n  %s\n", key->name,
           fault->verdict == LIN_INVALID ? "not linearizable" : "unknown", fault->text,
           lin_op_describe(key->ops[fault->at], text));
    size_t from = fault->at > SHOWN_BEFORE ? fault->at - SHOWN_BEFORE : 0;
    size_t to = key->count - fault->at > SHOWN_AFTER ? fault->at + SHOWN_AFTER : key->count;
    for (size_t i = from; i < to; i++) {
        printf("  %s ", i == fault->at ? "->" : "  ");
        lin_op_write(key->ops[i], stdout);
    }
}

static int read_history(struct lin_history *history, const char *path)
{
    struct err e;
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        (void)fprintf(stderr, "keelfs-lin: %s: %s\n", path, strerror(errno));
        return EXIT_USAGE;
    }
    int code = lin_history_read(history, file, path, &e);
    (void)fclose(file);
    if (code == 0)
        return 0;
    (void)fprintf(stderr, "keelfs-lin: %s\n", e.text);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    struct lin_history history = {0};
    int status = 0;
    if (argc < 2) {
        (void)fprintf(stderr, "usage: keelfs-lin HISTORY...\n");
        return EXIT_USAGE;
    }
    for (int i = 1; i < argc && status == 0; i++)
        status = read_history(&history, argv[i]);
    if (status == 0) {
        struct lin_summary summary = lin_check(&history, LIN_STEPS_DEFAULT, tell, NULL);
        printf("%zu operations on %zu keys: %zu not linearizable, %zu unknown\n", history.count,
               summary.keys, summary.invalid, summary.undecided);
        status = summary.invalid + summary.undecided > 0 ? EXIT_INVALID : 0;
    }
    lin_history_release(&history);
    return status;
}
