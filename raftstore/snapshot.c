#include "raftstore/snapshot.h"

#include "raftstore/keys.h"
#include "raftstore/log.h"
#include "raftstore/region_pb.h"

#include "raft_serverpb.pb-c.h"

#include <assert.h>
#include <string.h>

/* The largest RaftSnapshotData: all members with the longest names, several times over. */
#define SNAPSHOT_DATA_MAX (64u << 10)

/* --- to the message --- */

struct raft_snapshot *snapshot_pack(const struct snapshot_meta *meta)
{
    const struct membership *membership = &meta->membership;
    RaftServerpb__RaftSnapshotData data = RAFT_SERVERPB__RAFT_SNAPSHOT_DATA__INIT;
    RaftServerpb__SnapshotMeta files = RAFT_SERVERPB__SNAPSHOT_META__INIT;
    RaftServerpb__SnapshotCFFile file[CF_COUNT];
    RaftServerpb__SnapshotCFFile *file_pointers[CF_COUNT];
    Metapb__Store store[STORE_MEMBERS_MAX];
    Metapb__Store *store_pointers[STORE_MEMBERS_MAX];
    struct raft_snapshot *snapshot;
    struct region_pb region;
    size_t size;

    for (size_t i = 0; i < CF_COUNT; i++) {
        raft_serverpb__snapshot_cffile__init(&file[i]);
        file[i].cf = (char *)key_cf_name((enum engine_cf)i);
        file[i].size = meta->files[i].size;
        file[i].checksum = meta->files[i].checksum;
        file_pointers[i] = &file[i];
    }
    assert(membership->store_count <= STORE_MEMBERS_MAX);
    for (size_t i = 0; i < membership->store_count; i++) {
        member_pb_fill(&store[i], &membership->stores[i]);
        store_pointers[i] = &store[i];
    }
    region_pb_fill(&region, &membership->region);
    files.n_cf_files = CF_COUNT;
    files.cf_files = file_pointers;
    data.region = &region.message;
    data.file_size = meta->total_bytes;
    data.meta = &files;
    data.revision = meta->revision;
    data.n_stores = membership->store_count;
    data.stores = store_pointers;

    size = raft_serverpb__raft_snapshot_data__get_packed_size(&data);
    assert(size <= SNAPSHOT_DATA_MAX);
    snapshot = raft_snapshot_alloc(size);
    if (snapshot == NULL) {
        log_fatal("out of memory: a snapshot of %zu bytes", size);
    }
    snapshot->index = meta->index;
    snapshot->term = meta->term;
    membership_conf_state(membership, &snapshot->conf);
    (void)raft_serverpb__raft_snapshot_data__pack(&data, snapshot->data);
    return snapshot;
}

/* --- from the message --- */

static bool parse_files(const RaftServerpb__RaftSnapshotData *data, struct snapshot_meta *meta)
{
    uint64_t total = 0;

    if (data->meta == NULL || data->meta->n_cf_files != CF_COUNT) {
        return false;
    }
    for (size_t i = 0; i < CF_COUNT; i++) {
        const RaftServerpb__SnapshotCFFile *file = data->meta->cf_files[i];

        if (strcmp(file->cf, key_cf_name((enum engine_cf)i)) != 0 ||
            file->size > UINT64_MAX - total || (file->size == 0 && file->checksum != 0)) {
            return false;
        }
        total += file->size;
        meta->files[i] = (struct snapshot_file){
            .cf = (enum engine_cf)i, .size = file->size, .checksum = file->checksum};
    }
    meta->total_bytes = total;
    return total == data->file_size;
}

/* Every peer has the row of its store, and no store is to come under an id in use. */
static bool parse_members(const RaftServerpb__RaftSnapshotData *data, struct membership *membership)
{
    const struct region *region = &membership->region;

    if (!region_pb_parse(data->region, &membership->region) || region->peer_count == 0 ||
        data->n_stores != region->peer_count) {
        return false;
    }
    membership->store_count = 0;
    for (size_t i = 0; i < data->n_stores; i++) {
        struct store_member *store = &membership->stores[i];

        if (!member_pb_parse(data->stores[i], store) ||
            region_find_peer(region, store->id) == NULL || store->id >= region->next_store_id ||
            membership_find(membership, store->id) != NULL) {
            return false;
        }
        membership->store_count++;
    }
    return true;
}

static bool parse(const uint8_t *bytes, size_t size, struct snapshot_meta *meta)
{
    RaftServerpb__RaftSnapshotData *data;
    bool ok;

    if (size > SNAPSHOT_DATA_MAX) {
        return false;
    }
    data = raft_serverpb__raft_snapshot_data__unpack(NULL, size, bytes);
    if (data == NULL) {
        return false;
    }
    ok = data->n_data == 0 && parse_files(data, meta) && parse_members(data, &meta->membership);
    meta->revision = data->revision;
    raft_serverpb__raft_snapshot_data__free_unpacked(data, NULL);
    return ok;
}

int snapshot_unpack(const struct raft_snapshot *snapshot, struct snapshot_meta *ret_meta,
                    struct err *e)
{
    struct snapshot_meta meta = {.index = snapshot->index, .term = snapshot->term};
    struct raft_conf_state conf;

    if (meta.index == 0 || meta.term == 0 || !parse(snapshot->data, snapshot->size, &meta)) {
        return err_set(e, KE_INVALID, "the snapshot cannot be read");
    }
    membership_conf_state(&meta.membership, &conf);
    if (!raft_conf_state_equal(&conf, &snapshot->conf)) {
        return err_set(e, KE_INVALID, "the snapshot names other members than its configuration");
    }
    *ret_meta = meta;
    return 0;
}

int snapshot_unpack_applying(const struct applying *applying, struct snapshot_meta *ret_meta,
                             struct err *e)
{
    struct snapshot_meta meta = {.index = applying->index, .term = applying->term};

    if (meta.index == 0 || meta.term == 0 || !parse(applying->data, applying->size, &meta)) {
        return err_set(e, KE_CORRUPT, "the record of the snapshot being applied is damaged");
    }
    *ret_meta = meta;
    return 0;
}

/* --- rows --- */

void snapshot_each_range(enum engine_cf cf, uint64_t region_id, snapshot_range_fn *each, void *ctx)
{
    if (cf == CF_META) {
        struct key session = key_session(region_id, 0);
        struct key session_end = key_session_end(region_id);
        struct key usage = key_usage();
        struct key usage_end = key_usage_end();

        each(ctx, key_bytes(&session), key_bytes(&session_end));
        each(ctx, key_bytes(&usage), key_bytes(&usage_end));
    } else {
        uint8_t end[PATH_ROW_MAX];

        each(ctx, (struct bytes){.data = end, .size = 0}, key_end(end));
    }
}
