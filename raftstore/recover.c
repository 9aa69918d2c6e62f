#include "raftstore/recover.h"

#include "raftstore/bootstrap.h"
#include "raftstore/engine.h"
#include "raftstore/keys.h"
#include "raftstore/log.h"
#include "raftstore/membership.h"
#include "raftstore/memory.h"
#include "raftstore/peer_storage.h"
#include "raftstore/states.h"
#include "raftstore/wire.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The survivor is the only voter at once, whatever the configuration was, and all of its
 * log is committed. The others stay learners until that log is applied: it holds
 * commands that came through them, and a command counts only while its store is a
 * member. Then they are removed, by entries put at the end of the log, as any member
 * is.
 *
 * Changes of members that are in the log and not applied yet must not happen: they
 * belong to the old cluster. They become empty entries; whom they would have
 * added is a learner from the start.
 *
 *     kv    members as above; a mark that the recovery is not complete  synced
 *     raft  the entries, the commit index                               synced
 *     kv    the new identity instead of the mark                        synced
 *
 * With the mark the node does not start, and another run does all of it again. */

#define RECOVER_PAGE_BYTES (4u << 20)

struct recovery {
    struct engine *raft;
    struct engine *kv;
    struct peer_storage *storage;
    struct store_ident ident;
    struct membership membership; /* as at the applied index */
    struct raft_hard_state hard_state;
    uint64_t last_index;
    uint64_t last_term;
};

/* --- opening --- */

static int open_engine(const char *data_dir, const char *name, enum engine_kind kind,
                       struct engine **ret_engine, struct err *e)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof(path), "%s/%s/CURRENT", data_dir, name) >= sizeof(path))
        return err_set(e, KE_NAME_TOO_LONG, "data directory %s: name too long", data_dir);
    /* Opening what is not there would make it. */
    if (access(path, F_OK) != 0)
        return err_set(e, errno == ENOENT ? KE_NOT_FOUND : KE_IO,
                       "%s is not a data directory that can be used: %s: %s", data_dir, path,
                       strerror(errno));
    *strrchr(path, '/') = '\0';
    return engine_open(path, kind, ret_engine, e);
}

static int check_state(const struct recovery *r, const char *data_dir, struct err *e)
{
    enum peer_state state;
    struct region region;
    struct applying applying = {0};
    int rc = region_load(r->kv, FIRST_REGION_ID, &state, &region, &applying, e);
    if (rc != 0)
        return rc;
    free(applying.data);
    if (state == PEER_TOMBSTONE)
        return err_set(e, KE_REMOVED,
                       "member %s was removed from the cluster before: recover from the data "
                       "directory of another one",
                       r->ident.name);
    if (state == PEER_APPLYING)
        return err_set(e, KE_BUSY,
                       "data directory %s stopped in the middle of taking in a snapshot: start "
                       "keelfs on it so that it goes on with it, stop it, and recover then",
                       data_dir);
    if (region.peer_count == 0)
        return err_set(e, KE_NOT_FOUND,
                       "data directory %s has no data yet: the member had only just joined",
                       data_dir);
    return 0;
}

static int read_log_state(struct recovery *r, struct err *e)
{
    struct raft_storage log = peer_storage_interface(r->storage);
    struct raft_conf_state conf;
    int rc = log.ops->initial_state(log.ctx, &r->hard_state, &conf);
    if (rc == 0)
        rc = log.ops->last_index(log.ctx, &r->last_index);
    if (rc == 0)
        rc = log.ops->term(log.ctx, r->last_index, &r->last_term);
    return rc == 0 ? 0 : err_set(e, KE_CORRUPT, "the raft log cannot be read");
}

static void recovery_close(struct recovery *r)
{
    peer_storage_free(r->storage);
    engine_close(r->kv);
    engine_close(r->raft);
}

static int recovery_open(struct recovery *r, const char *data_dir, struct err *e)
{
    int rc = open_engine(data_dir, "raft", ENGINE_RAFT, &r->raft, e);
    if (rc == 0)
        rc = open_engine(data_dir, "kv", ENGINE_KV, &r->kv, e);
    if (rc == 0)
        rc = store_ident_load(r->kv, &r->ident, e);
    if (rc == 0)
        rc = check_state(r, data_dir, e);
    if (rc == 0)
        rc = peer_storage_open(r->raft, r->kv, FIRST_REGION_ID, &r->storage, e);
    if (rc != 0)
        return rc;
    r->membership = *peer_storage_membership(r->storage);
    if (membership_find(&r->membership, r->ident.store_id) == NULL)
        return err_set(e, KE_CORRUPT, "store %llu is not among the members on record",
                       (unsigned long long)r->ident.store_id);
    return read_log_state(r, e);
}

