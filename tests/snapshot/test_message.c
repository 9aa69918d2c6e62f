#include "raftstore/keys.h"
#include "raftstore/path.h"
#include "raftstore/region_pb.h"
#include "raftstore/snapshot.h"
#include "replica.h"

#include "raft_serverpb.pb-c.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void make_meta(struct snapshot_meta *meta)
{
    *meta = (struct snapshot_meta){.index = 40, .term = 6, .revision = 123};
    replica_membership(5, &meta->membership);
    for (int cf = 0; cf < CF_COUNT; cf++) {
        meta->files[cf].cf = (enum engine_cf)cf;
    }
    meta->files[CF_DEFAULT].size = 1000;
    meta->files[CF_DEFAULT].checksum = 0xfedcba98;
    meta->files[CF_META].size = 24;
    meta->files[CF_META].checksum = 3;
    meta->total_bytes = 1024;
}

Test(snapshot_message, what_is_packed_is_unpacked)
{
    struct snapshot_meta meta;
    struct snapshot_meta found;
    struct raft_snapshot *packed;
    struct err e = {0};

    make_meta(&meta);
    meta.membership.region.auto_leave = true;
    meta.membership.region.peers[0].role = MEMBER_VOTER | MEMBER_VOTER_OUTGOING;
    meta.membership.region.peers[1].role = MEMBER_VOTER_OUTGOING | MEMBER_LEARNER_NEXT;
    meta.membership.region.peers[2].role = MEMBER_LEARNER;
    meta.membership.stores[2].promote = true;
    meta.membership.stores[2].replaces = 4;
    packed = snapshot_pack(&meta);
    cr_assert_eq(packed->index, 40);
    cr_assert_eq(packed->term, 6);
    cr_assert(raft_id_set_has(&packed->conf.voters, 2));
    cr_assert(raft_id_set_has(&packed->conf.learners_next, 4));
    cr_assert(raft_id_set_has(&packed->conf.learners, 6));

    cr_assert_eq(snapshot_unpack(packed, &found, &e), 0, "%s", e.text);
    cr_assert_eq(found.index, 40);
    cr_assert_eq(found.term, 6);
    cr_assert_eq(found.revision, 123);
    cr_assert_eq(found.total_bytes, 1024);
    for (int cf = 0; cf < CF_COUNT; cf++) {
        cr_assert_eq(found.files[cf].cf, meta.files[cf].cf);
        cr_assert_eq(found.files[cf].size, meta.files[cf].size);
        cr_assert_eq(found.files[cf].checksum, meta.files[cf].checksum);
    }
    cr_assert_eq(found.membership.region.next_store_id, 9);
    cr_assert_eq(found.membership.region.conf_ver, 3);
    cr_assert(found.membership.region.auto_leave);
    for (size_t i = 0; i < 3; i++) {
        const struct store_member *a = &found.membership.stores[i];
        const struct store_member *b = &meta.membership.stores[i];

        cr_assert_eq(found.membership.region.peers[i].role, meta.membership.region.peers[i].role);
        cr_assert_str_eq(a->name, b->name);
        cr_assert_str_eq(a->address, b->address);
        cr_assert_eq(a->data_id, b->data_id);
        cr_assert_eq(a->promote, b->promote);
        cr_assert_eq(a->replaces, b->replaces);
    }
    raft_snapshot_unref(packed);
}

Test(snapshot_message, the_largest_membership_fits)
{
    struct snapshot_meta meta;
    struct snapshot_meta found;
    struct raft_snapshot *packed;

    make_meta(&meta);
    meta.membership.region.next_store_id = UINT64_MAX;
    meta.membership.region.peer_count = meta.membership.store_count = STORE_MEMBERS_MAX;
    for (size_t i = 0; i < STORE_MEMBERS_MAX; i++) {
        struct store_member *store = &meta.membership.stores[i];
        uint64_t id = UINT64_MAX - 100 + i;

        meta.membership.region.peers[i] =
            (struct region_peer){.peer_id = id,
                                 .store_id = id,
                                 .role = i < STORE_VOTERS_MAX ? MEMBER_VOTER : MEMBER_LEARNER};
        *store = (struct store_member){.id = id, .data_id = UINT64_MAX, .replaces = UINT64_MAX};
        memset(store->name, 'n', STORE_NAME_MAX);
        memset(store->address, 'a', STORE_ADDRESS_MAX);
    }
    packed = snapshot_pack(&meta);
    cr_assert_eq(snapshot_unpack(packed, &found, NULL), 0);
    cr_assert_eq(strlen(found.membership.stores[15].address), STORE_ADDRESS_MAX);
    raft_snapshot_unref(packed);
}

