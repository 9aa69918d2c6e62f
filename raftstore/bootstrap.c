#include "raftstore/bootstrap.h"

#include "raftstore/executor.h"
#include "raftstore/failpoint.h"
#include "raftstore/join.h"
#include "raftstore/log.h"
#include "raftstore/members.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define NS_PER_S 1000000000ull

/* What the command line says about a new cluster. */
struct founding {
    struct store_member members[STORE_MEMBERS_MAX];
    size_t count;
    uint64_t cluster_id;
    uint64_t data_id; /* of this node */
    const struct store_member *self;
};

int bootstrap_random_id(uint64_t *ret_id, struct err *e)
{
    uint64_t id;
    if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
        return err_set(e, KE_IO, "no random number: %s", strerror(errno));
    *ret_id = id != 0 ? id : 1;
    return 0;
}

static int founding_of_one(const struct store_config *config, struct founding *founding,
                           struct err *e)
{
    const char *address = config->advertise != NULL ? config->advertise
                          : config->listen != NULL  ? config->listen
                                                    : STORE_LISTEN_DEFAULT;
    int rc = member_check_address(address, e);
    if (rc != 0)
        return rc;
    struct store_member *self = &founding->members[0];
    *self = (struct store_member){.id = 1};
    snprintf(self->name, sizeof(self->name), "%s", config->name);
    snprintf(self->address, sizeof(self->address), "%s", address);
    founding->count = 1;
    founding->self = self;
    /* A node alone needs no agreement with others on the ids: its data directory can
     * be on record from the start, and a random cluster id keeps two such clusters
     * apart. */
    self->data_id = founding->data_id;
    return bootstrap_random_id(&founding->cluster_id, e);
}

static int founding_from_config(const struct store_config *config, struct founding *founding,
                                struct err *e)
{
    if (config->initial_members == NULL)
        return founding_of_one(config, founding, e);
    int rc = members_parse(config->initial_members, founding->members, &founding->count, e);
    if (rc != 0)
        return err_wrap(e, rc, "initial members");
    founding->self = members_find_name(founding->members, founding->count, config->name);
    if (founding->self == NULL)
        return err_set(e, KE_INVALID, "this node's name, %s, is not among the initial members",
                       config->name);
    founding->cluster_id = members_cluster_id(founding->members, founding->count);
    return 0;
}

/* Names this start apart from every other one of the store, also from those that a
 * wiped or damaged directory has forgotten: a number that came twice would let
 * an old command answer for a new one. */
static uint64_t next_incarnation(uint64_t last)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t now_ns = (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
    return now_ns > last ? now_ns : last + 1;
}

/* As the founder of a cluster starts, and as one who joins does. */
static const struct raft_local_state founder_state = {
    .hard_state = {.term = RAFT_INIT_LOG_TERM, .commit = RAFT_INIT_LOG_INDEX},
    .last_index = RAFT_INIT_LOG_INDEX,
    .last_term = RAFT_INIT_LOG_TERM,
};
static const struct raft_local_state joiner_state;

static bool local_state_equal(const struct raft_local_state *a, const struct raft_local_state *b)
{
    return raft_hard_state_equal(&a->hard_state, &b->hard_state) &&
           a->last_index == b->last_index && a->last_term == b->last_term;
}

/* A raft instance that has run without a kv instance beside it is half of a data
 * directory, not a new one: what it has promised must not be forgotten. */
static int check_raft_is_fresh(struct engine *raft, const char *data_dir, struct err *e)
{
    struct raft_local_state local;
    int rc = raft_local_state_load(raft, FIRST_REGION_ID, &local, e);
    if (rc == KE_NOT_FOUND)
        return 0;
    if (rc != 0)
        return rc;
    if (local_state_equal(&local, &founder_state) || local_state_equal(&local, &joiner_state))
        return 0; /* the last attempt to begin was cut short */
    return err_set(e, KE_CORRUPT,
                   "data directory %s has a raft log but no data: its kv directory is missing or "
                   "damaged; put it back, or empty the whole directory",
                   data_dir);
}

static void format_raft(struct engine *raft, const struct raft_local_state *local)
{
    FAILPOINT(bootstrap_raft_before);
    struct engine_batch *batch = engine_batch_new(false);
    raft_local_state_save(raft, batch, FIRST_REGION_ID, local);
    engine_write(raft, batch, true);
    engine_batch_free(batch);
    FAILPOINT(bootstrap_raft_after);
}

/* --- the first of a cluster --- */

