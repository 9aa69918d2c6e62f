#include "raft/log.h"
#include "raft/fault.h"

#include <assert.h>
#include <string.h>

#include "raft/alloc.h"
#include "raft/error.h"
#include "raft/hook.h"

int raft_log_init(struct raft_log *log, const struct raft_storage *storage,
                  uint64_t max_applying_bytes, const struct raft_log_hook *hook)
{
    memset(log, 0, sizeof(*log));
    uint64_t first;
    uint64_t last;
    int rc = storage->ops->first_index(storage->ctx, &first);
    if (rc == 0) {
        rc = storage->ops->last_index(storage->ctx, &last);
    }
    if (rc != 0) {
        return rc;
    }
    if (first == 0 || last + 1 < first) {
        return RAFT_E_CORRUPT;
    }
    log->storage = *storage;
    log->hook = hook;
    log->max_applying_bytes = max_applying_bytes;
    // Everything up to the snapshot is committed and in the application's state.
    log->committed = first - 1;
    log->applying = first - 1;
    log->applied = first - 1;
    raft_unstable_init(&log->unstable, last + 1, hook);
    return 0;
}

void raft_log_release(struct raft_log *log)
{
    raft_unstable_release(&log->unstable);
}

void raft_log_note_error(struct raft_log *log, int error)
{
    if (log->error == 0) {
        log->error = error;
    }
}

uint64_t raft_log_first_index(struct raft_log *log)
{
    uint64_t index;
    if (raft_unstable_first_index(&log->unstable, &index)) {
        return index;
    }
    int rc = log->storage.ops->first_index(log->storage.ctx, &index);
    if (rc != 0) {
        raft_log_note_error(log, rc);
        return log->committed + 1;
    }
    return index;
}

uint64_t raft_log_last_index(struct raft_log *log)
{
    uint64_t index;
    if (raft_unstable_last_index(&log->unstable, &index)) {
        return index;
    }
    int rc = log->storage.ops->last_index(log->storage.ctx, &index);
    if (rc != 0) {
        raft_log_note_error(log, rc);
        // With nothing unstable the storage ends right before the offset.
        return log->unstable.offset - 1;
    }
    return index;
}

int raft_log_term(struct raft_log *log, uint64_t index, uint64_t *ret_term)
{
    // The unstable part first: the common case, and it answers without the storage.
    if (raft_unstable_term(&log->unstable, index, ret_term)) {
        return 0;
    }
    // The term right before the first entry is known too: logs are matched there.
    if (index + 1 < raft_log_first_index(log)) {
        return RAFT_E_COMPACTED;
    }
    if (index > raft_log_last_index(log)) {
        return RAFT_E_UNAVAILABLE;
    }
    int rc = log->storage.ops->term(log->storage.ctx, index, ret_term);
    if (rc != 0 && rc != RAFT_E_COMPACTED && rc != RAFT_E_UNAVAILABLE) {
        raft_log_note_error(log, rc);
    }
    return rc;
}

uint64_t raft_log_term_or_zero(struct raft_log *log, uint64_t index)
{
    uint64_t term = 0;
    return raft_log_term(log, index, &term) == 0 ? term : 0;
}

int raft_log_last(struct raft_log *log, uint64_t *ret_term, uint64_t *ret_index)
{
    uint64_t index = raft_log_last_index(log);
    uint64_t term;
    int rc = raft_log_term(log, index, &term);
    if (rc != 0) {
        raft_log_note_error(log, rc);
        return rc;
    }
    *ret_term = term;
    *ret_index = index;
    return 0;
}

bool raft_log_matches(struct raft_log *log, uint64_t term, uint64_t index)
{
    uint64_t own;
    return raft_log_term(log, index, &own) == 0 && own == term;
}

bool raft_log_is_up_to_date(uint64_t term, uint64_t index, uint64_t own_term, uint64_t own_index)
{
    return term > own_term || (term == own_term && index >= own_index);
}

void raft_log_slice_release(struct raft_log_slice *slice)
{
    for (size_t i = 0; i < slice->count; i++) {
        raft_entry_unref(slice->entries[i]);
    }
    raft_mem_free(slice->entries);
    memset(slice, 0, sizeof(*slice));
}

