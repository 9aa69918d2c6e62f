/* model-stress: processes on several mounts do what comes to their mind, and all of
 * it must be what the model allows.
 *
 * Works in windows: the processes get the word, each makes its calls and closes what
 * it has opened; then what is there is read through every mount, must be the same on
 * all, and there must be an order of the calls that leads to it (search.h). The first
 * window for which there is none is shown, and ends the run. What is wrong comes last, in
 * few lines: reports are cut to their ends.
 */
#include "act.h"
#include "observe.h"
#include "search.h"
#include "worker.h"

#include "raftstore/log.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Windows that share a directory. */
#define WINDOWS_A_ROOT 40
/* Texts that are kept from window to window. */
#define TEXTS_KEPT_MAX 1000
/* Longer than any call may take, and than a cluster may need to come back. */
#define WINDOW_MS_MAX  90000
#define OBSERVE_MS_MAX 60000
#define RETRY_NS       100000000
#define NS_PER_MS      1000000u
/* Lines of the verdict. */
#define VERDICT_CALLS_MAX 24

static const char usage[] =
    "usage: model-stress --mount DIR --mount DIR --mount DIR [--seconds N] [--seed N]\n"
    "           [--settle-ms N]\n";

/* A process and its pipe's ends here. Its window is shared memory. */
struct runner {
    pid_t pid;
    int go;
    int done;
    struct worker_window *window;
};

struct stress {
    const char *mounts[MODEL_NODES];
    size_t mount_count;
    uint64_t seed;
    uint64_t seconds;
    uint64_t settle_ms; /* what has an unknown outcome has come or will not, by then */
    uint64_t number;    /* of the window */
    struct runner runners[MODEL_PROCESSES];
    char (*roots)[ACT_PATH_MAX]; /* shared: of each node */
    struct texts texts;
    struct search_window window;
    struct search_result result;
    struct model_op ops[MODEL_PROCESSES * MODEL_OPS_MAX];
    uint64_t calls;
    uint64_t unknown;
    uint64_t stale; /* ended with ESTALE; see state.c */
    uint64_t undecided;
    uint64_t steps_longest;
    FILE *verdict; /* what is wrong, to be printed at the end */
};

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / NS_PER_MS;
}

static void sleep_ns(long ns)
{
    const struct timespec pause = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};

    (void)nanosleep(&pause, NULL);
}

/* --- processes --- */

static void run_worker(struct worker_window *window, int go, int done)
{
    char byte;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)umask(0);
    while (read(go, &byte, 1) == 1) {
        worker_run(window);
        if (write(done, "d", 1) != 1)
            break;
    }
    _exit(0);
}

static void *share(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert(memory != MAP_FAILED);
    return memory;
}

static void start_runner(struct stress *stress, uint8_t process)
{
    struct runner *runner = &stress->runners[process];
    int go[2], done[2];

    runner->window = share(sizeof(*runner->window));
    runner->window->seed = stress->seed;
    runner->window->process = process;
    runner->window->root = stress->roots[process % MODEL_NODES];
    int failed = pipe(go) + pipe(done);
    assert(failed == 0);
    runner->go = go[1];
    runner->done = done[0];
    runner->pid = fork();
    assert(runner->pid >= 0);
    if (runner->pid == 0) {
        for (uint8_t i = 0; i <= process; i++)
            close(stress->runners[i].go); /* or their ends would not be seen */
        run_worker(runner->window, go[0], done[1]);
    }
    close(go[0]);
    close(done[1]);
}

static void stop_runners(struct stress *stress)
{
    for (size_t i = 0; i < MODEL_PROCESSES; i++)
        close(stress->runners[i].go);
    for (size_t i = 0; i < MODEL_PROCESSES; i++)
        (void)waitpid(stress->runners[i].pid, NULL, 0);
}