static void format_kv(struct engine *kv, const struct founding *founding,
                      const struct store_ident *ident)
{
    struct engine_batch *batch = engine_batch_new(true);
    struct region region = {
        .id = FIRST_REGION_ID,
        .conf_ver = 1,
        .version = 1,
        .next_store_id = founding->count + 1,
    };
    for (size_t i = 0; i < founding->count; i++) {
        const struct store_member *member = &founding->members[i];
        member_save(kv, batch, member);
        region.peers[region.peer_count++] = (struct region_peer){
            .peer_id = member->id, .store_id = member->id, .role = MEMBER_VOTER};
    }
    struct apply_state apply = {
        .applied_index = RAFT_INIT_LOG_INDEX,
        .applied_term = RAFT_INIT_LOG_TERM,
        .truncated_index = RAFT_INIT_LOG_INDEX,
        .truncated_term = RAFT_INIT_LOG_TERM,
        .revision = ATTR_ROOT_ID,
    };
    region_save(kv, batch, PEER_NORMAL, &region, NULL);
    apply_state_save(kv, batch, region.id, &apply);
    executor_format(kv, batch);
    store_ident_delete_prepared(kv, batch);
    store_ident_save(kv, batch, ident);
    engine_write(kv, batch, true);
    engine_batch_free(batch);
    FAILPOINT(bootstrap_kv_after);
}

static int bootstrap_founder(const struct store_config *config, struct engine *raft,
                             struct engine *kv, struct store_ident *ret_ident, struct err *e)
{
    struct founding founding = {0};
    int rc = bootstrap_random_id(&founding.data_id, e);
    if (rc == 0)
        rc = founding_from_config(config, &founding, e);
    if (rc != 0)
        return rc;
    *ret_ident = (struct store_ident){
        .cluster_id = founding.cluster_id,
        .store_id = founding.self->id,
        .incarnation = next_incarnation(0),
        .data_id = founding.data_id,
    };
    snprintf(ret_ident->name, sizeof(ret_ident->name), "%s", config->name);
    format_raft(raft, &founder_state);
    format_kv(kv, &founding, ret_ident);
    log_info("new data directory: member %s, store %llu of %zu, cluster %016llx", ret_ident->name,
             (unsigned long long)ret_ident->store_id, founding.count,
             (unsigned long long)ret_ident->cluster_id);
    return 0;
}

/* --- one who joins --- */

/* Where the others will reach this node. There is no default: on their machines it
 * would mean themselves. */
static int joiner_address(const struct store_config *config, const char **ret_address,
                          struct err *e)
{
    static const char *const anywhere[] = {"0.0.0.0:", "[::]:", ":::"};
    const char *address = config->advertise != NULL ? config->advertise : config->listen;
    if (address == NULL)
        return err_set(e, KE_INVALID,
                       "a node that joins must say where the others reach it: give "
                       "--listen or --advertise HOST:PORT");
    int rc = member_check_address(address, e);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < sizeof(anywhere) / sizeof(anywhere[0]); i++) {
        if (strncmp(address, anywhere[i], strlen(anywhere[i])) == 0)
            return err_set(e, KE_INVALID,
                           "the others cannot reach this node at %s: give --advertise HOST:PORT",
                           address);
    }
    *ret_address = address;
    return 0;
}

/* The data id that this directory asks under. It is durable before it is shown to
 * anybody: an attempt that is cut short is gone on with, not begun again as if by
 * another node. */
static int joiner_prepare(struct engine *kv, uint64_t *ret_data_id, struct err *e)
{
    struct store_ident prepared;
    int rc = store_ident_load_prepared(kv, &prepared, e);
    if (rc == 0)
        *ret_data_id = prepared.data_id;
    if (rc != KE_NOT_FOUND)
        return rc;
    prepared = (struct store_ident){0};
    rc = bootstrap_random_id(&prepared.data_id, e);
    if (rc != 0)
        return rc;
    struct engine_batch *batch = engine_batch_new(false);
    store_ident_save_prepared(kv, batch, &prepared);
    engine_write(kv, batch, true);
    engine_batch_free(batch);
    *ret_data_id = prepared.data_id;
    return 0;
}

/* Data and members come with the first snapshot; until then only the addresses are
 * of use. */
static void format_joiner_kv(struct engine *kv, const struct join_answer *answer,
                             const struct store_ident *ident)
{
    FAILPOINT(join_kv_before);
    struct engine_batch *batch = engine_batch_new(false);
    struct region region = {.id = answer->region_id};
    struct apply_state apply = {0};
    for (size_t i = 0; i < answer->store_count; i++)
        member_save(kv, batch, &answer->stores[i]);
    region_save(kv, batch, PEER_NORMAL, &region, NULL);
    apply_state_save(kv, batch, region.id, &apply);
    store_ident_delete_prepared(kv, batch);
    store_ident_save(kv, batch, ident);
    engine_write(kv, batch, true);
    engine_batch_free(batch);
    FAILPOINT(join_kv_after);
}