// Counts the entry in; false when it would exceed the limit and is not the first.
static bool take(struct raft_log_slice *slice, struct raft_entry *entry, uint64_t max_bytes)
{
    uint64_t size = raft_entry_encoded_size(entry);
    if (slice->count > 0 &&
        (slice->encoded_bytes >= max_bytes || size > max_bytes - slice->encoded_bytes)) {
        return false;
    }
    slice->entries[slice->count++] = entry;
    slice->encoded_bytes += size;
    slice->payload_bytes += entry->size;
    return true;
}

// Fills in what the storage has of [lo, hi). *ret_full: the limit stopped it.
static int slice_storage(struct raft_log *log, uint64_t lo, uint64_t hi, uint64_t max_bytes,
                         struct raft_log_slice *slice, bool *ret_full)
{
    size_t count = 0;
    int rc = log->storage.ops->entries(log->storage.ctx, lo, hi, max_bytes, slice->entries, &count);
    if (rc != 0) {
        return rc;
    }
    assert(count > 0);
    assert(count <= hi - lo);
    for (size_t i = 0; i < count; i++) {
        slice->encoded_bytes += raft_entry_encoded_size(slice->entries[i]);
        slice->payload_bytes += slice->entries[i]->size;
    }
    slice->count = count;
    *ret_full = count < hi - lo || slice->encoded_bytes >= max_bytes;
    return 0;
}

int raft_log_slice(struct raft_log *log, uint64_t lo, uint64_t hi, uint64_t max_bytes,
                   struct raft_log_slice *ret_slice)
{
    struct raft_log_slice slice = {.entries = NULL};
    if (lo >= hi) {
        *ret_slice = slice;
        return 0;
    }
    const struct raft_unstable *u = &log->unstable;
    if (lo < raft_log_first_index(log)) {
        return RAFT_E_COMPACTED;
    }
    if (hi - lo > RAFT_MESSAGE_ENTRIES_MAX) {
        hi = lo + RAFT_MESSAGE_ENTRIES_MAX;
    }
    slice.entries = raft_mem_alloc((size_t)(hi - lo) * sizeof(struct raft_entry *));
    if (slice.entries == NULL) {
        return RAFT_E_NO_MEMORY;
    }
    bool full = false;
    if (lo < u->offset) {
        uint64_t cut = hi < u->offset ? hi : u->offset;
        int rc = slice_storage(log, lo, cut, max_bytes, &slice, &full);
        if (rc != 0) {
            raft_log_slice_release(&slice);
            return rc;
        }
        lo = cut;
    }
    while (!full && lo < hi) {
        struct raft_entry *entry = raft_unstable_at(u, lo);
        full = !take(&slice, entry, max_bytes);
        if (!full) {
            raft_entry_ref(entry);
            lo++;
        }
    }
    *ret_slice = slice;
    return 0;
}

uint64_t raft_log_find_conflict_by_term(struct raft_log *log, uint64_t index, uint64_t term,
                                        uint64_t *ret_term)
{
    *ret_term = 0;
    for (; index > 0; index--) {
        uint64_t own;
        if (raft_log_term(log, index, &own) != 0) {
            return index;
        }
        if (own <= term) {
            *ret_term = own;
            return index;
        }
    }
    return 0;
}

// The position in `entries` of the first one the log does not have; count when it has all.
static size_t find_conflict(struct raft_log *log, struct raft_entry *const *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t index = entries[i]->index;
        if (!raft_log_matches(log, entries[i]->term, index)) {
            if (index <= raft_log_last_index(log)) {
                RAFT_TELL(log->hook, LOG_CONFLICT, .index = index,
                          .log_term = raft_log_term_or_zero(log, index),
                          .peer_term = entries[i]->term);
            }
            return i;
        }
    }
    return count;
}

static bool are_consecutive(uint64_t prev_term, uint64_t prev_index,
                            struct raft_entry *const *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (entries[i]->index != prev_index + 1 || entries[i]->term < prev_term) {
            return false;
        }
        prev_index = entries[i]->index;
        prev_term = entries[i]->term;
    }
    return true;
}

