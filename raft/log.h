#ifndef KEEL_RAFT_LOG_H
#define KEEL_RAFT_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "raft/storage.h"
#include "raft/unstable.h"

// The whole log: what the storage has, then what is unstable, as one sequence.
//
//     applied <= applying <= committed <= last index
//
// applying runs ahead of applied while the application works.
//
// A storage that fails where the algorithm has no other answer is noted in
// `error` and answered in the safe direction: "no match", "not up to date",
// "nothing to send". The public call that led there returns it.

struct raft_log {
    struct raft_storage storage;
    struct raft_unstable unstable;
    uint64_t committed;
    uint64_t applying;
    uint64_t applied;
    uint64_t applying_bytes; // encoded size of what is in (applied, applying]
    uint64_t max_applying_bytes;
    bool applying_paused; // over the limit until some of it is acknowledged
    const struct raft_log_hook *hook;
    int error; // the first failure since it was last cleared
};

struct raft_log_slice {
    struct raft_entry **entries; // one reference each; NULL when count is 0
    size_t count;
    uint64_t payload_bytes;
    uint64_t encoded_bytes;
};

int raft_log_init(struct raft_log *log, const struct raft_storage *storage,
                  uint64_t max_applying_bytes, const struct raft_log_hook *hook);
void raft_log_release(struct raft_log *log);

void raft_log_note_error(struct raft_log *log, int error);

uint64_t raft_log_first_index(struct raft_log *log);
uint64_t raft_log_last_index(struct raft_log *log);
// RAFT_E_COMPACTED, RAFT_E_UNAVAILABLE, or the storage's failure (noted).
int raft_log_term(struct raft_log *log, uint64_t index, uint64_t *ret_term);
// 0 for an index whose term is not known.
uint64_t raft_log_term_or_zero(struct raft_log *log, uint64_t index);
// Term of the last entry; the storage failing gives an error.
int raft_log_last(struct raft_log *log, uint64_t *ret_term, uint64_t *ret_index);
bool raft_log_matches(struct raft_log *log, uint64_t term, uint64_t index);

// Is a log ending in (term, index) at least as good as this one (paper 5.4.1)?
// The caller passes what raft_log_last() said.
bool raft_log_is_up_to_date(uint64_t term, uint64_t index, uint64_t own_term, uint64_t own_index);

// Entries lo .. hi-1, up to max_bytes but at least one; cut at
// RAFT_MESSAGE_ENTRIES_MAX. RAFT_E_COMPACTED, RAFT_E_NO_MEMORY, RAFT_E_STORAGE.
int raft_log_slice(struct raft_log *log, uint64_t lo, uint64_t hi, uint64_t max_bytes,
                   struct raft_log_slice *ret_slice);
void raft_log_slice_release(struct raft_log_slice *slice);

// The largest index <= `index` whose term is <= `term` or not known; its term, or 0.
uint64_t raft_log_find_conflict_by_term(struct raft_log *log, uint64_t index, uint64_t term,
                                        uint64_t *ret_term);

// A follower's append (paper 5.3): entries after (prev_term, prev_index).
// *ret_last is the index up to which the log now equals the leader's.
// RAFT_E_UNAVAILABLE: no match at prev. RAFT_E_CORRUPT: the entries contradict
// what is committed, or are not consecutive.
int raft_log_try_append(struct raft_log *log, uint64_t prev_term, uint64_t prev_index,
                        struct raft_entry *const *entries, size_t count, uint64_t commit,
                        uint64_t *ret_last);

void raft_log_commit_to(struct raft_log *log, uint64_t index);
// The snapshot becomes the log.
void raft_log_restore(struct raft_log *log, struct raft_snapshot *snapshot);

// Committed entries to hand out. Entries not yet stable count only when the
// application makes them stable before it applies them (plain mode).
bool raft_log_has_committed(struct raft_log *log, bool allow_unstable);
int raft_log_next_committed(struct raft_log *log, bool allow_unstable,
                            struct raft_log_slice *ret_slice);
void raft_log_accept_applying(struct raft_log *log, uint64_t index, uint64_t bytes,
                              bool allow_unstable);
void raft_log_applied_to(struct raft_log *log, uint64_t index, uint64_t bytes);

int raft_log_snapshot(struct raft_log *log, struct raft_snapshot **ret_snapshot);

#endif
