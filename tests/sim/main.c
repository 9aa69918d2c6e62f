// raft-sim: runs the simulation. See usage().

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "world.h"

#define JOBS_MAX 64

struct options {
    uint64_t seed;
    uint64_t runs;
    uint64_t jobs;
    bool trace;
};

static volatile sig_atomic_t current_high;
static volatile sig_atomic_t current_low;

// An assert of raft/ has failed: say in which run.
static void on_abort(int signal_number)
{
    char text[64];
    uint64_t seed = (uint64_t)(uint32_t)current_high << 32 | (uint32_t)current_low;
    int n = snprintf(text, sizeof(text), "seed %" PRIu64 ": signal %d\n", seed, signal_number);
    ssize_t written = write(STDOUT_FILENO, text, (size_t)n);
    (void)written;
    _exit(1);
}

static void usage(void)
{
    fprintf(stderr, "usage: raft-sim [--seed N] [--runs N] [--jobs N] [--trace]"
#ifdef KEEL_RAFT_FAULTS
                    " [--fault NAME]"
#endif
                    "\n");
    exit(2);
}

#ifdef KEEL_RAFT_FAULTS
static void set_fault(const char *name)
{
    static const char *const names[] = {
#define X(fault) #fault,
        RAFT_FAULTS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], name) == 0) {
            raft_fault = (enum raft_fault)i;
            return;
        }
    }
    fprintf(stderr, "no fault is called %s; there are:\n", name);
    for (size_t i = 1; i < sizeof(names) / sizeof(names[0]); i++) {
        fprintf(stderr, "  %s\n", names[i]);
    }
    exit(2);
}
#endif

static struct options parse(int argc, char **argv)
{
    struct options o = {.seed = 1, .runs = 1, .jobs = 0};
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--trace") == 0) {
            o.trace = true;
        } else if (strcmp(argv[i], "--seed") == 0 && more) {
            o.seed = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--runs") == 0 && more) {
            o.runs = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--jobs") == 0 && more) {
            o.jobs = strtoull(argv[++i], NULL, 10);
#ifdef KEEL_RAFT_FAULTS
        } else if (strcmp(argv[i], "--fault") == 0 && more) {
            set_fault(argv[++i]);
#endif
        } else {
            usage();
        }
    }
    if (o.jobs == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        o.jobs = cores > 0 ? (uint64_t)cores : 1;
    }
    if (o.jobs > JOBS_MAX) {
        o.jobs = JOBS_MAX;
    }
    return o;
}

// Every `jobs`-th seed from the `offset`-th on, until one fails.
static int run_share(const struct options *o, uint64_t offset)
{
    for (uint64_t i = offset; i < o->runs; i += o->jobs) {
        uint64_t seed = o->seed + i;
        current_high = (sig_atomic_t)(seed >> 32);
        current_low = (sig_atomic_t)(uint32_t)seed;
        struct world *w = world_new(seed, o->trace ? stdout : NULL);
        bool good = world_run(w);
        if (!good) {
            printf("seed %" PRIu64 ": step %" PRIu64 ": %s\n", seed, w->step, w->failure);
        }
        world_free(w);
        if (!good) {
            return 1;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct options o = parse(argc, argv);
    signal(SIGABRT, on_abort);
    signal(SIGSEGV, on_abort);
    if (o.runs < o.jobs || o.trace) {
        o.jobs = 1;
    }
    int failed = 0;
    if (o.jobs == 1) {
        failed = run_share(&o, 0);
    } else {
        for (uint64_t job = 0; job < o.jobs; job++) {
            pid_t child = fork();
            if (child == 0) {
                int rc = run_share(&o, job);
                fflush(NULL);
                _exit(rc);
            }
            if (child < 0) {
                perror("fork");
                return 1;
            }
        }
        for (uint64_t job = 0; job < o.jobs; job++) {
            int status = 1;
            wait(&status);
            failed |= status != 0;
        }
    }
    if (!failed && !o.trace) {
        printf("%" PRIu64 " runs from seed %" PRIu64 ", no violation\n", o.runs, o.seed);
    }
    return failed ? 1 : 0;
}
