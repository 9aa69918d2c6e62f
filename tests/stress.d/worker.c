#include "worker.h"

#include "act.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PATHS_MAX      4 /* that a window is about */
#define OFFSET_MAX     10
#define LENGTH_MAX     12
#define WEIGHT_MAX     4
#define TIME_FIRST     1000
#define OPS_MIN        4
#define LONG_ONE_OF    4 /* windows with as many calls as there may be */
#define ROOT_TRIES_MAX 600
#define ROOT_RETRY_NS  50000000
#define CLOSES_MAX     MODEL_HANDLES

static const struct model_path paths[] = {
    {NAME_NONE, NAME_a}, {NAME_NONE, NAME_b}, {NAME_NONE, NAME_d},
    {NAME_NONE, NAME_e}, {NAME_NONE, NAME_s}, {NAME_d, NAME_x},
    {NAME_d, NAME_y},    {NAME_e, NAME_x},    {NAME_e, NAME_y},
};
#define PATH_COUNT (sizeof(paths) / sizeof(paths[0]))

/* What the processes of a window have in common. */
struct theme {
    uint8_t paths[PATHS_MAX];
    uint8_t path_count;
    uint8_t weights[KIND_COUNT];
    uint8_t ops;
    bool is_writer; /* this process, of its node's */
};

struct worker {
    struct worker_window *window;
    char root[ACT_PATH_MAX];
    struct theme theme;
    uint64_t random;
    uint32_t made; /* values so far */
    int fds[MODEL_HANDLES];
    uint32_t flags[MODEL_HANDLES];
};

uint32_t random_below(uint64_t *state, uint32_t limit)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)((((*state * 0x2545f4914f6cdd1du) >> 32) * limit) >> 32);
}

uint64_t random_seed(uint64_t seed, uint64_t window, uint64_t lane)
{
    uint64_t state = (seed * 0x9e3779b97f4a7c15u ^ window) * 0xbf58476d1ce4e5b9u ^ lane;

    state = (state ^ state >> 29) * 0x94d049bb133111ebu;
    return state | 1;
}

static void draw_theme(struct theme *theme, const struct worker_window *window)
{
    uint64_t random = random_seed(window->seed, window->number, UINT8_MAX);

    theme->path_count = (uint8_t)(2 + random_below(&random, PATHS_MAX - 1));
    for (size_t i = 0; i < theme->path_count; i++)
        theme->paths[i] = (uint8_t)random_below(&random, PATH_COUNT);
    for (size_t i = 0; i < KIND_COUNT; i++)
        theme->weights[i] = (uint8_t)random_below(&random, WEIGHT_MAX);
    theme->weights[KIND_STAT]++;
    /* What a window is often about: files that are open. */
    if (random_below(&random, 2) == 0) {
        theme->weights[KIND_OPEN] = 2 * WEIGHT_MAX;
        theme->weights[KIND_CLOSE]++;
        theme->weights[KIND_READ] += WEIGHT_MAX;
        theme->weights[KIND_WRITE] += WEIGHT_MAX;
    }
    theme->ops = (uint8_t)(OPS_MIN + random_below(&random, MODEL_OPS_MAX / 2 - OPS_MIN));
    if (random_below(&random, LONG_ONE_OF) == 0)
        theme->ops = MODEL_OPS_MAX - CLOSES_MAX;
    for (size_t node = 0; node < MODEL_NODES; node++) {
        size_t writer = node + MODEL_NODES * random_below(&random, 2);
        if (window->process % MODEL_NODES == node)
            theme->is_writer = window->process == writer;
    }
}

static struct model_path draw_path(struct worker *worker)
{
    return paths[worker->theme.paths[random_below(&worker->random, worker->theme.path_count)]];
}

/* A value that nobody else writes in this window. */
static void draw_value(struct worker *worker, struct model_op *op)
{
    char text[MODEL_DATA_MAX + 1];
    int size =
        snprintf(text, sizeof(text), "%c%u.", 'A' + worker->window->process, worker->made++ % 1000);

    op->data_size = (uint8_t)size;
    memcpy(op->data, text, (size_t)size);
}

static void draw_open(struct worker *worker, struct model_op *op)
{
    uint64_t *random = &worker->random;
    bool writes = worker->theme.is_writer && worker->fds[0] < 0 && random_below(random, 3) > 0;

    op->handle = writes ? 0 : 1;
    op->number = 0600 + random_below(random, 0100);
    op->flags = O_RDONLY;
    if (writes) {
        op->flags = random_below(random, 2) ? O_RDWR : O_WRONLY;
        op->flags |= random_below(random, 3) == 0 ? O_TRUNC : 0;
        op->flags |= random_below(random, 3) == 0 ? O_APPEND : 0;
    }
    if (random_below(random, 2))
        op->flags |= O_CREAT | (random_below(random, 3) == 0 ? O_EXCL : 0);
}

