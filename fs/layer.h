/* Changes of one file that lie over a version of it: first it may be truncated,
 * then extents are written, then bytes are appended. The order is that of
 * command_write(), so that a layer is one publish.
 *
 *     what a local reader sees = view, with the layer in flight over it, with
 *                                the dirty layer over that
 *
 * Pure: no I/O, no lock; the file that embeds a layer guards it.
 *
 * Appended bytes have no offset until they are applied; they are shown behind
 * everything else. What a position names is the file as shown, so a truncation,
 * and zeros behind them, turn them into extents first.
 */
#ifndef KEELFS_FS_LAYER_H
#define KEELFS_FS_LAYER_H

#include "fs/dirty.h"
#include "raftstore/attr.h"
#include "raftstore/command.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct layer_append {
    struct dirty_owner *owner; /* NULL once taken */
    size_t size;
    size_t capacity;
    uint8_t *data;
};

struct layer {
    bool truncated;
    uint64_t low; /* bytes of what lies below are gone from here on */
    uint64_t end; /* the size that the last truncation set; >= low */
    struct dirty_map extents;
    struct layer_append *appends; /* in the order they were written */
    size_t append_count;
    size_t append_capacity;
    size_t append_cost;
    uint64_t append_bytes;
    int64_t mtime_ns; /* of the last change of content; 0: none */
    bool clear_suid;
    struct command_set_attr set; /* what was set by hand after that; no path, no size */
};

/* All zeros is an empty layer; clearing makes it one. */
void layer_clear(struct layer *layer);
bool layer_is_empty(const struct layer *layer);

/* Bytes of memory it is charged for. */
size_t layer_cost(const struct layer *layer);

/* `now_ns` is the wall clock: the new mtime. */
void layer_write(struct layer *layer, struct dirty_owner *owner, uint64_t offset, const void *data,
                 size_t size, int64_t now_ns);
/* Zeros instead of data: as far as they fill chunks they take no room. */
void layer_zero(struct layer *layer, struct dirty_owner *owner, uint64_t below, uint64_t offset,
                uint64_t size, int64_t now_ns);
/* The file gets `size` bytes at least: what others append meanwhile stays. */
void layer_extend(struct layer *layer, struct dirty_owner *owner, uint64_t below, uint64_t size,
                  int64_t now_ns);
void layer_append(struct layer *layer, struct dirty_owner *owner, const void *data, size_t size,
                  int64_t now_ns);

/* Truncates or extends to `size`. `below` is the size of what lies below. */
void layer_truncate(struct layer *layer, uint64_t below, uint64_t size, int64_t now_ns);
/* Undoes it: what lies below is there again. */
void layer_drop_truncation(struct layer *layer);

/* What lies below was truncated to `size`: what was written beyond goes too.
 * `below` is the size of before. */
void layer_trim(struct layer *layer, uint64_t below, uint64_t size);

/* Mode, owner and times set by hand, in this order with the changes of content: a
 * later write has its effect on them. Only in a layer that is not empty. */
void layer_set_attr(struct layer *layer, const struct command_set_attr *set);

/* What lies below had the attributes `was` when that was set, and has `now`: of what has been
 * set by hand elsewhere since, nothing is set over it. */
void layer_yield_set(struct layer *layer, const struct attr *was, const struct attr *now);

/* What is written from now on takes set-user-id away. */
void layer_clear_suid(struct layer *layer);

/* Moves the truncation and what marked owners wrote to `into`, which is empty. */
void layer_take(struct layer *layer, struct layer *into);

/* All of it is `owner`'s from now on. */
void layer_give(struct layer *layer, struct dirty_owner *owner);

/* Drops what `owner` wrote. */
void layer_drop(struct layer *layer, const struct dirty_owner *owner);

/* The size with the layer over `below` bytes. */
uint64_t layer_size(const struct layer *layer, uint64_t below);

/* Lays the layer over `buffer`, which stands for [offset, offset + size) of a
 * file of `below` bytes, zeros behind its end. */
void layer_read(const struct layer *layer, uint64_t below, uint64_t offset, void *buffer,
                size_t size);

/* What is at `offset`, which is in the file, up to `*ret_end`: data or a hole of the
 * layer's, or what lies below. */
enum layer_kind { LAYER_BELOW, LAYER_DATA, LAYER_HOLE };
enum layer_kind layer_probe(const struct layer *layer, uint64_t below, uint64_t offset,
                            uint64_t *ret_end);

/* The mode, owner and times that `set` names; the rest of `attr` stays. */
void layer_amend_set(const struct command_set_attr *set, struct attr *attr);

/* Size, times, mode, owner and holes with the layer over what has `attr`. Of holes that are
 * written over, as many are counted as may be filled. */
void layer_amend_attr(const struct layer *layer, struct attr *attr);

/* Adds the layer's requests to `cmd`; every byte is copied. `if_version`: refused
 * with KE_STALE unless the file has it; 0: any. */
void layer_pack(const struct layer *layer, const char *path, uint64_t id, uint64_t if_version,
                struct command *cmd);

#endif
