/* Keys of touch.h that are collected: those of one entry of the log, of all that are
 * written at once. Past TOUCH_LIST_MAX the list says TOUCH_EVERYTHING and nothing else.
 * Zeroed is empty. One owner.
 */
#ifndef KEELFS_RAFTSTORE_TOUCH_LIST_H
#define KEELFS_RAFTSTORE_TOUCH_LIST_H

#include "raft/entry.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOUCH_LIST_MAX 4096

struct touch_list {
    uint64_t *keys;
    size_t count;
    size_t room;
};

void touch_list_release(struct touch_list *list);
void touch_list_clear(struct touch_list *list);
/* TOUCH_NOTHING is passed over. */
void touch_list_add(struct touch_list *list, uint64_t key);
bool touch_list_is_everything(const struct touch_list *list);
/* Each object once, marked TOUCH_NAMES if it was so anywhere; in any order. */
void touch_list_unite(struct touch_list *list);

/* Adds what an entry of the log changes. Reads what the proposer wrote beside the commands,
 * which can be large; an entry that says nothing, and a change of members, is
 * TOUCH_EVERYTHING. */
void touch_list_add_entry(struct touch_list *list, const struct raft_entry *entry);

#endif
