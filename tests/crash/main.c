/* crash-points: has a cluster die at every point, and come back. See usage(). */
#include "crash.h"
#include "random.h"

#include "raftstore/failpoint.h"
#include "raftstore/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define REMOVE_FDS_MAX 16
/* The load ends by itself after so long; a process that takes longer hangs. */
#define LOAD_S   20
#define HANG_MS  (2 * LOAD_S * 1000)
#define TEXT_MAX 24
/* At the first hit, which may be an idle cluster's, and at some later one. */
#define ROUNDS_DEFAULT 2
/* Of the log of a process that has failed. */
#define SHOWN_LINES 12
#define SHOWN_WIDTH 256

static const char *const points[] = {
#define X(name) #name,
    FAILPOINTS(X)
#undef X
};
#define POINT_COUNT (sizeof(points) / sizeof(points[0]))

/* How many hits a load surely makes of the points whose names begin so: after the first
 * round the one to die at is drawn from these. */
static const struct {
    const char *prefix;
    unsigned hits;
} reachable[] = {
    {"bootstrap_", CRASH_FOUNDERS},
    {"join_", 2},
    {"member_", 6},
    {"snap_", 3},
    {"gc_", 10},
    {"", 100},
};

struct tally {
    unsigned rounds;
    unsigned hits;
    unsigned failures; /* of the check afterwards, or a load that ended wrongly */
};

enum ending { ENDED_WELL, ENDED_BADLY, ENDED_BY_KILL, ENDED_NEVER };

void crash_give_up(const char *what)
{
    fprintf(stderr, "gives up: %s\n", what);
    _exit(EXIT_FAILURE);
}

void crash_cluster(const struct crash_site *site, struct cluster *cluster)
{
    cluster_init_at(cluster, CRASH_FOUNDERS, site->dir, site->owner);
    cluster_set_seed(cluster, site->seed);
    cluster->tick_ms = CRASH_TICK_MS;
    cluster->log_gc_count_limit = CRASH_LOG_LIMIT;
}

/* --- one process --- */

/* Does not return. `role` is "load" or "verify"; what it says goes to DIR/ROLE.log. */
static void become(const char *role, const struct crash_site *site, const char *failpoint)
{
    char path[CLUSTER_DIR_MAX + TEXT_MAX], owner[TEXT_MAX], seed[TEXT_MAX];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(path, sizeof(path), "%s/%s.log", site->dir, role);
    snprintf(owner, sizeof(owner), "%" PRIu32, site->owner != 0 ? site->owner : (uint32_t)getpid());
    snprintf(seed, sizeof(seed), "%" PRIu64, site->seed);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
        _exit(EXIT_FAILURE);
    if (failpoint != NULL)
        setenv("KEELFS_FAILPOINT", failpoint, 1);
    else
        unsetenv("KEELFS_FAILPOINT");
    execl("/proc/self/exe", "crash-points", "--role", role, site->dir, owner, seed, (char *)NULL);
    _exit(EXIT_FAILURE);
}

static enum ending await(pid_t pid)
{
    int fd = pidfd_open(pid, 0);
    assert(fd >= 0);
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    int ready;
    do
        ready = poll(&poll_fd, 1, HANG_MS);
    while (ready < 0 && errno == EINTR);
    if (ready == 0)
        kill(pid, SIGKILL);
    close(fd);
    int status = 0;
    waitpid(pid, &status, 0);
    if (ready == 0)
        return ENDED_NEVER;
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGKILL ? ENDED_BY_KILL : ENDED_BADLY;
    return WEXITSTATUS(status) == EXIT_SUCCESS ? ENDED_WELL : ENDED_BADLY;
}

static enum ending run_role(const char *role, struct crash_site *site, const char *failpoint)
{
    pid_t pid = fork();
    assert(pid >= 0);
    if (pid == 0)
        become(role, site, failpoint);
    if (site->owner == 0)
        site->owner = (uint32_t)pid;
    return await(pid);
}

/* --- one point --- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* The end of it. */
static void show_log(const char *dir, const char *role)
{
    char path[CLUSTER_DIR_MAX + TEXT_MAX];
    static char lines[SHOWN_LINES][SHOWN_WIDTH];
    size_t count = 0;
    snprintf(path, sizeof(path), "%s/%s.log", dir, role);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return;
    while (fgets(lines[count % SHOWN_LINES], SHOWN_WIDTH, file) != NULL)
        count++;
    fclose(file);
    for (size_t i = count > SHOWN_LINES ? count - SHOWN_LINES : 0; i < count; i++)
        printf("    %s: %s", role, lines[i % SHOWN_LINES]);
}