static int bootstrap_joiner(const struct store_config *config, struct engine *raft,
                            struct engine *kv, struct store_ident *ret_ident, struct err *e)
{
    const char *address = NULL;
    uint64_t data_id;
    struct join_answer answer;
    int rc = joiner_address(config, &address, e);
    if (rc == 0)
        rc = joiner_prepare(kv, &data_id, e);
    if (rc == 0)
        rc = join_ask(config, address, data_id, &answer, e);
    if (rc == 0 && answer.region_id != FIRST_REGION_ID)
        rc = err_set(e, KE_NOT_SUPPORTED, "cannot join: the cluster has more than one region");
    if (rc != 0)
        return rc;
    *ret_ident = (struct store_ident){
        .cluster_id = answer.cluster_id,
        .store_id = answer.store_id,
        .incarnation = next_incarnation(0),
        .data_id = data_id,
    };
    snprintf(ret_ident->name, sizeof(ret_ident->name), "%s", config->name);
    format_raft(raft, &joiner_state);
    format_joiner_kv(kv, &answer, ret_ident);
    log_info("joined: member %s, store %llu, cluster %016llx", ret_ident->name,
             (unsigned long long)ret_ident->store_id, (unsigned long long)ret_ident->cluster_id);
    return 0;
}

static int bootstrap_fresh(const struct store_config *config, struct engine *raft,
                           struct engine *kv, struct store_ident *ret_ident, struct err *e)
{
    if (config->join != NULL && config->initial_members != NULL)
        return err_set(e, KE_INVALID,
                       "a node either founds a cluster or joins one: give the initial members or "
                       "the members to ask, not both");
    int rc = check_raft_is_fresh(raft, config->data_dir, e);
    if (rc != 0)
        return rc;
    return config->join != NULL ? bootstrap_joiner(config, raft, kv, ret_ident, e)
                                : bootstrap_founder(config, raft, kv, ret_ident, e);
}

/* --- one that has been before --- */

/* See recover.c: between its first and its last step the parts do not fit together. */
static int check_not_in_recovery(const struct store_config *config, struct engine *kv,
                                 struct err *e)
{
    struct store_ident next;
    int rc = store_ident_load_prepared(kv, &next, e);
    if (rc == 0)
        return err_set(e, KE_INVALID,
                       "the recovery of data directory %s was cut short: run keelctl recover again",
                       config->data_dir);
    return rc == KE_NOT_FOUND ? 0 : rc;
}

static int check_not_removed(const struct store_config *config, struct engine *kv,
                             const struct store_ident *ident, struct err *e)
{
    enum peer_state state;
    struct region region;
    struct applying applying = {0};
    int rc = region_load(kv, FIRST_REGION_ID, &state, &region, &applying, e);
    if (rc != 0)
        return rc;
    free(applying.data);
    if (state == PEER_TOMBSTONE)
        return err_set(e, KE_REMOVED,
                       "this node (%s) was removed from cluster %016llx; to rejoin, empty %s and "
                       "start with --join HOST:PORT",
                       ident->name, (unsigned long long)ident->cluster_id, config->data_dir);
    return 0;
}

static int bootstrap_check(const struct store_config *config, const struct store_ident *ident,
                           struct err *e)
{
    if (strcmp(config->name, ident->name) != 0)
        return err_set(e, KE_MISMATCH,
                       "data directory %s belongs to member %s, not to %s: use --name %s or "
                       "another directory",
                       config->data_dir, ident->name, config->name, ident->name);
    if (config->initial_members == NULL)
        return 0;
    struct founding founding = {0};
    int rc = founding_from_config(config, &founding, e);
    if (rc != 0)
        return rc;
    if (founding.cluster_id != ident->cluster_id)
        return err_set(e, KE_MISMATCH,
                       "data directory %s belongs to cluster %016llx, but these initial members "
                       "are cluster %016llx: leave them out to go on with it",
                       config->data_dir, (unsigned long long)ident->cluster_id,
                       (unsigned long long)founding.cluster_id);
    return 0;
}

int bootstrap_store(const struct store_config *config, struct engine *raft, struct engine *kv,
                    struct store_ident *ret_ident, struct err *e)
{
    int rc = member_check_name(config->name, e);
    if (rc != 0)
        return rc;
    struct store_ident ident;
    rc = store_ident_load(kv, &ident, e);
    if (rc == KE_NOT_FOUND)
        return bootstrap_fresh(config, raft, kv, ret_ident, e);
    if (rc == 0)
        rc = bootstrap_check(config, &ident, e);
    if (rc == 0)
        rc = check_not_in_recovery(config, kv, e);
    if (rc == 0)
        rc = check_not_removed(config, kv, &ident, e);
    if (rc == 0 && ident.data_id == 0)
        rc = err_set(e, KE_CORRUPT, "data directory %s has no id of its own", config->data_dir);
    if (rc != 0)
        return rc;
    ident.incarnation = next_incarnation(ident.incarnation);
    struct engine_batch *batch = engine_batch_new(false);
    store_ident_save(kv, batch, &ident);
    engine_write(kv, batch, true);
    engine_batch_free(batch);
    *ret_ident = ident;
    return 0;
}
