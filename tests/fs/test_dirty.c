#include "fs/dirty.h"
#include "raftstore/command.h"
#include "raftstore/tree.h"
#include "seed.h"

#include <criterion/criterion.h>
#include <string.h>

static struct dirty_owner one, two;

static void write_text(struct dirty_map *map, struct dirty_owner *owner, uint64_t offset,
                       const char *text)
{
    dirty_map_write(map, owner, offset, text, strlen(text));
}

/* Ten bytes from `offset`, dots where the map has nothing. */
static const char *show(const struct dirty_map *map, uint64_t offset)
{
    static char text[11];

    memset(text, '.', 10);
    dirty_map_read(map, offset, text, 10);
    return text;
}

Test(dirty, a_write_is_read_back_where_it_was_written)
{
    struct dirty_map map = {0};

    write_text(&map, &one, 3, "abc");
    cr_assert_str_eq(show(&map, 0), "...abc....");
    cr_assert_str_eq(show(&map, 4), "bc........");
    cr_assert_eq(dirty_map_end(&map), 6);
    dirty_map_clear(&map);
    cr_assert_eq(one.cost, 0);
    cr_assert_eq(dirty_map_end(&map), 0);
}

Test(dirty, a_later_write_wins_whoever_wrote_before)
{
    struct dirty_map map = {0};

    write_text(&map, &one, 0, "aaaaaaaaaa");
    write_text(&map, &two, 3, "bbb");
    cr_assert_str_eq(show(&map, 0), "aaabbbaaaa");
    cr_assert_eq(map.count, 3);
    write_text(&map, &one, 2, "ccccc");
    cr_assert_str_eq(show(&map, 0), "aacccccaaa");
    cr_assert_eq(two.cost, 0);
    dirty_map_clear(&map);
}

Test(dirty, sequential_writes_grow_one_extent_up_to_its_limit)
{
    struct dirty_map map = {0};
    static char block[65536];
    uint64_t offset = 0;

    for (int i = 0; i < 32; i++, offset += sizeof(block))
        dirty_map_write(&map, &one, offset, block, sizeof(block));
    cr_assert_eq(map.count, 2);
    cr_assert_eq(map.extents[0]->size, DIRTY_EXTENT_BYTES_MAX);
    cr_assert_eq(one.cost, offset + 2 * DIRTY_EXTENT_COST);
    cr_assert_eq(map.cost, one.cost);
    dirty_map_clear(&map);
}

Test(dirty, a_write_larger_than_an_extent_becomes_several)
{
    struct dirty_map map = {0};
    size_t size = 2 * DIRTY_EXTENT_BYTES_MAX + 5;
    char *data = calloc(1, size);

    data[size - 1] = 'z';
    dirty_map_write(&map, &one, 7, data, size);
    cr_assert_eq(map.count, 3);
    cr_assert_eq(dirty_map_end(&map), 7 + size);
    cr_assert_leq(one.cost, dirty_write_cost(size));
    cr_assert_str_eq(show(&map, 7 + size - 1), "z.........");
    dirty_map_clear(&map);
    free(data);
}

Test(dirty, truncation_cuts_the_extent_it_falls_into)
{
    struct dirty_map map = {0};

    write_text(&map, &one, 0, "aaaa");
    write_text(&map, &two, 6, "bb");
    dirty_map_truncate(&map, 3);
    cr_assert_str_eq(show(&map, 0), "aaa.......");
    cr_assert_eq(dirty_map_end(&map), 3);
    cr_assert_eq(two.cost, 0);
    dirty_map_truncate(&map, 0);
    cr_assert_eq(map.count, 0);
    dirty_map_clear(&map);
}

Test(dirty, only_the_extents_of_marked_owners_are_taken)
{
    struct dirty_map map = {0}, taken = {0};

    write_text(&map, &one, 0, "aaa");
    write_text(&map, &two, 3, "bbb");
    write_text(&map, &one, 6, "ccc");
    one.marked = true;
    dirty_map_take(&map, &taken);
    cr_assert_str_eq(show(&taken, 0), "aaa...ccc.");
    cr_assert_str_eq(show(&map, 0), "...bbb....");
    cr_assert_eq(one.cost, 0);
    cr_assert_eq(two.cost, map.cost);
    cr_assert_eq(taken.cost, 6 + 2 * DIRTY_EXTENT_COST);
    cr_assert_null(taken.extents[0]->owner);
    dirty_map_clear(&map);
    dirty_map_clear(&taken);
}

