/* Whether a state can be what was found in the end; see state.h. */
#include "state.h"

#include <string.h>

static bool inode_fits(const struct state *state, const struct state *found, uint8_t inode,
                       uint8_t other, uint8_t *map);

static bool entries_fit(const struct state *state, const struct state *found, uint8_t inode,
                        uint8_t other, uint8_t *map)
{
    for (size_t i = 0; i < NAME_COUNT; i++) {
        uint8_t one = state->inodes[inode].entries[i], two = found->inodes[other].entries[i];
        if ((one == STATE_NO_INODE) != (two == STATE_NO_INODE))
            return false;
        if (one != STATE_NO_INODE && !inode_fits(state, found, one, two, map))
            return false;
    }
    return true;
}

static bool inode_fits(const struct state *state, const struct state *found, uint8_t inode,
                       uint8_t other, uint8_t *map)
{
    const struct state_inode *one = &state->inodes[inode], *two = &found->inodes[other];

    if (map[inode] != STATE_NO_INODE)
        return map[inode] == other;
    map[inode] = other;
    if (one->type != two->type || one->xattr != two->xattr || one->target != two->target ||
        (one->ino != 0 && one->ino != two->ino) ||
        (one->mtime_s != 0 && one->mtime_s != two->mtime_s))
        return false;
    if (one->type != TYPE_LINK && one->mode != two->mode)
        return false;
    if (one->type == TYPE_DIR)
        return entries_fit(state, found, inode, other, map);
    return one->nlink == two->nlink &&
           (one->type == TYPE_LINK ||
            one->versions[one->version_count - 1] == two->versions[two->version_count - 1]);
}

bool state_fits(const struct state *state, const struct state *found)
{
    uint8_t map[STATE_INODES_MAX];

    memset(map, STATE_NO_INODE, sizeof(map));
    map[STATE_ROOT] = STATE_ROOT;
    return entries_fit(state, found, STATE_ROOT, STATE_ROOT, map);
}
