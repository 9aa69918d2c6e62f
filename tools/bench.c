/* keelfs-bench: what tools/bench runs against a cluster that is up. */
#include "tools/bench.h"

#include "tools/bench_crew.h"
#include "tools/bench_load.h"

#include "raftstore/log.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS_MAX       86400
#define USAGE_STATUS      2
#define SECONDS_DEFAULT   4
#define WAIT_DEFAULT      600
#define SEEN_DEFAULT      500
#define VALUE_DEFAULT     256
#define KEYS_DEFAULT      1000
#define IN_FLIGHT_DEFAULT 64
#define PREFIX_DEFAULT    "fill"

static const char help[] =
    "usage: keelfs-bench rpc --keelfs HOST:PORT,... [--etcd HOST:PORT,...]\n"
    "       keelfs-bench files --mounts DIR,...\n"
    "       keelfs-bench round --mounts DIR --op OP [--processes N]\n"
    "       keelfs-bench seen --mounts DIR,DIR [--count N]\n"
    "       keelfs-bench fill|gets --keelfs HOST:PORT,... [--keys N] [--count N]\n"
    "                              [--in-flight N] [--prefix NAME]\n"
    "       keelfs-bench await --keelfs HOST:PORT,... --event EVENT\n"
    "\n"
    "  --seconds S    length of each measurement (default: 4); the longest that\n"
    "                 fill and await take (default: 600)\n"
    "  --value BYTES  size of values and files (default: 256)\n"
    "\n"
    "round does OP for the time said, below DIR: create, overwrite, replace, read, append,\n"
    "stat or ls; with as many processes at once as said (default: 1).\n"
    "\n"
    "seen changes a file on the first mount and opens it on the other, count times.\n"
    "\n"
    "fill puts, to all the nodes named, and gets gets it; a SIGTERM ends it early:\n"
    "  --keys N       different keys (default: 1000)\n"
    "  --count N      puts in all (default: as many as the time allows)\n"
    "  --in-flight N  calls at once (default: 64)\n"
    "  --prefix NAME  of the keys (default: fill)\n"
    "\n"
    "await prints when EVENT was, in microseconds since 1970:\n"
    "  get, put       every node named answered one\n"
    "  leader         one of the nodes leads\n"
    "  applied        the others have applied what the first one had\n"
    "\n"
    "tools/bench starts what is to be measured and calls this.\n";

static int parse_list(char *text, struct bench_list *list)
{
    char *save;
    for (char *at = strtok_r(text, ",", &save); at != NULL; at = strtok_r(NULL, ",", &save)) {
        if (list->count == BENCH_LIST_MAX)
            return -1;
        list->items[list->count++] = at;
    }
    return list->count > 0 ? 0 : -1;
}

static int parse_number(const char *text, uint32_t max, uint32_t *ret_value)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || *end != '\0' || text[0] < '0' || text[0] > '9' || value == 0 || value > max)
        return -1;
    *ret_value = (uint32_t)value;
    return 0;
}

static int parse_option(struct bench_config *config, int option, char *value)
{
    switch (option) {
    case 'k':
        return parse_list(value, &config->keelfs);
    case 'e':
        return parse_list(value, &config->etcd);
    case 'm':
        return parse_list(value, &config->mounts);
    case 's':
        return parse_number(value, SECONDS_MAX, &config->seconds);
    case 'v':
        return parse_number(value, BENCH_VALUE_MAX, &config->value_size);
    case 'K':
        return parse_number(value, UINT32_MAX, &config->keys);
    case 'c':
        return parse_number(value, UINT32_MAX, &config->count);
    case 'i':
        return parse_number(value, BENCH_IN_FLIGHT_MAX, &config->in_flight);
    case 'p':
        config->prefix = value;
        return value[0] != '\0' && strlen(value) <= BENCH_PREFIX_MAX ? 0 : -1;
    case 'E':
        config->event = value;
        return 0;
    case 'o':
        config->op = value;
        return 0;
    case 'P':
        return parse_number(value, BENCH_CREW_MAX, &config->processes);
    default:
        return -1;
    }
}

static int usage(void)
{
    (void)fputs(help, stderr);
    return USAGE_STATUS;
}

static int parse_options(struct bench_config *config, int argc, char **argv)
{
    static const struct option options[] = {
        {"keelfs", required_argument, NULL, 'k'},
        {"etcd", required_argument, NULL, 'e'},
        {"mounts", required_argument, NULL, 'm'},
        {"seconds", required_argument, NULL, 's'},
        {"value", required_argument, NULL, 'v'},
        {"keys", required_argument, NULL, 'K'},
        {"count", required_argument, NULL, 'c'},
        {"in-flight", required_argument, NULL, 'i'},
        {"prefix", required_argument, NULL, 'p'},
        {"event", required_argument, NULL, 'E'},
        {"op", required_argument, NULL, 'o'},
        {"processes", required_argument, NULL, 'P'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (parse_option(config, option, optarg) != 0)
            return -1;
    }
    return argc - optind == 1 ? 0 : -1;
}

/* A command, what it must be told, and how long it takes when that is not said. */
static const struct command {
    const char *name;
    int (*run)(const struct bench_config *config);
    size_t mounts; /* at least */
    uint32_t seconds;
    uint32_t count;
    bool needs_nodes;
    bool needs_op;
    bool needs_event;
} commands[] = {
    {.name = "rpc", .run = bench_rpc, .seconds = SECONDS_DEFAULT, .needs_nodes = true},
    {.name = "files", .run = bench_files, .seconds = SECONDS_DEFAULT, .mounts = 1},
    {.name = "round", .run = bench_round, .seconds = 1, .mounts = 1, .needs_op = true},
    {.name = "seen", .run = bench_seen, .count = SEEN_DEFAULT, .mounts = 2},
    {.name = "fill", .run = bench_fill, .seconds = WAIT_DEFAULT, .needs_nodes = true},
    {.name = "gets", .run = bench_gets, .seconds = WAIT_DEFAULT, .needs_nodes = true},
    {.name = "await",
     .run = bench_await,
     .seconds = WAIT_DEFAULT,
     .needs_nodes = true,
     .needs_event = true},
};

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static bool has_all(const struct command *command, const struct bench_config *config)
{
    return !(command->needs_nodes && config->keelfs.count == 0) &&
           config->mounts.count >= command->mounts && !(command->needs_op && config->op == NULL) &&
           !(command->needs_event && config->event == NULL);
}

int main(int argc, char **argv)
{
    struct bench_config config = {
        .value_size = VALUE_DEFAULT,
        .keys = KEYS_DEFAULT,
        .in_flight = IN_FLIGHT_DEFAULT,
        .prefix = PREFIX_DEFAULT,
        .processes = 1,
    };
    log_open("keelfs-bench", LOG_LEVEL_ERROR, 0);
    if (parse_options(&config, argc, argv) != 0)
        return usage();
    const struct command *command = find_command(argv[optind]);
    if (command == NULL || !has_all(command, &config))
        return usage();
    if (config.seconds == 0)
        config.seconds = command->seconds;
    if (config.count == 0)
        config.count = command->count;
    return command->run(&config);
}
