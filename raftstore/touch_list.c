#include "raftstore/touch_list.h"

#include "raft/le64.h"
#include "raft/varint.h"
#include "raftstore/memory.h"
#include "raftstore/touch.h"

#include <stdlib.h>

#define FIRST_ROOM 64

/* keelfspb.CommandBatch.touched */
#define BATCH_TOUCHED 5

#define KEY_BYTES 8

void touch_list_release(struct touch_list *list)
{
    free(list->keys);
    *list = (struct touch_list){0};
}

void touch_list_clear(struct touch_list *list)
{
    list->count = 0;
}

bool touch_list_is_everything(const struct touch_list *list)
{
    return list->count == 1 && touch_is_everything(list->keys[0]);
}

void touch_list_add(struct touch_list *list, uint64_t key)
{
    if (key == TOUCH_NOTHING || touch_list_is_everything(list))
        return;
    if (list->count == list->room) {
        list->room = list->room == 0 ? FIRST_ROOM : 2 * list->room;
        list->keys = mem_realloc(list->keys, list->room * sizeof(*list->keys));
    }
    if (touch_is_everything(key) || list->count == TOUCH_LIST_MAX) {
        key = TOUCH_EVERYTHING;
        list->count = 0;
    }
    list->keys[list->count++] = key;
}

/* One with the mark comes behind the same without. */
static int compare_keys(const void *a, const void *b)
{
    const uint64_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

void touch_list_unite(struct touch_list *list)
{
    if (list->count < 2)
        return;
    qsort(list->keys, list->count, sizeof(*list->keys), compare_keys);
    size_t kept = 0;
    for (size_t i = 1; i < list->count; i++) {
        if (touch_object(list->keys[i]) != touch_object(list->keys[kept]))
            kept++;
        list->keys[kept] = list->keys[i];
    }
    list->count = kept + 1;
}

/* False: there is no such field, or it makes no sense. */
static bool find_touched(const struct raft_entry *entry, struct raft_wire_field *ret_field)
{
    struct raft_wire_reader r = {.at = entry->data, .end = entry->data + entry->size};
    struct raft_wire_field field;
    bool found = false;
    while (raft_wire_next(&r, &field)) {
        if (field.number != BATCH_TOUCHED)
            continue;
        if (found || field.type != RAFT_WIRE_BYTES || field.size % KEY_BYTES != 0)
            return false;
        *ret_field = field;
        found = true;
    }
    return found && !r.bad;
}

void touch_list_add_entry(struct touch_list *list, const struct raft_entry *entry)
{
    struct raft_wire_field touched;
    if (entry->type == RAFT_ENTRY_NORMAL && entry->size == 0)
        return; /* a new leader's first */
    if (entry->type != RAFT_ENTRY_NORMAL || !find_touched(entry, &touched)) {
        touch_list_add(list, TOUCH_EVERYTHING);
        return;
    }
    for (size_t at = 0; at < touched.size; at += KEY_BYTES)
        touch_list_add(list, raft_get_le64(touched.data + at));
}