/* False, with words: one does not come back. */
static bool run_window(struct stress *stress)
{
    uint64_t end_ms = now_ms() + WINDOW_MS_MAX;

    for (size_t i = 0; i < MODEL_PROCESSES; i++) {
        stress->runners[i].window->number = stress->number;
        if (write(stress->runners[i].go, "g", 1) != 1)
            return false;
    }
    for (size_t i = 0; i < MODEL_PROCESSES; i++) {
        struct pollfd wait = {.fd = stress->runners[i].done, .events = POLLIN};
        uint64_t now = now_ms();
        char byte;
        if (poll(&wait, 1, now < end_ms ? (int)(end_ms - now) : 0) != 1 ||
            read(wait.fd, &byte, 1) != 1) {
            (void)fprintf(stress->verdict,
                          "process %zu does not come back from a call, window %llu\n", i,
                          (unsigned long long)stress->number);
            return false;
        }
    }
    return true;
}

/* Returns how many have an unknown outcome. */
static size_t collect_ops(struct stress *stress)
{
    size_t unknown = 0;

    stress->window.ops = stress->ops;
    stress->window.count = 0;
    for (size_t i = 0; i < MODEL_PROCESSES; i++) {
        const struct worker_window *window = stress->runners[i].window;
        for (size_t j = 0; j < window->count; j++) {
            unknown += window->ops[j].is_unknown;
            stress->stale += window->ops[j].error == ESTALE;
            stress->ops[stress->window.count++] = window->ops[j];
        }
    }
    stress->calls += stress->window.count;
    stress->unknown += unknown;
    return unknown;
}

/* --- what is there --- */

static bool observe_once(struct stress *stress, const char *root, struct state *ret_state,
                         char why[OBSERVE_WHY_MAX])
{
    char path[ACT_PATH_MAX];
    int fd = act_open_root(root, path);

    if (fd < 0) {
        (void)snprintf(why, OBSERVE_WHY_MAX, "%s", strerror(errno));
        return false;
    }
    bool is_fine = observe(path, &stress->texts, ret_state, why);
    int saved = errno;
    close(fd);
    errno = saved;
    return is_fine;
}

/* Through one mount, as soon as that answers. */
static bool observe_mount(struct stress *stress, size_t node, struct state *ret_state)
{
    uint64_t end_ms = now_ms() + OBSERVE_MS_MAX;
    char why[OBSERVE_WHY_MAX];

    while (!observe_once(stress, stress->roots[node], ret_state, why)) {
        if (!act_is_unknown(errno) || now_ms() >= end_ms) {
            (void)fprintf(stress->verdict, "mount %zu cannot be read: %s\n", node + 1, why);
            return false;
        }
        sleep_ns(RETRY_NS);
    }
    return true;
}

static bool observe_all(struct stress *stress, struct state *ret_state)
{
    static struct state other;

    if (!observe_mount(stress, 0, ret_state))
        return false;
    for (size_t node = 1; node < stress->mount_count; node++) {
        if (!observe_mount(stress, node, &other))
            return false;
        if (state_fits(ret_state, &other))
            continue;
        (void)fprintf(stress->verdict, "mounts 1 and %zu differ, while nothing changes; on 1:\n",
                      node + 1);
        observe_show(ret_state, &stress->texts, stress->verdict);
        (void)fprintf(stress->verdict, "on %zu:\n", node + 1);
        observe_show(&other, &stress->texts, stress->verdict);
        return false;
    }
    return true;
}

/* 0 or errno, which is set. */
static int make_root(const struct stress *stress)
{
    char path[ACT_PATH_MAX];
    int fd = act_open_root(stress->mounts[0], path);

    if (fd < 0)
        return errno;
    errno = 0;
    if (mkdirat(fd, strrchr(stress->roots[0], '/') + 1, 0755) != 0 && errno == EEXIST)
        errno = 0;
    int error = errno;
    close(fd);
    errno = error;
    return error;
}

/* A directory for the next windows, made through a mount that answers. */
static bool begin_root(struct stress *stress)
{
    uint64_t end_ms = now_ms() + OBSERVE_MS_MAX;

    for (size_t node = 0; node < stress->mount_count; node++)
        (void)snprintf(stress->roots[node], ACT_PATH_MAX, "%s/stress-%llu-%llu",
                       stress->mounts[node], (unsigned long long)stress->seed,
                       (unsigned long long)stress->number);
    while (make_root(stress) != 0) {
        if (!act_is_unknown(errno) || now_ms() >= end_ms) {
            (void)fprintf(stress->verdict, "%s cannot be made: %s\n", stress->roots[0],
                          strerror(errno));
            return false;
        }
        sleep_ns(RETRY_NS);
    }
    return true;
}

