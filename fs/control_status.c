#include "fs/control_status.h"

#include "fs/fs.h"
#include "raftstore/store.h"

#include <string.h>

static const struct store_member *find_member(const struct store_status *status, uint64_t id)
{
    for (size_t i = 0; i < status->member_count; i++) {
        if (status->members[i].member.id == id)
            return &status->members[i].member;
    }
    return NULL;
}

static void write_leader(const struct store_status *status, FILE *out)
{
    const struct store_member *leader = find_member(status, status->leader_id);

    fprintf(out, "leader     ");
    if (leader != NULL)
        fprintf(out, "%s at %s\n", leader->name, leader->address);
    else
        fprintf(out, "none known: changes and reads wait for a majority\n");
}

/* Only the leader hears of all members. */
static const char *member_state(const struct store_status *status,
                                const struct store_member_status *member)
{
    bool is_self = member->member.id == status->store_id;

    if (member->is_leader)
        return is_self ? "leader, this node" : "leader";
    if (is_self)
        return "this node";
    if (status->leader_id != status->store_id)
        return "state known to the leader";
    if (member->member.data_id == 0 && member->match_index == 0)
        return "not started yet";
    if (!member->active)
        return "not heard of";
    return strcmp(member->progress, "snapshot") == 0 ? "gets a snapshot" : "active";
}

/* What is out of the ordinary about its part in the cluster. */
static void write_role(const struct store_status *status, const struct store_member_status *member,
                       FILE *out)
{
    const struct store_member *replaced = find_member(status, member->member.replaces);

    if (member->role & MEMBER_VOTER_OUTGOING && !(member->role & MEMBER_VOTER))
        fprintf(out, ", leaves");
    if (!(member->role & MEMBER_LEARNER))
        return;
    fprintf(out, ", a learner");
    if (replaced != NULL)
        fprintf(out, " that takes the place of %s", replaced->name);
    else if (member->member.promote)
        fprintf(out, " that becomes a voter");
}

static void write_members(const struct store_status *status, FILE *out)
{
    bool is_leader = status->leader_id == status->store_id;

    fprintf(out, "members    %zu\n", status->member_count);
    for (size_t i = 0; i < status->member_count; i++) {
        const struct store_member_status *member = &status->members[i];
        fprintf(out, "  %-8s %-24s %s", member->member.name, member->member.address,
                member_state(status, member));
        if (is_leader && member->member.id != status->store_id)
            fprintf(out, ", has the log up to %llu", (unsigned long long)member->match_index);
        write_role(status, member, out);
        fprintf(out, "\n");
    }
}

void control_write_status(struct fs *fs, FILE *out)
{
    struct store_status status;

    store_status(fs->store, &status);
    fprintf(out, "node       %s, store %llu\n", status.name, (unsigned long long)status.store_id);
    fprintf(out, "cluster    %016llx\n", (unsigned long long)status.cluster_id);
    fprintf(out, "role       %s\n", status.role);
    write_leader(&status, out);
    fprintf(out, "term       %llu\n", (unsigned long long)status.term);
    fprintf(out, "committed  %llu\n", (unsigned long long)status.commit_index);
    fprintf(out, "applied    %llu\n", (unsigned long long)status.applied_index);
    fprintf(out, "log        %llu to %llu\n", (unsigned long long)status.first_index,
            (unsigned long long)status.last_index);
    fprintf(out, "revision   %llu\n", (unsigned long long)status.revision);
    if (status.no_space)
        fprintf(out, "space      a disk is nearly full: only what frees space is accepted\n");
    write_members(&status, out);
}