static void fill_report(const struct recovery *r, struct recover_report *ret_report)
{
    *ret_report = (struct recover_report){
        .old_cluster_id = r->ident.cluster_id,
        .applied_index = peer_storage_apply_state(r->storage)->applied_index,
        .commit_index = r->hard_state.commit,
        .last_index = r->last_index,
        .last_term = r->last_term,
        .member_count = r->membership.store_count,
    };
    snprintf(ret_report->name, sizeof(ret_report->name), "%s", r->ident.name);
    memcpy(ret_report->members, r->membership.stores, sizeof(ret_report->members));
}

/* --- the part of the log that is not applied --- */

struct tail {
    struct recovery *recovery;
    struct membership followed; /* what the changes of members would make of them */
    struct membership known;    /* whoever was a member on the way */
    struct engine_batch *batch; /* for the raft instance */
};

static void put_entry(struct tail *tail, const struct raft_entry *entry)
{
    size_t size = wire_entry_size(entry);
    uint8_t *packed = mem_alloc(size);
    struct key key = key_raft_log(FIRST_REGION_ID, entry->index);
    wire_pack_entry(entry, packed);
    engine_batch_put(tail->batch, tail->recovery->raft, CF_DEFAULT, key_bytes(&key),
                     (struct bytes){packed, size});
    free(packed);
}

/* Out of memory ends the process here, as everywhere above raft/. */
static struct raft_entry *checked_entry(struct raft_entry *entry)
{
    if (entry == NULL)
        log_fatal("out of memory");
    return entry;
}

static void tail_know(struct tail *tail, const struct store_member *row)
{
    struct membership *known = &tail->known;
    for (size_t i = 0; i < known->store_count; i++) {
        if (known->stores[i].id == row->id) {
            known->stores[i] = *row;
            return;
        }
    }
    /* New ids are greater than all before, so the order stays. */
    if (known->store_count < STORE_MEMBERS_MAX)
        known->stores[known->store_count++] = *row;
    else
        log_warn("member %s is left out: what came through it last may be lost", row->name);
}

static void tail_take_members_entry(struct tail *tail, const struct raft_entry *entry)
{
    struct raft_conf_change change;
    if (raft_conf_change_decode(entry, &change) == 0 &&
        membership_follow(&tail->followed, &change)) {
        for (size_t i = 0; i < tail->followed.store_count; i++)
            tail_know(tail, &tail->followed.stores[i]);
    }
    struct raft_entry *empty = checked_entry(raft_entry_alloc(RAFT_ENTRY_NORMAL, 0));
    empty->term = entry->term;
    empty->index = entry->index;
    put_entry(tail, empty);
    raft_entry_unref(empty);
}

static int tail_read(struct tail *tail, struct err *e)
{
    struct recovery *r = tail->recovery;
    struct raft_storage log = peer_storage_interface(r->storage);
    uint64_t next = peer_storage_apply_state(r->storage)->applied_index + 1;
    struct raft_entry **entries = mem_alloc(RAFT_MESSAGE_ENTRIES_MAX * sizeof(struct raft_entry *));
    int rc = 0;
    while (rc == 0 && next <= r->last_index) {
        uint64_t end = r->last_index + 1;
        if (end - next > RAFT_MESSAGE_ENTRIES_MAX)
            end = next + RAFT_MESSAGE_ENTRIES_MAX;
        size_t count = 0;
        rc = log.ops->entries(log.ctx, next, end, RECOVER_PAGE_BYTES, entries, &count);
        for (size_t i = 0; i < count; i++) {
            if (entries[i]->type != RAFT_ENTRY_NORMAL)
                tail_take_members_entry(tail, entries[i]);
            raft_entry_unref(entries[i]);
        }
        next += count;
    }
    free(entries);
    return rc == 0 ? 0
                   : err_set(e, KE_CORRUPT, "raft log entry %llu cannot be read",
                             (unsigned long long)next);
}

/* --- the new cluster --- */

