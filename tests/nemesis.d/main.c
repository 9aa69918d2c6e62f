/* nemesis-client: one client of a cluster under attack.
 *
 * Works until the file that --until names is there, or, with --read-keys, reads
 * each key that stdin names, a line each. It ends by itself in any case: every
 * call of a node's ends within its operation timeout.
 */
#include "work.h"

#include "raftstore/log.h"
#include "raftstore/op.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_KEY_MS   60000
#define PAUSE_US_MAX  400000
#define KEYS_DEFAULT  3
#define KEYS_MAX      1000000
#define KEY_LINE_MAX  4096
#define SEED_MULTIPLY 0x9e3779b97f4a7c15u

static const char usage[] =
    "usage: nemesis-client --process N --history FILE (--endpoint HOST:PORT | --mount DIR)\n"
    "           (--until FILE [--group N] [--seed N] [--pause-us N] [--keys N] | --read-keys)\n";

struct arguments {
    const char *history;
    const char *endpoint;
    const char *mount;
    const char *until;
    bool read_keys;
    uint32_t process;
    uint32_t group;
    uint32_t pause_us;
    uint32_t keys;
    uint32_t seed;
};

static const struct option options[] = {
    {"process", required_argument, NULL, 'p'},
    {"history", required_argument, NULL, 'h'},
    {"endpoint", required_argument, NULL, 'e'},
    {"mount", required_argument, NULL, 'm'},
    {"until", required_argument, NULL, 'u'},
    {"read-keys", no_argument, NULL, 'r'},
    {"group", required_argument, NULL, 'g'},
    {"seed", required_argument, NULL, 's'},
    {"pause-us", required_argument, NULL, 'w'},
    {"keys", required_argument, NULL, 'k'},
    {NULL, 0, NULL, 0},
};

static bool parse_number(const char *text, uint32_t max, uint32_t *ret_number)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || text[0] < '0' || text[0] > '9' || number > max)
        return false;
    *ret_number = (uint32_t)number;
    return true;
}

static bool parse_option(struct arguments *arguments, int option)
{
    switch (option) {
    case 'p':
        return parse_number(optarg, UINT32_MAX, &arguments->process);
    case 'h':
        arguments->history = optarg;
        return true;
    case 'e':
        arguments->endpoint = optarg;
        return true;
    case 'm':
        arguments->mount = optarg;
        return true;
    case 'u':
        arguments->until = optarg;
        return true;
    case 'r':
        arguments->read_keys = true;
        return true;
    case 'g':
        return parse_number(optarg, UINT32_MAX, &arguments->group);
    case 'k':
        return parse_number(optarg, KEYS_MAX, &arguments->keys) && arguments->keys > 0;
    case 's':
        return parse_number(optarg, UINT32_MAX, &arguments->seed);
    case 'w':
        return parse_number(optarg, PAUSE_US_MAX, &arguments->pause_us);
    default:
        return false;
    }
}

static bool parse_arguments(struct arguments *arguments, int argc, char **argv)
{
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (!parse_option(arguments, option))
            return false;
    }
    return optind == argc && arguments->history != NULL &&
           (arguments->endpoint != NULL) != (arguments->mount != NULL) &&
           (arguments->until != NULL) != arguments->read_keys;
}

static int read_keys(struct work *work)
{
    char key[KEY_LINE_MAX];
    while (fgets(key, sizeof(key), stdin) != NULL) {
        key[strcspn(key, "\n")] = '\0';
        if (!work_read_key(work, key, READ_KEY_MS)) {
            (void)fprintf(stderr, "nemesis-client: %s cannot be read, for %d s\n", key,
                          READ_KEY_MS / 1000);
            return EXIT_FAILURE;
        }
    }
    return EXIT_SUCCESS;
}

static void work_until(struct work *work, const char *file)
{
    while (access(file, F_OK) != 0)
        work_step(work);
}

static int run(const struct arguments *arguments, FILE *history)
{
    struct work work = {
        .process = arguments->process,
        .group = arguments->group,
        .pause_us = arguments->pause_us,
        .keys = arguments->keys,
        .random = ((uint64_t)arguments->seed << 32 | arguments->process) * SEED_MULTIPLY | 1u,
        .history = history,
    };
    int status = EXIT_SUCCESS;
    work.access = arguments->endpoint != NULL
                      ? access_by_rpc(arguments->endpoint)
                      : access_by_mount(arguments->mount, arguments->process);
    if (arguments->read_keys)
        status = read_keys(&work);
    else
        work_until(&work, arguments->until);
    work.access->ops->close(work.access);
    return status;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.keys = KEYS_DEFAULT};
    log_open("nemesis-client", LOG_LEVEL_ERROR, 0);
    if (!parse_arguments(&arguments, argc, argv)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    FILE *history = fopen(arguments.history, "a");
    if (history == NULL) {
        (void)fprintf(stderr, "nemesis-client: %s: %s\n", arguments.history, strerror(errno));
        return EXIT_FAILURE;
    }
    /* What was told so far is kept when this process is killed. */
    (void)setvbuf(history, NULL, _IOLBF, BUFSIZ);
    int status = run(&arguments, history);
    if (fclose(history) != 0) {
        (void)fprintf(stderr, "nemesis-client: %s: %s\n", arguments.history, strerror(errno));
        return EXIT_FAILURE;
    }
    return status;
}