static unsigned draw_hit(const char *point, unsigned round, uint64_t *random)
{
    size_t i = 0;
    while (strncmp(point, reachable[i].prefix, strlen(reachable[i].prefix)) != 0)
        i++;
    return round == 0 ? 1 : 1 + (unsigned)(random_next(random) % reachable[i].hits);
}

static const char *const ending_texts[] = {[ENDED_WELL] = "ended",
                                           [ENDED_BADLY] = "failed",
                                           [ENDED_BY_KILL] = "died",
                                           [ENDED_NEVER] = "hangs"};

/* Dies there and comes back. */
static void run_round(const char *point, unsigned hit, uint64_t seed, struct tally *tally)
{
    char dir[CLUSTER_DIR_MAX] = "/tmp/keelfs-crash-XXXXXX";
    char failpoint[64];
    char *made = mkdtemp(dir);
    assert(made != NULL);
    struct crash_site site = {.dir = dir, .seed = seed};
    snprintf(failpoint, sizeof(failpoint), "%s:%u", point, hit);
    enum ending load = run_role("load", &site, failpoint);
    enum ending verify = run_role("verify", &site, NULL);
    tally->rounds++;
    tally->hits += load == ENDED_BY_KILL;
    bool good = (load == ENDED_BY_KILL || load == ENDED_WELL) && verify == ENDED_WELL;
    if (good) {
        nftw(dir, remove_one, REMOVE_FDS_MAX, FTW_DEPTH | FTW_PHYS);
        return;
    }
    tally->failures++;
    printf("%s with seed %" PRIu64 ": the load %s, the check %s; all of it is in %s\n", failpoint,
           seed, ending_texts[load], ending_texts[verify], dir);
    show_log(dir, "load");
    show_log(dir, "verify");
}

/* --- the command line --- */

struct options {
    unsigned rounds;
    uint64_t seed;
    int first_name;
};

static void usage(void)
{
    fprintf(stderr, "usage: crash-points [--rounds N] [--seed S] [POINT...]\n"
                    "       crash-points --list\n");
    exit(2);
}

static int list(void)
{
    for (size_t i = 0; i < POINT_COUNT; i++)
        printf("%s\n", points[i]);
    return EXIT_SUCCESS;
}

static int run_as(int argc, char **argv)
{
    if (argc != 6)
        usage();
    log_open("crash", LOG_LEVEL_INFO, 0);
    struct crash_site site = {.dir = argv[3],
                              .owner = (uint32_t)strtoul(argv[4], NULL, 10),
                              .seed = strtoull(argv[5], NULL, 10),
                              .seconds = LOAD_S};
    return strcmp(argv[2], "load") == 0 ? crash_load(&site) : crash_verify(&site);
}

static void parse(int argc, char **argv, struct options *ret_options)
{
    *ret_options =
        (struct options){.rounds = ROUNDS_DEFAULT, .seed = random_seed("KEELFS_CRASH_SEED")};
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--list") == 0)
            exit(list());
        else if (strcmp(argv[i], "--rounds") == 0 && more)
            ret_options->rounds = (unsigned)strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0 && more)
            ret_options->seed = strtoull(argv[++i], NULL, 10);
        else
            usage();
    }
    ret_options->first_name = i;
}

static bool is_wanted(const char *point, int argc, char **argv, int first_name)
{
    bool wanted = first_name == argc;
    for (int i = first_name; i < argc; i++)
        wanted = wanted || strcmp(argv[i], point) == 0;
    return wanted;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--role") == 0)
        return run_as(argc, argv);
    struct options options;
    unsigned passed = 0, failed = 0;
    parse(argc, argv, &options);
    uint64_t random = options.seed;
    printf("seed %" PRIu64 "\n%-26s rounds  hits\n", options.seed, "point");
    for (size_t i = 0; i < POINT_COUNT; i++) {
        struct tally tally = {0};
        if (!is_wanted(points[i], argc, argv, options.first_name))
            continue;
        for (unsigned round = 0; round < options.rounds; round++)
            run_round(points[i], draw_hit(points[i], round, &random), random_next(&random), &tally);
        bool good = tally.failures == 0 && tally.hits > 0;
        passed += good;
        failed += !good;
        printf("%-26s %6u %5u%s\n", points[i], tally.rounds, tally.hits,
               good              ? ""
               : tally.hits == 0 ? "  NEVER HIT"
                                 : "  FAILED");
        fflush(stdout);
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 && passed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
