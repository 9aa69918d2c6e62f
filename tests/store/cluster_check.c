/* What must hold of a cluster whose stores have come to rest. */
#include "cluster.h"

#include "raftstore/bootstrap.h"
#include "raftstore/states.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#define NS_PER_MS 1000000ull
/* A snapshot may take a store past the index of a check: then another one is made. */
#define CHECK_TRIES 3

static uint64_t deadline_in(uint32_t timeout_ms)
{
    return clock_ns() + timeout_ms * NS_PER_MS;
}

/* --- the same applied index --- */

static bool is_equal_now(struct cluster *cluster, bool report)
{
    uint64_t leader = 0, highest = 0, lowest = UINT64_MAX;
    bool agreed = true;
    for (size_t i = 0; i < cluster->count; i++) {
        struct store_status status;
        if (!cluster_status(cluster, i, &status))
            continue;
        if (report)
            fprintf(stderr,
                    "  %s: %s, leader %" PRIu64 ", term %" PRIu64 ", first %" PRIu64
                    ", last %" PRIu64 ", commit %" PRIu64 ", applied %" PRIu64 "\n",
                    status.name, status.role, status.leader_id, status.term, status.first_index,
                    status.last_index, status.commit_index, status.applied_index);
        if (leader == 0)
            leader = status.leader_id;
        agreed = agreed && status.leader_id != 0 && status.leader_id == leader;
        lowest = status.applied_index < lowest ? status.applied_index : lowest;
        highest = status.last_index > highest ? status.last_index : highest;
        highest = status.applied_index > highest ? status.applied_index : highest;
    }
    return agreed && leader != 0 && lowest == highest;
}

bool cluster_wait_equal(struct cluster *cluster, uint32_t timeout_ms)
{
    uint64_t deadline = deadline_in(timeout_ms);
    while (!is_equal_now(cluster, false)) {
        if (clock_ns() >= deadline) {
            fprintf(stderr, "the stores did not become equal in %u ms:\n", timeout_ms);
            is_equal_now(cluster, true);
            return false;
        }
        cluster_pause();
    }
    return true;
}

/* --- the same hash --- */

enum verdict { UNKNOWN, EQUAL, DIFFERENT };

static enum verdict compare_hashes(struct cluster *cluster, uint64_t index, bool report)
{
    uint64_t first = 0;
    bool have_first = false, equal = true, all_known = true;
    for (size_t i = 0; i < cluster->count; i++) {
        uint64_t hash = 0;
        if (!cluster_is_running(cluster, i))
            continue;
        bool known = cluster_check_result(cluster, i, index, &hash);
        if (report)
            fprintf(stderr, "  %s: %s %016" PRIx64 "\n", cluster->slots[i].name,
                    known ? "hash" : "no hash", hash);
        all_known = all_known && known;
        if (!known)
            continue;
        if (have_first)
            equal = equal && hash == first;
        first = hash;
        have_first = true;
    }
    return !equal ? DIFFERENT : all_known && have_first ? EQUAL : UNKNOWN;
}

static enum verdict check_once(struct cluster *cluster, size_t asked, uint64_t deadline,
                               uint32_t timeout_ms)
{
    uint64_t index = 0;
    int rc = cluster_start_check(cluster, asked, timeout_ms, &index);
    if (rc != 0) {
        fprintf(stderr, "the check could not be made: %s\n", ke_text(rc));
        return UNKNOWN;
    }
    enum verdict verdict = UNKNOWN;
    while (verdict == UNKNOWN && clock_ns() < deadline) {
        verdict = compare_hashes(cluster, index, false);
        cluster_pause();
    }
    if (verdict != EQUAL) {
        fprintf(stderr, "the stores' hashes at %" PRIu64 ":\n", index);
        compare_hashes(cluster, index, true);
    }
    return verdict;
}

bool cluster_check_equal(struct cluster *cluster, uint32_t timeout_ms)
{
    size_t asked = 0;
    while (asked < cluster->count && !cluster_is_running(cluster, asked))
        asked++;
    assert(asked < cluster->count);
    enum verdict verdict = UNKNOWN;
    for (int tries = 0; verdict == UNKNOWN && tries < CHECK_TRIES; tries++) {
        uint32_t share_ms = timeout_ms / CHECK_TRIES;
        verdict = check_once(cluster, asked, deadline_in(share_ms), share_ms);
    }
    return verdict == EQUAL;
}

/* --- the length of the logs --- */

/* By the status, whose two numbers may be a tick apart. */
static bool logs_are_within(struct cluster *cluster, uint64_t limit)
{
    for (size_t i = 0; i < cluster->count; i++) {
        struct store_status status;
        if (cluster_status(cluster, i, &status) &&
            status.applied_index + 1 > status.first_index + limit)
            return false;
    }
    return true;
}

static bool check_persisted(const char *dir, const char *name, uint64_t limit)
{
    char path[CLUSTER_DIR_MAX + CLUSTER_NAME_MAX + 4];
    snprintf(path, sizeof(path), "%s/%s/kv", dir, name);
    struct engine *kv = NULL;
    struct err e = {0};
    struct apply_state state = {0};
    int rc = engine_open(path, ENGINE_KV, &kv, &e);
    if (rc == 0)
        rc = apply_state_load(kv, FIRST_REGION_ID, &state, &e);
    engine_close(kv);
    if (rc != 0) {
        fprintf(stderr, "%s: %s\n", path, e.text);
        return false;
    }
    if (state.applied_index - state.truncated_index > limit) {
        fprintf(stderr, "%s: applied %" PRIu64 ", truncated %" PRIu64 ", more than %" PRIu64 "\n",
                name, state.applied_index, state.truncated_index, limit);
        return false;
    }
    return true;
}

bool cluster_check_log_limit(struct cluster *cluster, uint32_t timeout_ms)
{
    uint64_t limit =
        2 * (cluster->log_gc_count_limit != 0 ? cluster->log_gc_count_limit : STORE_LOG_GC_COUNT);
    uint64_t deadline = deadline_in(timeout_ms);
    while (!logs_are_within(cluster, limit) && clock_ns() < deadline)
        cluster_pause();
    bool good = true;
    for (size_t i = 0; i < cluster->count; i++) {
        if (!cluster_is_running(cluster, i))
            continue;
        cluster_stop(cluster, i);
        good = check_persisted(cluster->dir, cluster->slots[i].name, limit) && good;
    }
    return good;
}
