#include "fs/fresh.h"

#include "raftstore/memory.h"

#include <stdlib.h>

void fresh_release(struct fresh *fresh)
{
    for (size_t i = 0; i < fresh->count; i++)
        inode_unpin(fresh->inodes[i]);
    free(fresh->inodes);
    *fresh = (struct fresh){0};
}

static bool is_made(const struct change *change)
{
    return change->kind == CHANGE_CREATED && change->version == change->id;
}

/* Ids count up: what is older than the first that was made was not made by them. */
static bool moves_made(const struct change *change, uint64_t first_made)
{
    switch (change->kind) {
    case CHANGE_REMOVED:
        return change->id >= first_made;
    case CHANGE_RENAMED:
        return change->id >= first_made || change->type == FILE_DIRECTORY;
    case CHANGE_EXCHANGED:
        return true;
    default:
        return false;
    }
}

bool fresh_is_needed(const struct change *changes, size_t count)
{
    uint64_t first_made = 0;

    for (size_t i = 0; i < count; i++) {
        if (is_made(&changes[i]) && first_made == 0)
            first_made = changes[i].id;
        if (first_made != 0 && moves_made(&changes[i], first_made))
            return true;
    }
    return false;
}

void fresh_add(struct fresh *fresh, struct inode_table *table, const struct change *change)
{
    if (!is_made(change))
        return;
    if (fresh->count == fresh->capacity) {
        fresh->capacity = fresh->capacity == 0 ? 64 : fresh->capacity * 2;
        fresh->inodes = mem_realloc(fresh->inodes, fresh->capacity * sizeof(*fresh->inodes));
    }
    fresh->inodes[fresh->count++] = inode_remember(table, change->id, change->type, change->path);
}
