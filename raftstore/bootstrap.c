#include "raftstore/bootstrap.h"

#include "raftstore/executor.h"
#include "raftstore/log.h"
#include "raftstore/members.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define NS_PER_S 1000000000ull

/* What the command line says about the cluster. */
struct founding {
    struct store_member members[STORE_MEMBERS_MAX];
    size_t count;
    uint64_t cluster_id;
    const struct store_member *self;
};

/* A node alone needs no agreement with others on the id: a random one keeps two
 * such clusters apart. */
static int random_cluster_id(uint64_t *ret_id, struct err *e)
{
    uint64_t id;
    if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
        return err_set(e, KE_IO, "no random number for the cluster id: %s", strerror(errno));
    *ret_id = id != 0 ? id : 1;
    return 0;
}

static int founding_of_one(const struct store_config *config, struct founding *founding,
                           struct err *e)
{
    const char *address = config->listen != NULL ? config->listen : STORE_LISTEN_DEFAULT;
    int rc = member_check_address(address, e);
    if (rc != 0)
        return rc;
    struct store_member *self = &founding->members[0];
    *self = (struct store_member){.id = 1};
    snprintf(self->name, sizeof(self->name), "%s", config->name);
    snprintf(self->address, sizeof(self->address), "%s", address);
    founding->count = 1;
    founding->self = self;
    return random_cluster_id(&founding->cluster_id, e);
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
    const struct raft_hard_state *hard = &local.hard_state;
    if (hard->term == RAFT_INIT_LOG_TERM && hard->vote == 0 &&
        local.last_index == RAFT_INIT_LOG_INDEX)
        return 0; /* the last attempt to found it was cut short */
    return err_set(e, KE_CORRUPT,
                   "data directory %s has a raft log but no data: its kv directory is missing or "
                   "damaged; put it back, or empty the whole directory",
                   data_dir);
}

static void format_raft(struct engine *raft)
{
    struct engine_batch *batch = engine_batch_new(false);
    struct raft_local_state local = {
        .hard_state = {.term = RAFT_INIT_LOG_TERM, .commit = RAFT_INIT_LOG_INDEX},
        .last_index = RAFT_INIT_LOG_INDEX,
        .last_term = RAFT_INIT_LOG_TERM,
    };
    raft_local_state_save(raft, batch, FIRST_REGION_ID, &local);
    engine_write(raft, batch, true);
    engine_batch_free(batch);
}

static void format_kv(struct engine *kv, const struct founding *founding,
                      const struct store_ident *ident)
{
    struct engine_batch *batch = engine_batch_new(true);
    struct region region = {.id = FIRST_REGION_ID, .conf_ver = 1, .version = 1};
    for (size_t i = 0; i < founding->count; i++) {
        const struct store_member *member = &founding->members[i];
        member_save(kv, batch, member);
        region.peers[region.peer_count++] =
            (struct region_peer){.peer_id = member->id, .store_id = member->id};
    }
    struct apply_state apply = {
        .applied_index = RAFT_INIT_LOG_INDEX,
        .applied_term = RAFT_INIT_LOG_TERM,
        .truncated_index = RAFT_INIT_LOG_INDEX,
        .truncated_term = RAFT_INIT_LOG_TERM,
        .revision = ATTR_ROOT_ID,
    };
    region_save(kv, batch, &region);
    apply_state_save(kv, batch, region.id, &apply);
    executor_format(kv, batch);
    store_ident_save(kv, batch, ident);
    engine_write(kv, batch, true);
    engine_batch_free(batch);
}

static int bootstrap_fresh(const struct store_config *config, struct engine *raft,
                           struct engine *kv, struct store_ident *ret_ident, struct err *e)
{
    struct founding founding = {0};
    int rc = check_raft_is_fresh(raft, config->data_dir, e);
    if (rc == 0)
        rc = founding_from_config(config, &founding, e);
    if (rc != 0)
        return rc;
    *ret_ident = (struct store_ident){
        .cluster_id = founding.cluster_id,
        .store_id = founding.self->id,
        .incarnation = next_incarnation(0),
    };
    snprintf(ret_ident->name, sizeof(ret_ident->name), "%s", config->name);
    format_raft(raft);
    format_kv(kv, &founding, ret_ident);
    log_info("new data directory: member %s, store %llu of %zu, cluster %016llx", ret_ident->name,
             (unsigned long long)ret_ident->store_id, founding.count,
             (unsigned long long)ret_ident->cluster_id);
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
                       "are cluster %016llx: give the list it was made with, or none",
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
    rc = store_ident_load(kv, ret_ident, e);
    if (rc == KE_NOT_FOUND)
        return bootstrap_fresh(config, raft, kv, ret_ident, e);
    if (rc == 0)
        rc = bootstrap_check(config, ret_ident, e);
    if (rc != 0)
        return rc;
    ret_ident->incarnation = next_incarnation(ret_ident->incarnation);
    struct engine_batch *batch = engine_batch_new(false);
    store_ident_save(kv, batch, ret_ident);
    engine_write(kv, batch, true);
    engine_batch_free(batch);
    return 0;
}
