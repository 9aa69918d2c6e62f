/* scenarios: runs scenarios for as long as one likes. See usage(). */
#include "random.h"
#include "scenario.h"

#include "raftstore/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS_DEFAULT 3

struct options {
    unsigned rounds;
    unsigned seconds;
    uint64_t seed;
    bool verbose;
};

static void usage(void)
{
    fprintf(stderr, "usage: scenarios [--seconds N] [--rounds N] [--seed S] [--verbose] [NAME...]\n"
                    "       scenarios --list\n");
    exit(2);
}

static int list(void)
{
    const struct scenario *scenario;
    for (size_t i = 0; (scenario = scenario_at(i)) != NULL; i++)
        printf("%s\n", scenario->name);
    return EXIT_SUCCESS;
}

/* The index of the first name. */
static int parse(int argc, char **argv, struct options *ret_options)
{
    *ret_options = (struct options){
        .rounds = 1, .seconds = SECONDS_DEFAULT, .seed = random_seed("KEELFS_SCENARIO_SEED")};
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--list") == 0)
            exit(list());
        else if (strcmp(argv[i], "--verbose") == 0)
            ret_options->verbose = true;
        else if (strcmp(argv[i], "--seconds") == 0 && more)
            ret_options->seconds = (unsigned)strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--rounds") == 0 && more)
            ret_options->rounds = (unsigned)strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0 && more)
            ret_options->seed = strtoull(argv[++i], NULL, 10);
        else
            usage();
    }
    return i;
}

static unsigned passed;
static unsigned failed;

static void run_one(const struct scenario *scenario, unsigned seconds, uint64_t seed)
{
    bool good = scenario_run(scenario, seconds, seed);
    passed += good;
    failed += !good;
}

/* By name, or all of them. False: there is none of that name. */
static bool run_round(char **names, size_t count, unsigned seconds, uint64_t seed)
{
    const struct scenario *scenario;
    for (size_t i = 0; count == 0 && (scenario = scenario_at(i)) != NULL; i++)
        run_one(scenario, seconds, seed);
    for (size_t i = 0; i < count; i++) {
        scenario = scenario_find(names[i]);
        if (scenario == NULL) {
            fprintf(stderr, "scenarios: there is no %s; --list names them\n", names[i]);
            return false;
        }
        run_one(scenario, seconds, seed);
    }
    return true;
}

int main(int argc, char **argv)
{
    struct options options;
    int first = parse(argc, argv, &options);
    log_open("scenarios", options.verbose ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, 0);
    for (unsigned round = 0; round < options.rounds; round++) {
        if (!run_round(argv + first, (size_t)(argc - first), options.seconds, options.seed + round))
            return 2;
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