Test(dirty, what_an_overwritten_extent_holds_in_memory_is_what_it_is_charged)
{
    struct dirty_map map = {0};
    char *data = calloc(1, DIRTY_EXTENT_BYTES_MAX);

    dirty_map_write(&map, &one, 0, data, DIRTY_EXTENT_BYTES_MAX);
    dirty_map_write(&map, &two, 1, data, DIRTY_EXTENT_BYTES_MAX);
    cr_assert_eq(map.extents[0]->size, 1);
    cr_assert_eq(map.extents[0]->capacity, 1);
    dirty_map_clear(&map);
    free(data);
}

Test(dirty, every_chunk_that_an_extent_touches_counts)
{
    struct dirty_map map = {0};
    static char data[2 * TREE_CHUNK_SIZE];

    write_text(&map, &one, TREE_CHUNK_SIZE - 1, "ab");
    cr_assert_eq(one.chunks, 2);
    dirty_map_write(&map, &one, 10 * TREE_CHUNK_SIZE, data, sizeof(data));
    cr_assert_eq(one.chunks, 4);
    write_text(&map, &two, 10 * TREE_CHUNK_SIZE + 5, "x");
    cr_assert_eq(one.chunks, 5);
    dirty_map_truncate(&map, TREE_CHUNK_SIZE);
    cr_assert_eq(one.chunks, 1);
    cr_assert_eq(two.chunks, 0);
    dirty_map_clear(&map);
}

Test(dirty, zeros_take_no_memory_and_count_as_what_they_delete)
{
    struct dirty_map map = {0};

    dirty_map_zero(&map, &one, 0, TREE_FILE_MAX);
    cr_assert_eq(one.cost, DIRTY_EXTENT_COST);
    cr_assert_eq(one.chunks, command_zeros_chunks(TREE_FILE_MAX));
    cr_assert_eq(map.data_chunks, 0);
    write_text(&map, &one, 5, "abc");
    cr_assert_eq(map.count, 3);
    cr_assert_eq(map.data_chunks, 1);
    char text[10];
    memset(text, '.', sizeof(text));
    dirty_map_read(&map, 0, text, sizeof(text));
    cr_assert_eq(memcmp(text, "\0\0\0\0\0abc\0\0", 10), 0);
    dirty_map_clear(&map);
    cr_assert_eq(one.chunks, 0);
}

Test(dirty, a_length_is_the_end_of_the_map_and_nothing_else)
{
    struct dirty_map map = {0};
    uint64_t end;

    write_text(&map, &one, 0, "abc");
    dirty_map_extend(&map, &two, 7);
    dirty_map_extend(&map, &two, 5);
    cr_assert_eq(dirty_map_end(&map), 7);
    dirty_map_extend(&map, &two, 9);
    cr_assert_eq(map.count, 2);
    cr_assert_str_eq(show(&map, 0), "abc.......");
    cr_assert_eq(dirty_map_probe(&map, 4, &end), DIRTY_NOTHING);
    write_text(&map, &two, 9, "z");
    write_text(&map, &two, 6, "xyz");
    cr_assert_str_eq(show(&map, 0), "abc...xyzz");
    write_text(&map, &one, 5, "vwxyz");
    cr_assert_str_eq(show(&map, 0), "abc..vwxyz");
    dirty_map_extend(&map, &one, 20);
    dirty_map_truncate(&map, 8);
    cr_assert_eq(dirty_map_end(&map), 8);
    dirty_map_clear(&map);
    cr_assert_eq(two.cost, 0);
}

/* --- against a model: for each byte, its value and who wrote it --- */

#define MODEL_SIZE   512
#define MODEL_OWNERS 3
#define MODEL_STEPS  20000

struct model {
    uint8_t value[MODEL_SIZE];
    struct dirty_owner *owner[MODEL_SIZE]; /* NULL: not dirty */
};