/* --- what is said of it --- */

static int compare_calls(const void *one, const void *other)
{
    const struct model_op *const *a = one, *const *b = other;

    return (*a)->call_ns < (*b)->call_ns ? -1 : 1;
}

/* As they were called. */
static void sort_calls(const struct search_window *window, const struct model_op **sorted)
{
    for (size_t i = 0; i < window->count; i++)
        sorted[i] = &window->ops[i];
    qsort(sorted, window->count, sizeof(sorted[0]), compare_calls);
}

static void show_call(const struct stress *stress, const struct model_op *op, uint64_t begin_ns,
                      FILE *out)
{
    char text[MODEL_OP_TEXT_MAX];
    bool is_placed = stress->result.is_placed[op - stress->window.ops];

    (void)fprintf(out, "%s p%u (n%u) %8.1f %8.1f  %s\n", is_placed ? " " : ">", op->process,
                  op->node + 1u, (double)(op->call_ns - begin_ns) / 1000,
                  (double)(op->return_ns - begin_ns) / 1000, model_op_describe(op, text));
}

static void show_window(const struct stress *stress)
{
    const struct search_window *window = &stress->window;
    const struct model_op *sorted[MODEL_PROCESSES * MODEL_OPS_MAX];

    sort_calls(window, sorted);
    printf("before:\n");
    observe_show(&window->before, &stress->texts, stdout);
    printf("calls: process (its mount), begin and end in us; those marked with > have no place "
           "in the farthest order\n");
    for (size_t i = 0; i < window->count; i++)
        show_call(stress, sorted[i], sorted[0]->call_ns, stdout);
    printf("after the farthest order (%zu of %zu calls):\n", stress->result.placed, window->count);
    observe_show(&stress->result.state, &stress->texts, stdout);
    printf("what there is:\n");
    observe_show(&window->after, &stress->texts, stdout);
}

static uint64_t end_of(const struct model_op *op)
{
    return op->is_unknown ? UINT64_MAX : op->return_ns;
}

/* Of the calls without a place the one that ended first: no order gets past it. */
static const struct model_op *find_blocker(const struct stress *stress)
{
    const struct search_window *window = &stress->window;
    const struct model_op *blocker = NULL;

    for (size_t i = 0; i < window->count; i++) {
        if (!stress->result.is_placed[i] &&
            (blocker == NULL || end_of(&window->ops[i]) < end_of(blocker)))
            blocker = &window->ops[i];
    }
    return blocker;
}

/* It, and what went on at the same time. */
static void tell_of_blocker(const struct stress *stress)
{
    const struct search_window *window = &stress->window;
    const struct model_op *sorted[MODEL_PROCESSES * MODEL_OPS_MAX];
    const struct model_op *blocker = find_blocker(stress);
    size_t shown = 0;

    if (blocker == NULL || end_of(blocker) == UINT64_MAX) {
        (void)fprintf(stress->verdict, "every call has a place, but what they leave is not what "
                                       "there is:\n");
        observe_show(&window->after, &stress->texts, stress->verdict);
        return;
    }
    sort_calls(window, sorted);
    (void)fprintf(stress->verdict,
                  "%zu of %zu calls have a place, and of the others (>) p%u's ended first; at the "
                  "same time as that:\n",
                  stress->result.placed, window->count, blocker->process);
    for (size_t i = 0; i < window->count && shown < VERDICT_CALLS_MAX; i++) {
        if (sorted[i]->call_ns > blocker->return_ns || end_of(sorted[i]) < blocker->call_ns)
            continue;
        show_call(stress, sorted[i], sorted[0]->call_ns, stress->verdict);
        shown++;
    }
}

