/* keelfs-bench: what tools/bench runs against a cluster that is up. */
#include "tools/bench.h"

#include "raftstore/log.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS_MAX     3600
#define USAGE_STATUS    2
#define SECONDS_DEFAULT 4
#define VALUE_DEFAULT   256

static const char help[] = "usage: keelfs-bench rpc --keelfs HOST:PORT,... [--etcd HOST:PORT,...]\n"
                           "       keelfs-bench files --mounts DIR,...\n"
                           "\n"
                           "  --seconds S    length of each measurement (default: 4)\n"
                           "  --value BYTES  size of values and files (default: 256)\n"
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
    default:
        return -1;
    }
}

static int usage(void)
{
    (void)fputs(help, stderr);
    return USAGE_STATUS;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"keelfs", required_argument, NULL, 'k'}, {"etcd", required_argument, NULL, 'e'},
        {"mounts", required_argument, NULL, 'm'}, {"seconds", required_argument, NULL, 's'},
        {"value", required_argument, NULL, 'v'},  {NULL, 0, NULL, 0},
    };
    struct bench_config config = {.seconds = SECONDS_DEFAULT, .value_size = VALUE_DEFAULT};
    log_open("keelfs-bench", LOG_LEVEL_ERROR, 0);
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (parse_option(&config, option, optarg) != 0)
            return usage();
    }
    if (argc - optind != 1)
        return usage();
    if (strcmp(argv[optind], "rpc") == 0 && config.keelfs.count > 0)
        return bench_rpc(&config);
    if (strcmp(argv[optind], "files") == 0 && config.mounts.count > 0)
        return bench_files(&config);
    return usage();
}
