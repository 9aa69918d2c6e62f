/* The holes of one file while a command changes it; see hole_map.h. The map of the group
 * that is being looked at is held in memory. */
#include "raftstore/executor_run.h"
#include "raftstore/keys.h"

#include <assert.h>
#include <stdlib.h>

void holes_begin(struct holes *holes, struct run *run, const struct attr *attr)
{
    holes->run = run;
    holes->id = attr->id;
    holes->chunks = tree_chunk_count(attr->size);
    holes->count = (uint32_t)attr->hole_chunks;
    holes->held = false;
}

static uint32_t group_of(uint32_t chunk)
{
    return chunk / HOLE_MAP_CHUNKS;
}

/* Chunks of a file with `chunks` of them in all that are in the group. */
static uint32_t chunks_in(uint32_t chunks, uint32_t group)
{
    uint32_t first = group * HOLE_MAP_CHUNKS;

    if (chunks <= first) {
        return 0;
    }
    return chunks - first < HOLE_MAP_CHUNKS ? chunks - first : HOLE_MAP_CHUNKS;
}

static void flush(struct holes *holes)
{
    struct key key = key_hole_map(holes->id, holes->group);
    uint32_t count = chunks_in(holes->chunks, holes->group);

    if (!holes->held || !holes->changed) {
        return;
    }
    holes->changed = false;
    if (hole_map_count(&holes->map, 0, count) > 0) {
        run_put(holes->run, CF_DEFAULT, key_bytes(&key), hole_map_pack(&holes->map));
        holes->stored = true;
    } else if (holes->stored) {
        run_delete(holes->run, CF_DEFAULT, key_bytes(&key));
        holes->stored = false;
    }
}

static bool load(struct holes *holes, struct key key)
{
    uint8_t *value;
    size_t size;
    int code;

    /* Most files have no hole and cost no look. */
    if (holes->count == 0 || !run_get(holes->run, CF_DEFAULT, key_bytes(&key), &value, &size)) {
        return false;
    }
    code = hole_map_unpack((struct bytes){.data = value, .size = size}, &holes->map);
    free(value);
    if (code != 0) {
        run_stop_unreadable(code);
    }
    return true;
}

static void hold(struct holes *holes, uint32_t group)
{
    if (holes->held && holes->group == group) {
        return;
    }
    flush(holes);
    holes->held = true;
    holes->changed = false;
    holes->group = group;
    holes->stored = load(holes, key_hole_map(holes->id, group));
    if (!holes->stored) {
        hole_map_init(&holes->map, chunks_in(holes->chunks, group));
    }
}

bool holes_has_row(struct holes *holes, uint32_t chunk)
{
    if (chunk >= holes->chunks || holes->count == 0) {
        return chunk < holes->chunks;
    }
    hold(holes, group_of(chunk));
    return hole_map_has_row(&holes->map, chunk % HOLE_MAP_CHUNKS);
}

void holes_extend(struct holes *holes, uint32_t chunks)
{
    uint32_t group = group_of(holes->chunks);

    if (chunks <= holes->chunks) {
        return;
    }
    for (; group <= group_of(chunks - 1); group++) {
        hold(holes, group);
        holes->changed = true;
        holes->count += chunks_in(chunks, group) - chunks_in(holes->chunks, group);
        if (holes->chunks < chunks) {
            uint32_t end = (group + 1) * HOLE_MAP_CHUNKS;

            holes->chunks = chunks < end ? chunks : end;
        }
    }
}

void holes_add_row(struct holes *holes, uint32_t chunk)
{
    if (holes->count == 0 && chunk <= holes->chunks && !holes->held) {
        holes->chunks = chunk == holes->chunks ? chunk + 1 : holes->chunks;
        return;
    }
    holes_extend(holes, chunk + 1);
    hold(holes, group_of(chunk));
    if (!hole_map_has_row(&holes->map, chunk % HOLE_MAP_CHUNKS)) {
        hole_map_set_row(&holes->map, chunk % HOLE_MAP_CHUNKS);
        holes->changed = true;
        holes->count--;
    }
}

void holes_dig(struct holes *holes, uint32_t from, uint32_t to)
{
    assert(to <= holes->chunks);
    while (from < to) {
        uint32_t group = group_of(from);
        uint32_t first = from % HOLE_MAP_CHUNKS;
        uint32_t size = to - from < HOLE_MAP_CHUNKS - first ? to - from : HOLE_MAP_CHUNKS - first;

        hold(holes, group);
        holes->count += size - hole_map_count(&holes->map, first, first + size);
        hole_map_dig(&holes->map, first, first + size);
        holes->changed = true;
        from += size;
    }
}

void holes_cut(struct holes *holes, uint32_t chunks)
{
    uint32_t group = group_of(chunks);

    if (holes->count == 0) {
        flush(holes);
        holes->held = false;
        holes->chunks = chunks < holes->chunks ? chunks : holes->chunks;
        return;
    }
    while (holes->chunks > chunks) {
        uint32_t last = group_of(holes->chunks - 1);
        uint32_t end = chunks_in(holes->chunks, last);
        uint32_t keep = last == group ? chunks % HOLE_MAP_CHUNKS : 0;

        hold(holes, last);
        holes->count -= hole_map_count(&holes->map, keep, end);
        hole_map_dig(&holes->map, keep, end);
        holes->changed = true;
        holes->chunks = last * HOLE_MAP_CHUNKS + keep;
        /* Before another group is held: an empty group has no map. */
        flush(holes);
    }
}

uint32_t holes_end(struct holes *holes)
{
    flush(holes);
    return holes->count;
}