static bool check_window(struct stress *stress)
{
    search_window(&stress->window, SEARCH_STEPS_MAX, &stress->result);
    if (stress->result.steps > stress->steps_longest)
        stress->steps_longest = stress->result.steps;
    if (stress->result.verdict == SEARCH_UNDECIDED)
        stress->undecided++;
    if (stress->result.verdict != SEARCH_INVALID)
        return true;
    show_window(stress);
    (void)fprintf(stress->verdict, "window %llu of seed %llu is not what a file system does (%s)\n",
                  (unsigned long long)stress->number, (unsigned long long)stress->seed,
                  stress->roots[0]);
    tell_of_blocker(stress);
    return false;
}

/* --- the run --- */

static bool step(struct stress *stress)
{
    if (stress->number % WINDOWS_A_ROOT == 0 && !begin_root(stress))
        return false;
    if (stress->number % WINDOWS_A_ROOT == 0 || stress->texts.count > TEXTS_KEPT_MAX) {
        texts_clear(&stress->texts);
        if (!observe_all(stress, &stress->window.before))
            return false;
    }
    if (!run_window(stress))
        return false;
    if (collect_ops(stress) > 0)
        sleep_ns((long)(stress->settle_ms * NS_PER_MS));
    if (!observe_all(stress, &stress->window.after)) {
        stress->result = (struct search_result){.state = stress->window.before};
        show_window(stress);
        return false;
    }
    bool is_fine = check_window(stress);
    stress->window.before = stress->window.after;
    stress->number++;
    return is_fine;
}

static bool run(struct stress *stress)
{
    uint64_t end_ms = now_ms() + stress->seconds * 1000;
    bool is_fine = true;
    char *verdict = NULL;
    size_t verdict_size;

    stress->verdict = open_memstream(&verdict, &verdict_size);
    assert(stress->verdict != NULL);
    stress->roots = share(MODEL_NODES * sizeof(stress->roots[0]));
    stress->window.texts = &stress->texts;
    for (uint8_t i = 0; i < MODEL_PROCESSES; i++)
        start_runner(stress, i);
    while (is_fine && now_ms() < end_ms)
        is_fine = step(stress);
    stop_runners(stress);
    texts_release(&stress->texts);
    printf("%llu windows, %llu calls: %llu with an unknown outcome, %llu stale; the longest search "
           "took %llu steps, %llu were given up\n",
           (unsigned long long)stress->number, (unsigned long long)stress->calls,
           (unsigned long long)stress->unknown, (unsigned long long)stress->stale,
           (unsigned long long)stress->steps_longest, (unsigned long long)stress->undecided);
    (void)fclose(stress->verdict);
    (void)fputs(verdict, stdout);
    free(verdict);
    return is_fine;
}

static bool parse_number(const char *text, uint64_t *ret_number)
{
    char *end;

    errno = 0;
    *ret_number = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' && text[0] >= '0' && text[0] <= '9';
}

static bool parse(struct stress *stress, int argc, char **argv)
{
    static const struct option options[] = {
        {"mount", required_argument, NULL, 'm'},
        {"seconds", required_argument, NULL, 't'},
        {"seed", required_argument, NULL, 's'},
        {"settle-ms", required_argument, NULL, 'w'},
        {NULL, 0, NULL, 0},
    };
    bool is_right = true;
    int option;

    while (is_right && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'm' && stress->mount_count < MODEL_NODES)
            stress->mounts[stress->mount_count++] = optarg;
        else if (option == 't')
            is_right = parse_number(optarg, &stress->seconds);
        else if (option == 's')
            is_right = parse_number(optarg, &stress->seed);
        else if (option == 'w')
            is_right = parse_number(optarg, &stress->settle_ms);
        else
            is_right = false;
    }
    return is_right && optind == argc && stress->mount_count == MODEL_NODES;
}

int main(int argc, char **argv)
{
    static struct stress stress = {.seconds = 60, .seed = 1, .settle_ms = 3000};

    log_open("model-stress", LOG_LEVEL_ERROR, 0);
    (void)setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    (void)signal(SIGPIPE, SIG_IGN);
    if (!parse(&stress, argc, argv)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    return run(&stress) ? EXIT_SUCCESS : EXIT_FAILURE;
}