static void model_check(const struct dirty_map *map, const struct model *model)
{
    struct dirty_owner *owner_at[MODEL_SIZE] = {0};
    uint8_t bytes[MODEL_SIZE];
    size_t cost = 0;
    size_t data_chunks = 0;
    uint64_t end = 0;

    for (size_t i = 0; i < map->count; i++) {
        const struct dirty_extent *extent = map->extents[i];
        cr_assert_gt(extent->size, 0);
        data_chunks += extent->data != NULL ? 1 : 0;
        cr_assert_geq(extent->offset, end, "extents overlap or are out of order");
        end = extent->offset + extent->size;
        cost += (extent->data != NULL ? extent->size : 0) + DIRTY_EXTENT_COST;
        for (size_t j = 0; j < extent->size; j++)
            owner_at[extent->offset + j] = extent->owner;
    }
    memset(bytes, 0, sizeof(bytes));
    dirty_map_read(map, 0, bytes, sizeof(bytes));
    for (size_t i = 0; i < MODEL_SIZE; i++) {
        cr_assert_eq(owner_at[i], model->owner[i], "owner of byte %zu", i);
        cr_assert_eq(bytes[i], model->owner[i] != NULL ? model->value[i] : 0, "byte %zu", i);
    }
    cr_assert_eq(map->cost, cost);
    cr_assert_eq(map->data_chunks, data_chunks);
}

static void model_forget(struct model *model, size_t from, const struct dirty_owner *owner)
{
    for (size_t i = from; i < MODEL_SIZE; i++) {
        if (owner == NULL || model->owner[i] == owner)
            model->owner[i] = NULL;
    }
}

static void step_write(struct dirty_map *map, struct model *model, struct dirty_owner *owner,
                       uint64_t *state)
{
    uint8_t data[MODEL_SIZE];
    size_t offset = seed_below(state, MODEL_SIZE);
    size_t size = seed_below(state, seed_below(state, 8) == 0 ? MODEL_SIZE : 24);

    if (size > MODEL_SIZE - offset)
        size = MODEL_SIZE - offset;
    bool zeros = size > 0 && seed_below(state, 4) == 0;
    for (size_t i = 0; i < size; i++) {
        data[i] = zeros ? 0 : (uint8_t)seed_next(state);
        model->value[offset + i] = data[i];
        model->owner[offset + i] = owner;
    }
    if (zeros)
        dirty_map_zero(map, owner, offset, size);
    else
        dirty_map_write(map, owner, offset, data, size);
}

static void step_take(struct dirty_map *map, struct model *model, struct dirty_owner *owner)
{
    struct dirty_map taken = {0};
    struct model expected = *model;

    for (size_t i = 0; i < MODEL_SIZE; i++) {
        if (model->owner[i] != owner)
            expected.owner[i] = NULL;
    }
    owner->marked = true;
    dirty_map_take(map, &taken);
    owner->marked = false;
    for (size_t i = 0; i < taken.count; i++) {
        uint8_t seen[MODEL_SIZE] = {0};
        const struct dirty_extent *extent = taken.extents[i];
        dirty_map_read(&taken, extent->offset, seen, extent->size);
        for (size_t j = 0; j < extent->size; j++) {
            cr_assert_not_null(expected.owner[extent->offset + j]);
            cr_assert_eq(seen[j], model->value[extent->offset + j]);
            expected.owner[extent->offset + j] = NULL;
        }
    }
    for (size_t i = 0; i < MODEL_SIZE; i++)
        cr_assert_null(expected.owner[i], "byte %zu was not taken", i);
    cr_assert_eq(owner->cost, 0);
    model_forget(model, 0, owner);
    dirty_map_clear(&taken);
}

Test(dirty, random_operations_agree_with_a_model)
{
    struct dirty_owner owners[MODEL_OWNERS] = {0};
    struct dirty_map map = {0};
    static struct model model;
    uint64_t state = seed_take("dirty");

    for (int step = 0; step < MODEL_STEPS; step++) {
        struct dirty_owner *owner = &owners[seed_below(&state, MODEL_OWNERS)];
        switch (seed_below(&state, 40)) {
        case 0: {
            size_t size = seed_below(&state, MODEL_SIZE);
            dirty_map_truncate(&map, size);
            model_forget(&model, size, NULL);
            break;
        }
        case 1:
            dirty_map_drop(&map, owner);
            model_forget(&model, 0, owner);
            break;
        case 2:
            step_take(&map, &model, owner);
            break;
        default:
            step_write(&map, &model, owner, &state);
        }
        model_check(&map, &model);
        cr_assert_eq(map.cost, owners[0].cost + owners[1].cost + owners[2].cost);
        /* Zeros count for two. */
        cr_assert_eq(2 * map.count - map.data_chunks,
                     owners[0].chunks + owners[1].chunks + owners[2].chunks);
    }
    dirty_map_clear(&map);
    cr_assert_eq(owners[0].chunks, 0);
}