int raft_log_try_append(struct raft_log *log, uint64_t prev_term, uint64_t prev_index,
                        struct raft_entry *const *entries, size_t count, uint64_t commit,
                        uint64_t *ret_last)
{
    if (!are_consecutive(prev_term, prev_index, entries, count)) {
        return RAFT_E_CORRUPT;
    }
    if (!raft_log_matches(log, prev_term, prev_index)) {
        return log->error != 0 ? log->error : RAFT_E_UNAVAILABLE;
    }
    // Paper 5.3: delete only at a real conflict. A reordered older append must
    // not cut off what a newer one has brought.
    size_t from = find_conflict(log, entries, count);
    if (RAFT_FAULT(TRUNCATE_ALWAYS) && count > 0 && prev_index >= log->committed) {
        from = 0;
    }
    if (RAFT_FAULT(CONFLICT_KEPT) && from < count) {
        uint64_t own_last = raft_log_last_index(log);
        while (from < count && entries[from]->index <= own_last) {
            from++;
        }
    }
    if (log->error != 0) {
        return log->error;
    }
    if (from < count) {
        if (entries[from]->index <= log->committed) {
            return RAFT_E_CORRUPT;
        }
        int rc = raft_unstable_reserve(&log->unstable, count - from);
        if (rc != 0) {
            return rc;
        }
        raft_unstable_append(&log->unstable, entries + from, count - from);
    }
    uint64_t last = prev_index + count;
    raft_log_commit_to(log, commit < last ? commit : last);
    *ret_last = last;
    return 0;
}

void raft_log_commit_to(struct raft_log *log, uint64_t index)
{
    if (index <= log->committed) {
        return;
    }
    if (index > raft_log_last_index(log)) {
        // A leader told us to commit what we acknowledged and no longer have.
        raft_log_note_error(log, RAFT_E_CORRUPT);
        return;
    }
    log->committed = index;
}

void raft_log_restore(struct raft_log *log, struct raft_snapshot *snapshot)
{
    RAFT_TELL(log->hook, LOG_REPLACED, .commit = log->committed, .applied = log->applied,
              .applying = log->applying, .offset = log->unstable.offset,
              .in_progress = log->unstable.in_progress_to, .count = log->unstable.count,
              .index = snapshot->index, .log_term = snapshot->term);
    log->committed = snapshot->index;
    raft_unstable_restore(&log->unstable, snapshot);
}

static uint64_t max_appliable(const struct raft_log *log, bool allow_unstable)
{
    uint64_t stable = log->unstable.offset - 1;
    allow_unstable = allow_unstable || RAFT_FAULT(APPLY_UNSTABLE);
    return allow_unstable || log->committed < stable ? log->committed : stable;
}

bool raft_log_has_committed(struct raft_log *log, bool allow_unstable)
{
    // Nothing is handed out beside a snapshot: it must be in place first.
    return !log->applying_paused && log->unstable.snapshot == NULL &&
           log->applying < max_appliable(log, allow_unstable);
}

int raft_log_next_committed(struct raft_log *log, bool allow_unstable,
                            struct raft_log_slice *ret_slice)
{
    if (!raft_log_has_committed(log, allow_unstable)) {
        *ret_slice = (struct raft_log_slice){.entries = NULL};
        return 0;
    }
    assert(log->max_applying_bytes > log->applying_bytes || log->applying_bytes == 0);
    return raft_log_slice(log, log->applying + 1, max_appliable(log, allow_unstable) + 1,
                          log->max_applying_bytes - log->applying_bytes, ret_slice);
}

void raft_log_accept_applying(struct raft_log *log, uint64_t index, uint64_t bytes,
                              bool allow_unstable)
{
    assert(index <= log->committed);
    log->applying = index;
    log->applying_bytes += bytes;
    // Cut short: the next entry would have gone over the limit, so it waits too.
    log->applying_paused = log->applying_bytes >= log->max_applying_bytes ||
                           index < max_appliable(log, allow_unstable);
}

void raft_log_applied_to(struct raft_log *log, uint64_t index, uint64_t bytes)
{
    assert(index >= log->applied);
    assert(index <= log->committed);
    log->applied = index;
    if (log->applying < index) {
        log->applying = index;
    }
    log->applying_bytes = log->applying_bytes > bytes ? log->applying_bytes - bytes : 0;
    log->applying_paused = log->applying_bytes >= log->max_applying_bytes;
}

int raft_log_snapshot(struct raft_log *log, struct raft_snapshot **ret_snapshot)
{
    if (log->unstable.snapshot != NULL) {
        *ret_snapshot = raft_snapshot_ref(log->unstable.snapshot);
        return 0;
    }
    return log->storage.ops->snapshot(log->storage.ctx, ret_snapshot);
}