static void draw_list(struct worker *worker, struct model_op *op)
{
    uint8_t name = op->path.dir;

    (void)worker;
    op->path = (struct model_path){NAME_NONE, name};
}

static void draw_details(struct worker *worker, struct model_op *op)
{
    static const uint32_t rename_flags[] = {0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};
    uint64_t *random = &worker->random;

    switch ((enum model_kind)op->kind) {
    case KIND_OPEN:
        draw_open(worker, op);
        break;
    case KIND_LIST:
        draw_list(worker, op);
        break;
    case KIND_WRITE:
        op->number = worker->flags[op->handle] & O_APPEND ? 0 : random_below(random, OFFSET_MAX);
        draw_value(worker, op);
        break;
    case KIND_SYMLINK:
    case KIND_SETXATTR:
        draw_value(worker, op);
        break;
    case KIND_RENAME:
        op->flags = rename_flags[random_below(random, 4)];
        break;
    case KIND_MKDIR:
        op->number = 0700 + random_below(random, 0100);
        break;
    case KIND_CHMOD:
        op->number = 0600 + random_below(random, 0200);
        break;
    case KIND_UTIMENS:
        op->number = TIME_FIRST + MODEL_PROCESSES * worker->made++ + worker->window->process;
        break;
    case KIND_TRUNCATE:
        op->number = random_below(random, LENGTH_MAX);
        break;
    default:
        break;
    }
}

/* Whether the process can ask for that now; chooses the handle. */
static bool is_possible(struct worker *worker, struct model_op *op)
{
    const int *fds = worker->fds;

    op->handle = fds[1] < 0 || (fds[0] >= 0 && random_below(&worker->random, 2)) ? 0 : 1;
    switch ((enum model_kind)op->kind) {
    case KIND_OPEN:
        return fds[1] < 0 || (worker->theme.is_writer && fds[0] < 0);
    case KIND_WRITE:
    case KIND_FTRUNCATE:
    case KIND_FSYNC:
        op->handle = 0;
        return fds[0] >= 0;
    case KIND_READ:
        return fds[op->handle] >= 0 && (worker->flags[op->handle] & O_ACCMODE) != O_WRONLY;
    case KIND_CLOSE:
    case KIND_FSTAT:
        return fds[op->handle] >= 0;
    case KIND_TRUNCATE:
        return worker->theme.is_writer && fds[0] < 0;
    case KIND_UTIMENS:
        /* On a file that the process is writing that may go with its publish. */
        return fds[0] < 0;
    default:
        return true;
    }
}

static void draw_op(struct worker *worker, struct model_op *op)
{
    uint32_t total = 0;

    for (size_t i = 0; i < KIND_COUNT; i++)
        total += worker->theme.weights[i];
    do {
        uint32_t at = random_below(&worker->random, total);
        *op = (struct model_op){.path = draw_path(worker), .to = draw_path(worker)};
        while (at >= worker->theme.weights[op->kind])
            at -= worker->theme.weights[op->kind++];
    } while (!is_possible(worker, op));
    draw_details(worker, op);
}

/* False: it is to end. */
static bool run_op(struct worker *worker, struct model_op *op)
{
    struct worker_window *window = worker->window;

    op->process = window->process;
    op->node = window->process % MODEL_NODES;
    /* A reader's open must not take the second handle when that is in use. */
    if (op->kind == KIND_OPEN && worker->fds[op->handle] >= 0)
        return true;
    act(worker->root, op, worker->fds);
    if (op->kind == KIND_OPEN && op->error == 0)
        worker->flags[op->handle] = op->flags;
    window->ops[window->count++] = *op;
    return !op->is_unknown;
}

/* As soon as there is a mount. -1: there is none. */
static int open_root(struct worker *worker)
{
    const struct timespec pause = {.tv_nsec = ROOT_RETRY_NS};
    int fd = -1;

    for (int i = 0; i < ROOT_TRIES_MAX && fd < 0; i++) {
        fd = act_open_root(worker->window->root, worker->root);
        if (fd < 0)
            (void)nanosleep(&pause, NULL);
    }
    return fd;
}

void worker_run(struct worker_window *window)
{
    struct worker worker = {
        .window = window,
        .random = random_seed(window->seed, window->number, window->process),
        .fds = {-1, -1},
    };
    struct model_op op;

    window->count = 0;
    int root = open_root(&worker);
    if (root < 0)
        return;
    draw_theme(&worker.theme, window);
    for (size_t i = 0; i < worker.theme.ops; i++) {
        draw_op(&worker, &op);
        if (!run_op(&worker, &op))
            break;
    }
    for (uint8_t i = 0; i < MODEL_HANDLES; i++) {
        op = (struct model_op){
            .kind = KIND_CLOSE,
            .handle = i,
            .path = {NAME_NONE, NAME_NONE},
            .to = {NAME_NONE, NAME_NONE},
        };
        if (worker.fds[i] >= 0)
            (void)run_op(&worker, &op);
    }
    close(root);
}