/* The survivor votes, the others learn. */
static void tail_make_membership(struct tail *tail, const struct store_ident *ident,
                                 struct membership *ret_membership)
{
    *ret_membership = tail->known;
    struct region *region = &ret_membership->region;
    *region = tail->followed.region;
    region->conf_ver++;
    region->auto_leave = false;
    region->peer_count = ret_membership->store_count;
    for (size_t i = 0; i < ret_membership->store_count; i++) {
        struct store_member *row = &ret_membership->stores[i];
        bool survives = row->id == ident->store_id;
        row->promote = false;
        row->replaces = 0;
        if (survives)
            row->data_id = ident->data_id;
        region->peers[i] = (struct region_peer){
            .peer_id = row->id,
            .store_id = row->id,
            .role = survives ? MEMBER_VOTER : MEMBER_LEARNER,
        };
    }
}

static void tail_append_removal(struct tail *tail, uint64_t store_id)
{
    struct raft_conf_change change = {
        .change_count = 1,
        .changes = {{.type = RAFT_CONF_REMOVE_NODE, .node = store_id}},
    };
    struct raft_entry *entry = NULL;
    (void)raft_conf_change_encode(&change, &entry); /* can only lack memory */
    entry = checked_entry(entry);
    entry->term = tail->recovery->last_term;
    entry->index = ++tail->recovery->last_index;
    put_entry(tail, entry);
    raft_entry_unref(entry);
}

static void write_log(struct tail *tail, const struct membership *membership)
{
    struct recovery *r = tail->recovery;
    for (size_t i = 0; i < membership->store_count; i++) {
        if (membership->stores[i].id != r->ident.store_id)
            tail_append_removal(tail, membership->stores[i].id);
    }
    struct raft_local_state local = {
        .hard_state = r->hard_state,
        .last_index = r->last_index,
        .last_term = r->last_term,
    };
    local.hard_state.commit = r->last_index;
    raft_local_state_save(r->raft, tail->batch, FIRST_REGION_ID, &local);
    engine_write(r->raft, tail->batch, true);
}

static void write_members(struct recovery *r, const struct membership *membership,
                          const struct store_ident *ident)
{
    struct engine_batch *batch = engine_batch_new(false);
    membership_save(r->kv, batch, membership);
    store_ident_save_prepared(r->kv, batch, ident);
    engine_write(r->kv, batch, true);
    engine_batch_free(batch);
}

static void write_ident(struct recovery *r, const struct store_ident *ident)
{
    struct engine_batch *batch = engine_batch_new(false);
    store_ident_delete_prepared(r->kv, batch);
    store_ident_save(r->kv, batch, ident);
    engine_write(r->kv, batch, true);
    engine_batch_free(batch);
}

/* Both ids are new: the old members, and a copy of the directory as it was, are of
 * another cluster and another directory. */
static int make_ident(const struct recovery *r, struct store_ident *ret_ident, struct err *e)
{
    *ret_ident = r->ident;
    int rc = bootstrap_random_id(&ret_ident->data_id, e);
    if (rc == 0)
        rc = bootstrap_random_id(&ret_ident->cluster_id, e);
    if (rc == 0 && ret_ident->cluster_id == r->ident.cluster_id)
        ret_ident->cluster_id = r->ident.cluster_id > 1 ? r->ident.cluster_id - 1 : 2;
    return rc;
}

static int recovery_run(struct recovery *r, uint64_t *ret_cluster_id, struct err *e)
{
    struct store_ident ident;
    int rc = make_ident(r, &ident, e);
    if (rc != 0)
        return rc;
    struct tail tail = {
        .recovery = r,
        .followed = r->membership,
        .known = r->membership,
        .batch = engine_batch_new(false),
    };
    rc = tail_read(&tail, e);
    if (rc == 0) {
        struct membership membership;
        tail_make_membership(&tail, &ident, &membership);
        write_members(r, &membership, &ident);
        write_log(&tail, &membership);
        write_ident(r, &ident);
        *ret_cluster_id = ident.cluster_id;
    }
    engine_batch_free(tail.batch);
    return rc;
}

/* --- the calls --- */

int recover_inspect(const char *data_dir, struct recover_report *ret_report, struct err *e)
{
    struct recovery recovery = {0};
    int rc = recovery_open(&recovery, data_dir, e);
    if (rc == 0)
        fill_report(&recovery, ret_report);
    recovery_close(&recovery);
    return rc;
}

int recover_run(const char *data_dir, struct recover_report *ret_report, struct err *e)
{
    struct recovery recovery = {0};
    struct recover_report report;
    int rc = recovery_open(&recovery, data_dir, e);
    if (rc == 0) {
        fill_report(&recovery, &report);
        rc = recovery_run(&recovery, &report.new_cluster_id, e);
    }
    recovery_close(&recovery);
    if (rc == 0)
        *ret_report = report;
    return rc;
}
