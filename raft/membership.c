#include <assert.h>

#include "raft/changer.h"
#include "raft/core.h"

int raft_prepare_conf(struct raft *r, const struct raft_conf_state *conf, uint64_t last_index,
                      struct raft_tracker *ret_next)
{
    raft_tracker_init(ret_next, &r->tracker.limits);
    if (raft_changer_restore(ret_next, last_index, conf) != RAFT_CHANGER_OK ||
        !raft_conf_state_equal(&ret_next->conf, conf)) {
        return RAFT_E_CORRUPT;
    }
    return 0;
}

// Frees the windows that did not make it into the new tracker.
static void release_dropped(struct raft_tracker *old, const struct raft_tracker *next)
{
    for (uint32_t i = 0; i < old->count; i++) {
        const struct raft_progress *kept = raft_tracker_peek(next, old->progress[i].id);
        if (kept == NULL || kept->inflights.ring != old->progress[i].inflights.ring) {
            raft_inflights_release(&old->progress[i].inflights);
        }
    }
}

static void abort_transfer_to_non_voter(struct raft *r)
{
    if (r->transferee != RAFT_NONE && !raft_tracker_is_voter(&r->tracker, r->transferee)) {
        r->transferee = RAFT_NONE;
    }
}

void raft_switch_conf(struct raft *r, const struct raft_tracker *next)
{
    release_dropped(&r->tracker, next);
    r->tracker = *next;
    RAFT_TELL(&r->config.log, CONF_SWITCHED, .node = r->id, .conf = &r->tracker.conf);
    const struct raft_progress *self = raft_tracker_peek(&r->tracker, r->id);
    r->is_learner = self != NULL && self->learner;
    if (r->role != RAFT_LEADER) {
        return;
    }
    if (self == NULL || r->is_learner) {
        // Dissertation 4.2.2: it led the group that removed it until now.
        if (r->config.step_down_on_removal) {
            raft_become_follower(r, r->term, RAFT_NONE);
        }
        return;
    }
    // The new quorum may be content with less.
    if (raft_maybe_commit(r)) {
        raft_release_held_reads(r);
        raft_broadcast_append(r);
    } else {
        for (uint32_t i = 0; i < r->tracker.count; i++) {
            if (r->tracker.progress[i].id != r->id) {
                raft_maybe_send_append(r, &r->tracker.progress[i], false);
            }
        }
    }
    raft_answer_confirmed_reads(r);
    abort_transfer_to_non_voter(r);
}

// The application is still working off entries from before a snapshot that has
// come in: the change counts for its state, but the node is further already.
static int apply_overtaken(struct raft *r, const struct raft_conf_change *change)
{
    struct raft_tracker next;
    int rc = raft_prepare_conf(r, &r->overtaken_conf, 0, &next);
    if (rc != 0) {
        return rc;
    }
    if (raft_changer_apply(&next, 0, change) != RAFT_CHANGER_OK) {
        return RAFT_E_CONF_CHANGE;
    }
    r->overtaken_conf = next.conf;
    return 0;
}

int raft_apply_conf_change(struct raft *r, const struct raft_conf_change *change,
                           struct raft_conf_state *ret_conf)
{
    if (change->change_count > RAFT_CONF_CHANGES_MAX) {
        return RAFT_E_CONF_CHANGE;
    }
    if (r->log.unstable.snapshot != NULL) {
        int rc = apply_overtaken(r, change);
        if (rc == 0) {
            *ret_conf = r->overtaken_conf;
        }
        return rc;
    }
    struct raft_tracker next = r->tracker;
    if (raft_changer_apply(&next, raft_log_last_index(&r->log), change) != RAFT_CHANGER_OK) {
        return RAFT_E_CONF_CHANGE;
    }
    raft_switch_conf(r, &next);
    *ret_conf = next.conf;
    return 0;
}

bool raft_has_unapplied_conf_change(struct raft *r)
{
    uint64_t next = r->log.applied + 1;
    uint64_t first = raft_log_first_index(&r->log);
    if (next < first) {
        // Compacted: applied, though the word of it is still on its way here.
        next = first;
    }
    // Page by page: the distance between applied and committed has no bound.
    while (next <= r->log.committed) {
        struct raft_log_slice page;
        int rc =
            raft_log_slice(&r->log, next, r->log.committed + 1, r->log.max_applying_bytes, &page);
        if (rc != 0) {
            raft_log_note_error(&r->log, rc);
            return true;
        }
        assert(page.count > 0);
        bool found = false;
        for (size_t i = 0; i < page.count; i++) {
            found = found || page.entries[i]->type != RAFT_ENTRY_NORMAL;
        }
        next += page.count;
        raft_log_slice_release(&page);
        if (found) {
            return true;
        }
    }
    return false;
}

// An empty change ends the joint configuration. It can be dropped while a
// transfer is going on; each later apply tries again, here or at the new leader.
static void leave_joint(struct raft *r)
{
    struct raft_entry *entry = raft_entry_alloc(RAFT_ENTRY_CONF_CHANGE_V2, 0);
    int rc = entry == NULL ? RAFT_E_NO_MEMORY : raft_propose(r, &entry, 1);
    raft_entry_unref(entry);
    if (rc == 0) {
        RAFT_TELL(&r->config.log, AUTO_LEAVE_STARTED, .node = r->id, .conf = &r->tracker.conf);
        return;
    }
    RAFT_TELL(&r->config.log, AUTO_LEAVE_DELAYED, .node = r->id, .conf = &r->tracker.conf);
    if (rc != RAFT_E_PROPOSAL_DROPPED) {
        raft_log_note_error(&r->log, rc);
    }
}

void raft_applied_to(struct raft *r, uint64_t index, uint64_t bytes)
{
    if (index < r->log.applied) {
        index = r->log.applied;
    }
    raft_log_applied_to(&r->log, index, bytes);
    if (r->tracker.conf.auto_leave && index >= r->pending_conf_index && r->role == RAFT_LEADER) {
        leave_joint(r);
    }
}

void raft_applied_snapshot(struct raft *r, const struct raft_snapshot *snapshot)
{
    raft_unstable_snapshot_stable(&r->log.unstable, snapshot->index);
    raft_applied_to(r, snapshot->index, 0);
}
