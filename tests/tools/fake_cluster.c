#include "fake_cluster.h"

#include "raftstore/deadline.h"
#include "raftstore/memory.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_INDEX 77
#define STORE_ID    9 /* of every member that is changed */

struct store {
    struct deadlines *deadlines;
    pthread_mutex_t lock; /* guards the rest */
    struct store_status status;
    int code;
    char words[ERR_TEXT_MAX];
    char leader_address[STORE_ADDRESS_MAX + 1];
    unsigned lead_after; /* 0: never */
    bool holds;
    uint64_t hash;
    unsigned changes;
    struct member_op last;
};

struct store *fake_node_new(void)
{
    struct store *store = mem_zalloc(sizeof(*store));
    pthread_mutex_init(&store->lock, NULL);
    store->deadlines = deadlines_new();
    store->status = (struct store_status){
        .cluster_id = 7, .store_id = 1, .region_id = 1, .name = "n1", .role = "follower"};
    return store;
}

void fake_node_free(struct store *store)
{
    deadlines_free(store->deadlines);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

void fake_node_set_status(struct store *store, const struct store_status *status)
{
    pthread_mutex_lock(&store->lock);
    store->status = *status;
    pthread_mutex_unlock(&store->lock);
}

void fake_node_set_answer(struct store *store, int code, const char *words)
{
    pthread_mutex_lock(&store->lock);
    store->code = code;
    (void)snprintf(store->words, sizeof(store->words), "%s", words);
    pthread_mutex_unlock(&store->lock);
}

void fake_node_set_leader(struct store *store, const char *leader_address)
{
    fake_node_set_answer(store, KE_NOT_LEADER, "another one leads");
    pthread_mutex_lock(&store->lock);
    (void)snprintf(store->leader_address, sizeof(store->leader_address), "%s", leader_address);
    pthread_mutex_unlock(&store->lock);
}

void fake_node_lead_after(struct store *store, unsigned calls)
{
    pthread_mutex_lock(&store->lock);
    store->lead_after = calls;
    pthread_mutex_unlock(&store->lock);
}

void fake_node_hold(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    store->holds = true;
    pthread_mutex_unlock(&store->lock);
}

void fake_node_set_hash(struct store *store, uint64_t hash)
{
    pthread_mutex_lock(&store->lock);
    store->hash = hash;
    pthread_mutex_unlock(&store->lock);
}

struct member_op fake_node_last_change(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    struct member_op last = store->last;
    pthread_mutex_unlock(&store->lock);
    return last;
}

unsigned fake_node_changes(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    unsigned changes = store->changes;
    pthread_mutex_unlock(&store->lock);
    return changes;
}

/* ---- raftstore/store.h ---- */

/* Takes a change in. False: it stays without an answer. */
static bool answer_change(struct store *store, struct member_op *op, struct op_result *ret_result)
{
    pthread_mutex_lock(&store->lock);
    store->changes++;
    memcpy(store->last.name, op->name, sizeof(op->name));
    memcpy(store->last.address, op->address, sizeof(op->address));
    memcpy(store->last.old_name, op->old_name, sizeof(op->old_name));
    store->last.kind = op->kind;
    store->last.data_id = op->data_id;
    store->last.promote = op->promote;
    bool leads = store->lead_after > 0 && store->changes >= store->lead_after;
    *ret_result = (struct op_result){.code = leads ? 0 : store->code};
    err_set(&op->error, ret_result->code, "%s", store->words);
    memcpy(op->leader_address, store->leader_address, sizeof(op->leader_address));
    op->store_id = STORE_ID;
    bool answers = !store->holds;
    pthread_mutex_unlock(&store->lock);
    return answers;
}

static void change(struct store *store, struct member_op *op)
{
    struct op_result result;
    if (answer_change(store, op, &result))
        op_finish(&op->op, &result);
    else
        deadlines_add(store->deadlines, &op->op);
}

void store_change_members(struct store *store, struct member_op *op)
{
    change(store, op);
}

void store_transfer_leader(struct store *store, struct member_op *op)
{
    if (op->name[0] == '\0')
        memcpy(op->name, "n2", sizeof("n2"));
    change(store, op);
}

void store_members(struct store *store, struct store_member *members, size_t *ret_count)
{
    pthread_mutex_lock(&store->lock);
    *ret_count = store->status.member_count;
    for (size_t i = 0; i < *ret_count; i++)
        members[i] = store->status.members[i].member;
    pthread_mutex_unlock(&store->lock);
}

void store_status(struct store *store, struct store_status *ret_status)
{
    pthread_mutex_lock(&store->lock);
    *ret_status = store->status;
    pthread_mutex_unlock(&store->lock);
}

void store_start_check(struct store *store, struct op *op)
{
    pthread_mutex_lock(&store->lock);
    struct op_result result = {.code = store->code, .index = CHECK_INDEX};
    pthread_mutex_unlock(&store->lock);
    op_finish(op, &result);
}

bool store_check_result(struct store *store, uint64_t index, uint64_t *ret_hash)
{
    pthread_mutex_lock(&store->lock);
    *ret_hash = store->hash;
    pthread_mutex_unlock(&store->lock);
    return index == CHECK_INDEX && *ret_hash != 0;
}

/* Nobody reads or writes a key here. */

void store_propose(struct store *store, struct command **cmd, struct op *op)
{
    (void)store;
    command_free(*cmd);
    *cmd = NULL;
    op_fail(op, KE_NOT_SUPPORTED);
}

void store_barrier(struct store *store, struct op *op)
{
    (void)store;
    op_fail(op, KE_NOT_SUPPORTED);
}

struct tree *store_tree(struct store *store)
{
    (void)store;
    assert(!"nothing is read");
    return NULL;
}