Test(snapshot_message, the_row_of_an_applied_snapshot_gives_the_same)
{
    struct snapshot_meta meta;
    struct snapshot_meta found;
    struct raft_snapshot *packed;
    struct applying applying;
    struct err e = {0};

    make_meta(&meta);
    packed = snapshot_pack(&meta);
    applying = (struct applying){
        .index = packed->index, .term = packed->term, .data = packed->data, .size = packed->size};
    cr_assert_eq(snapshot_unpack_applying(&applying, &found, &e), 0, "%s", e.text);
    cr_assert_eq(found.revision, 123);
    cr_assert_eq(found.membership.store_count, 3);
    applying.size--;
    cr_assert_eq(snapshot_unpack_applying(&applying, &found, &e), KE_CORRUPT);
    raft_snapshot_unref(packed);
}

/* --- what is refused --- */

typedef void spoil_fn(RaftServerpb__RaftSnapshotData *data);

static struct raft_snapshot *pack_spoilt(const struct raft_snapshot *good, spoil_fn *spoil)
{
    RaftServerpb__RaftSnapshotData *data =
        raft_serverpb__raft_snapshot_data__unpack(NULL, good->size, good->data);
    struct raft_snapshot *bad;

    cr_assert_not_null(data);
    spoil(data);
    bad = raft_snapshot_alloc(raft_serverpb__raft_snapshot_data__get_packed_size(data));
    (void)raft_serverpb__raft_snapshot_data__pack(data, bad->data);
    bad->index = good->index;
    bad->term = good->term;
    bad->conf = good->conf;
    raft_serverpb__raft_snapshot_data__free_unpacked(data, NULL);
    return bad;
}

static void spoil_nothing(RaftServerpb__RaftSnapshotData *data)
{
    (void)data;
}
static void spoil_total(RaftServerpb__RaftSnapshotData *data)
{
    data->file_size++;
}
static void spoil_overflow(RaftServerpb__RaftSnapshotData *data)
{
    data->meta->cf_files[0]->size = UINT64_MAX;
    data->meta->cf_files[4]->size = 1025;
}
static void spoil_cf_name(RaftServerpb__RaftSnapshotData *data)
{
    data->meta->cf_files[1]->cf[0] = 'x';
}
static void spoil_cf_order(RaftServerpb__RaftSnapshotData *data)
{
    RaftServerpb__SnapshotCFFile *first = data->meta->cf_files[0];

    data->meta->cf_files[0] = data->meta->cf_files[4];
    data->meta->cf_files[4] = first;
}
static void spoil_checksum_of_nothing(RaftServerpb__RaftSnapshotData *data)
{
    data->meta->cf_files[1]->checksum = 1;
}
static void spoil_region_id(RaftServerpb__RaftSnapshotData *data)
{
    data->region->id = 0;
}
static void spoil_role(RaftServerpb__RaftSnapshotData *data)
{
    data->region->peers[0]->role = MEMBER_VOTER | MEMBER_LEARNER;
}
static void spoil_peer_twice(RaftServerpb__RaftSnapshotData *data)
{
    data->region->peers[0]->id = data->region->peers[1]->id;
}
static void spoil_store_of_no_peer(RaftServerpb__RaftSnapshotData *data)
{
    data->stores[0]->id = 3;
}
static void spoil_store_twice(RaftServerpb__RaftSnapshotData *data)
{
    data->stores[0]->id = data->stores[1]->id;
}
static void spoil_next_store_id(RaftServerpb__RaftSnapshotData *data)
{
    data->region->next_store_id = 6;
}
static void spoil_conf(RaftServerpb__RaftSnapshotData *data)
{
    data->region->peers[0]->role = MEMBER_LEARNER;
}
static void spoil_name(RaftServerpb__RaftSnapshotData *data)
{
    free(data->stores[0]->name);
    data->stores[0]->name = calloc(1, STORE_NAME_MAX + 2);
    memset(data->stores[0]->name, 'n', STORE_NAME_MAX + 1);
}

static int unpack_spoilt(const struct raft_snapshot *good, spoil_fn *spoil)
{
    struct raft_snapshot *bad = pack_spoilt(good, spoil);
    struct snapshot_meta meta;
    int code = snapshot_unpack(bad, &meta, NULL);

    raft_snapshot_unref(bad);
    return code;
}

