#include "raftstore/holdback.h"

#include <assert.h>

static struct holdback_member *holdback_find(struct holdback *holdback, uint64_t peer_id)
{
    for (size_t i = 0; i < holdback->count; i++) {
        if (holdback->members[i].peer_id == peer_id)
            return &holdback->members[i];
    }
    return NULL;
}

static void holdback_drop(struct holdback_member *member)
{
    if (member->holds)
        raft_message_release(&member->note);
    member->holds = false;
}

void holdback_init(struct holdback *holdback)
{
    *holdback = (struct holdback){0};
}

void holdback_release(struct holdback *holdback)
{
    for (size_t i = 0; i < holdback->count; i++)
        holdback_drop(&holdback->members[i]);
}

void holdback_set_members(struct holdback *holdback, const struct region *region)
{
    struct holdback before = *holdback;
    *holdback = (struct holdback){.count = region->peer_count};
    for (size_t i = 0; i < region->peer_count; i++) {
        struct holdback_member *old = holdback_find(&before, region->peers[i].peer_id);
        holdback->members[i].peer_id = region->peers[i].peer_id;
        if (old == NULL)
            continue;
        holdback->members[i] = *old;
        old->holds = false; /* moved along */
    }
    holdback_release(&before);
}

void holdback_proposal(struct holdback *holdback, uint64_t peer_id)
{
    struct holdback_member *member = holdback_find(holdback, peer_id);
    if (member != NULL)
        member->has_proposed = true;
}

void holdback_append(struct holdback *holdback, uint64_t last_index)
{
    for (size_t i = 0; i < holdback->count; i++) {
        struct holdback_member *member = &holdback->members[i];
        if (member->has_proposed)
            member->waits_for = last_index;
        member->has_proposed = false;
    }
}

bool holdback_keep(struct holdback *holdback, struct raft_message *message)
{
    if (message->type != RAFT_MESSAGE_APPEND)
        return false;
    struct holdback_member *member = holdback_find(holdback, message->to);
    if (member == NULL)
        return false;
    holdback_drop(member);
    if (message->entry_count > 0 || member->commit_sent < member->waits_for) {
        if (member->commit_sent < message->commit)
            member->commit_sent = message->commit;
        return false;
    }
    raft_message_move(&member->note, message);
    member->holds = true;
    return true;
}

bool holdback_is_pending(const struct holdback *holdback)
{
    for (size_t i = 0; i < holdback->count; i++) {
        if (holdback->members[i].holds)
            return true;
    }
    return false;
}

bool holdback_next(struct holdback *holdback, struct raft_message *ret_note)
{
    for (size_t i = 0; i < holdback->count; i++) {
        struct holdback_member *member = &holdback->members[i];
        if (!member->holds)
            continue;
        if (member->commit_sent < member->note.commit)
            member->commit_sent = member->note.commit;
        raft_message_move(ret_note, &member->note);
        member->holds = false;
        return true;
    }
    return false;
}
