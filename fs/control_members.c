#include "fs/control_members.h"

#include "fs/fs.h"
#include "raftstore/store.h"

#include <inttypes.h>
#include <string.h>

static const char *role_word(const struct store_member_status *member)
{
    if (member->is_leader)
        return "leader";
    if (member->role & MEMBER_LEARNER)
        return "learner";
    return member->role & MEMBER_VOTER ? "voter" : "leaving";
}

/* Only the leader hears of all members. */
static const char *state_word(const struct store_status *status,
                              const struct store_member_status *member)
{
    if (member->member.id == status->store_id)
        return "self";
    if (status->leader_id != status->store_id)
        return member->is_leader ? "active" : "unknown";
    if (member->member.data_id == 0 && member->match_index == 0)
        return "new";
    if (!member->active)
        return "silent";
    return strcmp(member->progress, "snapshot") == 0 ? "snapshot" : "active";
}

void control_write_members(struct fs *fs, FILE *out)
{
    struct store_status status;

    store_status(fs->store, &status);
    for (size_t i = 0; i < status.member_count; i++) {
        const struct store_member_status *member = &status.members[i];
        fprintf(out, "%s %" PRIu64 " %s %s %s\n", member->member.name, member->member.id,
                member->member.address, role_word(member), state_word(&status, member));
    }
}

void control_write_leader(struct fs *fs, FILE *out)
{
    struct store_status status;

    store_status(fs->store, &status);
    for (size_t i = 0; i < status.member_count; i++) {
        const struct store_member *member = &status.members[i].member;
        if (member->id == status.leader_id)
            fprintf(out, "%s %s\n", member->name, member->address);
    }
}