Test(snapshot_message, one_that_contradicts_itself_is_refused)
{
    static spoil_fn *const spoils[] = {
        spoil_total,       spoil_overflow,
        spoil_cf_name,     spoil_cf_order,
        spoil_region_id,   spoil_checksum_of_nothing,
        spoil_role,        spoil_peer_twice,
        spoil_store_twice, spoil_store_of_no_peer,
        spoil_conf,        spoil_next_store_id,
        spoil_name,
    };
    struct snapshot_meta meta;
    struct raft_snapshot *good;

    make_meta(&meta);
    good = snapshot_pack(&meta);
    cr_assert_eq(unpack_spoilt(good, spoil_nothing), 0);
    for (size_t i = 0; i < sizeof spoils / sizeof spoils[0]; i++) {
        cr_assert_eq(unpack_spoilt(good, spoils[i]), KE_INVALID, "spoilt %zu", i);
    }
    good->index = 0;
    cr_assert_eq(unpack_spoilt(good, spoil_nothing), KE_INVALID);
    raft_snapshot_unref(good);
}

Test(snapshot_message, bytes_of_any_kind_are_refused_or_read)
{
    uint64_t seed = scratch_seed("snapshot_message");
    struct snapshot_meta meta;
    struct snapshot_meta found;
    struct raft_snapshot *good;
    struct err e;

    make_meta(&meta);
    good = snapshot_pack(&meta);
    for (int i = 0; i < 20000; i++) {
        struct raft_snapshot *bad = raft_snapshot_alloc(good->size);
        int code;

        memcpy(bad->data, good->data, good->size);
        bad->index = good->index;
        bad->term = good->term;
        bad->conf = good->conf;
        bad->size = scratch_random(&seed, 2) == 0 ? scratch_random(&seed, (uint32_t)good->size + 1)
                                                  : good->size;
        for (uint32_t k = scratch_random(&seed, 4); k > 0 && bad->size > 0; k--) {
            bad->data[scratch_random(&seed, (uint32_t)bad->size)] =
                (uint8_t)scratch_random(&seed, 256);
        }
        code = snapshot_unpack(bad, &found, &e);
        cr_assert(code == 0 || code == KE_INVALID);
        raft_snapshot_unref(bad);
    }
    raft_snapshot_unref(good);
}

/* --- ranges --- */

struct ranges {
    struct bytes key;
    unsigned hits;
};

static int compare(struct bytes a, struct bytes b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common > 0 ? memcmp(a.data, b.data, common) : 0;

    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static void note_range(void *ctx, struct bytes from, struct bytes to)
{
    struct ranges *ranges = ctx;

    if (compare(from, ranges->key) <= 0 && compare(ranges->key, to) < 0) {
        ranges->hits++;
    }
}

static bool is_carried(enum engine_cf cf, struct bytes key)
{
    struct ranges ranges = {.key = key};

    snapshot_each_range(cf, 1, note_range, &ranges);
    cr_assert_leq(ranges.hits, 1);
    return ranges.hits == 1;
}

static bool is_meta_carried(struct key key)
{
    return is_carried(CF_META, key_bytes(&key));
}

Test(snapshot_message, of_the_meta_rows_only_sessions_and_usage_are_carried)
{
    cr_assert(is_meta_carried(key_session(1, 0)));
    cr_assert(is_meta_carried(key_session(1, UINT64_MAX)));
    cr_assert(is_meta_carried(key_usage()));
    cr_assert_not(is_meta_carried(key_session(2, 1)));
    cr_assert_not(is_meta_carried(key_apply_state(1)));
    cr_assert_not(is_meta_carried(key_region_state(1)));
    cr_assert_not(is_meta_carried(key_store_ident()));
    cr_assert_not(is_meta_carried(key_prepare_bootstrap()));
    cr_assert_not(is_meta_carried(key_member(1)));
    cr_assert_not(is_meta_carried(key_member(UINT64_MAX)));
}

Test(snapshot_message, of_the_other_column_families_every_row_is_carried)
{
    uint8_t last[PATH_ROW_MAX];
    struct key key = key_content(UINT64_MAX, UINT32_MAX);

    memset(last, 0xff, sizeof last);
    for (int cf = 0; cf < CF_META; cf++) {
        cr_assert(is_carried((enum engine_cf)cf, (struct bytes){.data = last, .size = 0}));
        cr_assert(is_carried((enum engine_cf)cf, key_bytes(&key)));
        cr_assert(is_carried((enum engine_cf)cf,
                             (struct bytes){.data = last, .size = PATH_BYTES_MAX + 1}));
    }
}
