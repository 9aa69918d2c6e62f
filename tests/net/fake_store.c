#include "fake_store.h"

#include "raftstore/memory.h"

#include "raft_cmdpb.pb-c.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAKE_OPS_MAX  64
#define FAKE_KEY_SIZE 7
/* As many as the digits of a key can tell apart. */
#define FAKE_PAIRS_MAX 1000000

struct store {
    pthread_mutex_t lock;
    pthread_cond_t came;
    struct op *ops[FAKE_OPS_MAX];
    size_t op_count;
    unsigned op_total;
    bool answers;
    int code;
    size_t command_size;
    const void *value;
    size_t value_size;
    uint32_t pair_count;
    size_t pair_size;
    struct tree_usage usage;
};

struct tree {
    struct store store; /* a tree is its store, so that the cast is honest */
};

struct tree_view {
    struct store *store;
};

struct store *fake_store_new(void)
{
    struct tree *tree = mem_zalloc(sizeof(*tree));
    pthread_mutex_init(&tree->store.lock, NULL);
    pthread_cond_init(&tree->store.came, NULL);
    return &tree->store;
}

void fake_store_free(struct store *store)
{
    assert(store->op_count == 0);
    pthread_cond_destroy(&store->came);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

void fake_store_set_usage(struct store *store, uint64_t bytes, uint64_t files)
{
    pthread_mutex_lock(&store->lock);
    store->usage.bytes = bytes;
    store->usage.files = files;
    pthread_mutex_unlock(&store->lock);
}

void fake_store_answer_all(struct store *store, int code)
{
    pthread_mutex_lock(&store->lock);
    store->answers = true;
    store->code = code;
    pthread_mutex_unlock(&store->lock);
}

static void take_in(struct store *store, struct op *op)
{
    struct op_result result = {.code = store->code};
    pthread_mutex_lock(&store->lock);
    bool answers = store->answers;
    store->op_total++;
    if (!answers) {
        assert(store->op_count < FAKE_OPS_MAX);
        op_ref(op);
        store->ops[store->op_count++] = op;
        pthread_cond_signal(&store->came);
    }
    pthread_mutex_unlock(&store->lock);
    if (answers)
        op_finish(op, &result);
}

struct op *fake_store_take(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    while (store->op_count == 0)
        pthread_cond_wait(&store->came, &store->lock);
    struct op *op = store->ops[0];
    store->op_count--;
    memmove(&store->ops[0], &store->ops[1], store->op_count * sizeof(store->ops[0]));
    pthread_mutex_unlock(&store->lock);
    return op;
}

void fake_store_end(struct op *op, int code)
{
    struct op_result result = {.code = code};
    op_finish(op, &result);
    op_unref(op);
}

unsigned fake_store_op_total(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    unsigned total = store->op_total;
    pthread_mutex_unlock(&store->lock);
    return total;
}

size_t fake_store_last_command_size(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    size_t size = store->command_size;
    pthread_mutex_unlock(&store->lock);
    return size;
}

void fake_store_set_value(struct store *store, const void *value, size_t size)
{
    store->value = value;
    store->value_size = size;
}

void fake_store_set_pairs(struct store *store, uint32_t count, size_t value_size)
{
    store->pair_count = count;
    store->pair_size = value_size;
}

/* ---- raftstore/store.h ---- */

/* Under the lock. */
static void note_quota(struct store *store, const void *bytes, size_t size)
{
    RaftCmdpb__RaftCmdRequest *command = raft_cmdpb__raft_cmd_request__unpack(NULL, size, bytes);
    assert(command != NULL);
    for (size_t i = 0; i < command->n_requests; i++) {
        const Keelfspb__SetQuotaRequest *set = command->requests[i]->set_quota;
        if (set != NULL)
            store->usage.quota = (struct tree_quota){.bytes = set->bytes, .files = set->files};
    }
    raft_cmdpb__raft_cmd_request__free_unpacked(command, NULL);
}

void store_propose(struct store *store, struct command **cmd, struct op *op)
{
    size_t size;
    const void *bytes = command_bytes(*cmd, &size);
    pthread_mutex_lock(&store->lock);
    store->command_size = size;
    note_quota(store, bytes, size);
    pthread_mutex_unlock(&store->lock);
    command_free(*cmd);
    *cmd = NULL;
    take_in(store, op);
}

void store_barrier(struct store *store, struct op *op)
{
    take_in(store, op);
}

void store_change_members(struct store *store, struct member_op *op)
{
    err_set(&op->error, store->code, "%s", ke_text(store->code));
    take_in(store, &op->op);
}

void store_transfer_leader(struct store *store, struct member_op *op)
{
    err_set(&op->error, store->code, "%s", ke_text(store->code));
    take_in(store, &op->op);
}

void store_members(struct store *store, struct store_member *members, size_t *ret_count)
{
    (void)store;
    members[0] = (struct store_member){.id = 1, .name = "n1", .address = "h1:1"};
    *ret_count = 1;
}

void store_start_check(struct store *store, struct op *op)
{
    take_in(store, op);
}

bool store_check_result(struct store *store, uint64_t index, uint64_t *ret_hash)
{
    (void)store;
    *ret_hash = index + 1;
    return index > 0;
}

struct tree *store_tree(struct store *store)
{
    return (struct tree *)store;
}

void store_status(struct store *store, struct store_status *ret_status)
{
    (void)store;
    *ret_status = (struct store_status){
        .cluster_id = 7,
        .store_id = 1,
        .region_id = 1,
        .name = "n1",
        .role = "leader",
        .leader_id = 1,
        .term = 6,
        .commit_index = 100,
        .applied_index = 99,
        .member_count = 2,
        .members = {{.member = {.id = 1, .name = "n1", .address = "h1:1"}, .is_leader = true},
                    {.member = {.id = 2, .name = "n2", .address = "h2:2"}, .match_index = 98}},
    };
}

/* ---- raftstore/tree.h ---- */

struct tree_view *tree_view_new(struct tree *tree)
{
    struct tree_view *view = mem_zalloc(sizeof(*view));
    view->store = &tree->store;
    return view;
}

void tree_view_unref(struct tree_view *view)
{
    free(view);
}

int tree_usage(struct tree *tree, struct tree_usage *ret_usage)
{
    pthread_mutex_lock(&tree->store.lock);
    *ret_usage = tree->store.usage;
    pthread_mutex_unlock(&tree->store.lock);
    return 0;
}

int tree_get(struct tree_view *view, const char *cf, const void *key, size_t key_size, size_t max,
             uint8_t **ret_value, size_t *ret_size)
{
    (void)cf;
    (void)key;
    (void)key_size;
    if (view->store->value == NULL)
        return KE_NOT_FOUND;
    if (view->store->value_size > max)
        return KE_TOO_LARGE;
    *ret_value = mem_dup(view->store->value, view->store->value_size);
    *ret_size = view->store->value_size;
    return 0;
}

int tree_scan(struct tree_view *view, const char *cf, const void *start, size_t start_size,
              uint32_t limit, size_t max_bytes, tree_scan_fn *each, void *ctx)
{
    (void)cf;
    (void)max_bytes;
    uint8_t *value = mem_zalloc(view->store->pair_size);
    uint32_t given = 0;
    for (uint32_t i = 0; i < view->store->pair_count && given < limit; i++) {
        char key[FAKE_KEY_SIZE + 1];
        (void)snprintf(key, sizeof(key), "k%06u", (unsigned)i % FAKE_PAIRS_MAX);
        size_t common = start_size < FAKE_KEY_SIZE ? start_size : FAKE_KEY_SIZE;
        int order = common > 0 ? memcmp(key, start, common) : 0;
        if (order < 0 || (order == 0 && start_size > FAKE_KEY_SIZE))
            continue;
        if (!each(ctx, key, FAKE_KEY_SIZE, value, view->store->pair_size))
            break;
        given++;
    }
    free(value);
    return 0;
}
