#include "fs/layer.h"
#include "raftstore/tree.h"
#include "seed.h"

#include <criterion/criterion.h>
#include <string.h>

#define NOW 1000

static struct dirty_owner one, two;

static void append_text(struct layer *layer, struct dirty_owner *owner, const char *text)
{
    layer_append(layer, owner, text, strlen(text), NOW);
}

static void write_text(struct layer *layer, struct dirty_owner *owner, uint64_t offset,
                       const char *text)
{
    layer_write(layer, owner, offset, text, strlen(text), NOW);
}

/* The whole file: `below` with the layer over it; zeros shown as dots. */
static const char *show(const struct layer *layer, const char *below)
{
    static char text[64];
    size_t size = layer_size(layer, strlen(below));

    cr_assert_lt(size, sizeof(text));
    memset(text, 0, sizeof(text));
    memcpy(text, below, strlen(below) < size ? strlen(below) : size);
    layer_read(layer, strlen(below), 0, text, size);
    for (size_t i = 0; i < size; i++)
        text[i] = text[i] == '\0' ? '.' : text[i];
    return text;
}

Test(layer, an_empty_layer_changes_nothing)
{
    struct layer layer = {0};
    struct attr attr = {.size = 5, .mtime_ns = 7};

    cr_assert(layer_is_empty(&layer));
    cr_assert_str_eq(show(&layer, "hello"), "hello");
    layer_amend_attr(&layer, &attr);
    cr_assert_eq(attr.size, 5);
    cr_assert_eq(attr.mtime_ns, 7);
}

Test(layer, a_write_past_the_end_leaves_a_hole)
{
    struct layer layer = {0};

    write_text(&layer, &one, 7, "x");
    cr_assert_str_eq(show(&layer, "hello"), "hello..x");
    layer_clear(&layer);
}

Test(layer, a_shorter_and_then_longer_truncation_zeroes_what_was_cut)
{
    struct layer layer = {0};

    layer_truncate(&layer, 5, 2, NOW);
    layer_truncate(&layer, 5, 4, NOW);
    cr_assert_str_eq(show(&layer, "hello"), "he..");
    cr_assert_eq(layer.low, 2);
    cr_assert_eq(layer.end, 4);
    layer_clear(&layer);
}

Test(layer, what_is_written_after_a_truncation_stays)
{
    struct layer layer = {0};

    write_text(&layer, &one, 0, "HE");
    layer_truncate(&layer, 5, 0, NOW);
    write_text(&layer, &one, 1, "z");
    cr_assert_str_eq(show(&layer, "hello"), ".z");
    layer_clear(&layer);
}

Test(layer, appends_are_shown_behind_everything_in_the_order_written)
{
    struct layer layer = {0};

    append_text(&layer, &one, "a");
    append_text(&layer, &two, "b");
    append_text(&layer, &one, "c");
    cr_assert_str_eq(show(&layer, "hello"), "helloabc");
    write_text(&layer, &two, 6, "X");
    cr_assert_str_eq(show(&layer, "hello"), "hello.Xabc");
    layer_clear(&layer);
    cr_assert_eq(one.cost, 0);
    cr_assert_eq(two.cost, 0);
}

Test(layer, truncation_counts_from_the_file_as_shown_with_its_appends)
{
    struct layer layer = {0};

    append_text(&layer, &one, "abc");
    layer_truncate(&layer, 5, 7, NOW);
    cr_assert_str_eq(show(&layer, "hello"), "helloab");
    layer_truncate(&layer, 5, 0, NOW);
    append_text(&layer, &one, "new");
    cr_assert_str_eq(show(&layer, "hello"), "new");
    layer_clear(&layer);
}

Test(layer, a_part_of_a_range_can_be_read)
{
    struct layer layer = {0};
    char text[5] = "llo\0";

    append_text(&layer, &one, "abc");
    layer_read(&layer, 5, 2, text, 4);
    cr_assert_eq(memcmp(text, "lloa", 4), 0);
    layer_read(&layer, 5, 6, text, 2);
    cr_assert_eq(memcmp(text, "bc", 2), 0);
    layer_clear(&layer);
}

Test(layer, taking_moves_the_truncation_and_what_marked_owners_wrote)
{
    struct layer layer = {0}, taken = {0};

    layer_truncate(&layer, 5, 1, NOW);
    write_text(&layer, &one, 1, "1");
    write_text(&layer, &two, 2, "2");
    append_text(&layer, &two, "B");
    append_text(&layer, &one, "A");
    layer.clear_suid = true;
    one.marked = true;
    layer_take(&layer, &taken);
    cr_assert_str_eq(show(&taken, "hello"), "h1A");
    cr_assert(taken.clear_suid);
    cr_assert_not(layer.truncated);
    cr_assert_str_eq(show(&layer, "h1A"), "h12B");
    cr_assert_eq(one.cost, 0);
    cr_assert_eq(layer_cost(&layer), two.cost);
    layer_clear(&layer);
    layer_clear(&taken);
}

Test(layer, dropping_an_owner_leaves_the_others)
{
    struct layer layer = {0};

    write_text(&layer, &one, 0, "1");
    append_text(&layer, &two, "B");
    append_text(&layer, &one, "A");
    layer_drop(&layer, &one);
    cr_assert_str_eq(show(&layer, "hello"), "helloB");
    cr_assert_eq(one.cost, 0);
    layer_drop(&layer, &two);
    cr_assert(layer_is_empty(&layer));
    cr_assert_eq(layer.mtime_ns, 0);
}

Test(layer, a_truncation_below_trims_what_was_written_beyond)
{
    struct layer layer = {0};

    write_text(&layer, &one, 0, "abcdef");
    append_text(&layer, &one, "g");
    layer_trim(&layer, 3, 2);
    cr_assert_str_eq(show(&layer, "he"), "ab");
    layer_clear(&layer);
}

Test(layer, times_set_by_hand_hold_until_the_next_write)
{
    struct layer layer = {0};
    struct attr attr = {0};

    write_text(&layer, &one, 0, "a");
    layer_set_attr(&layer, &(struct command_set_attr){.mask = COMMAND_SET_MTIME | COMMAND_SET_ATIME,
                                                      .atime_ns = 5,
                                                      .mtime_ns = 6});
    layer_amend_attr(&layer, &attr);
    cr_assert_eq(attr.mtime_ns, 6);
    cr_assert_eq(attr.atime_ns, 5);
    write_text(&layer, &one, 1, "b");
    layer_amend_attr(&layer, &attr);
    cr_assert_eq(attr.mtime_ns, NOW);
    cr_assert_eq(attr.size, 2);
    layer_clear(&layer);
}

Test(layer, a_mode_set_by_hand_loses_set_user_id_to_the_next_write_alone)
{
    struct layer layer = {0};
    struct attr attr = {.mode = 04755, .uid = 1};

    write_text(&layer, &one, 0, "a");
    layer_clear_suid(&layer);
    layer_set_attr(&layer, &(struct command_set_attr){.mask = COMMAND_SET_MODE | COMMAND_SET_UID |
                                                              COMMAND_CLEAR_SUID,
                                                      .mode = 06711,
                                                      .uid = 7});
    layer_amend_attr(&layer, &attr);
    cr_assert_eq(attr.mode, 06711);
    cr_assert_eq(attr.uid, 7);
    write_text(&layer, &one, 1, "b");
    layer_clear_suid(&layer);
    layer_amend_attr(&layer, &attr);
    cr_assert_eq(attr.mode, 0711);
    cr_assert_eq(attr.uid, 7);
    layer_clear(&layer);
}

static enum layer_kind kind_at(const struct layer *layer, uint64_t offset, uint64_t expected_end)
{
    uint64_t end;
    enum layer_kind kind = layer_probe(layer, 100, offset, &end);

    cr_assert_eq(end, expected_end, "%llu", (unsigned long long)end);
    return kind;
}

Test(layer, data_and_holes_are_told_from_what_lies_below)
{
    struct layer layer = {0};

    cr_assert_eq(kind_at(&layer, 5, 100), LAYER_BELOW);
    write_text(&layer, &one, 10, "abc");
    layer_zero(&layer, &one, 100, 20, 30, NOW);
    write_text(&layer, &one, 120, "def");
    append_text(&layer, &one, "append");
    cr_assert_eq(kind_at(&layer, 0, 10), LAYER_BELOW);
    cr_assert_eq(kind_at(&layer, 11, 13), LAYER_DATA);
    cr_assert_eq(kind_at(&layer, 13, 20), LAYER_BELOW);
    cr_assert_eq(kind_at(&layer, 20, 50), LAYER_HOLE);
    cr_assert_eq(kind_at(&layer, 60, 100), LAYER_BELOW);
    cr_assert_eq(kind_at(&layer, 100, 120), LAYER_HOLE);
    cr_assert_eq(kind_at(&layer, 121, 123), LAYER_DATA);
    cr_assert_eq(kind_at(&layer, 123, 129), LAYER_DATA);
    layer_truncate(&layer, 100, 60, NOW);
    layer_truncate(&layer, 100, 80, NOW);
    cr_assert_eq(kind_at(&layer, 55, 60), LAYER_BELOW);
    cr_assert_eq(kind_at(&layer, 60, 80), LAYER_HOLE);
    layer_clear(&layer);
}

Test(layer, holes_are_counted_as_far_as_they_are_not_written)
{
    struct attr attr = {.type = FILE_REGULAR, .size = 0};
    struct layer layer = {0};

    layer_extend(&layer, &one, 0, 10 * TREE_CHUNK_SIZE, NOW);
    layer_amend_attr(&layer, &attr);
    cr_assert_eq(attr.size, 10 * TREE_CHUNK_SIZE);
    cr_assert_eq(attr.hole_chunks, 10);
    write_text(&layer, &one, 5 * TREE_CHUNK_SIZE, "abc");
    attr = (struct attr){.type = FILE_REGULAR, .size = 0};
    layer_amend_attr(&layer, &attr);
    cr_assert_eq(attr.hole_chunks, 9);
    layer_truncate(&layer, 0, 1, NOW);
    attr = (struct attr){.type = FILE_REGULAR, .size = 4 * TREE_CHUNK_SIZE};
    layer_amend_attr(&layer, &attr);
    cr_assert_eq(attr.hole_chunks, 0);
    layer_clear(&layer);
}

/* --- against a model: the bytes of the whole file --- */

#define MODEL_MAX   4096
#define MODEL_BELOW 50
#define MODEL_STEPS 400

struct model {
    uint8_t bytes[MODEL_MAX];
    size_t size;
};

static void model_resize(struct model *model, size_t size)
{
    if (size > model->size)
        memset(model->bytes + model->size, 0, size - model->size);
    model->size = size;
}

static void model_write(struct model *model, size_t offset, const uint8_t *data, size_t size)
{
    if (offset + size > model->size)
        model_resize(model, offset + size);
    memcpy(model->bytes + offset, data, size);
}

/* One owner, so that every operation is one that POSIX orders. Positional
 * writes do not reach past pending appends: what they show is documented. */
static void random_step(struct layer *layer, struct model *model, uint64_t *state)
{
    uint8_t data[40];
    size_t size = 1 + seed_below(state, sizeof(data));

    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(1 + seed_below(state, 255));
    switch (seed_below(state, 10)) {
    case 0: {
        size_t to = seed_below(state, (uint32_t)model->size + 40);
        layer_truncate(layer, MODEL_BELOW, to, NOW);
        model_resize(model, to);
        break;
    }
    case 1: {
        size_t offset = seed_below(state, (uint32_t)model->size + 20);
        memset(data, 0, size);
        layer_zero(layer, &one, MODEL_BELOW, offset, size, NOW);
        model_write(model, offset, data, size);
        break;
    }
    case 2: {
        size_t to = model->size + seed_below(state, 20);
        layer_extend(layer, &one, MODEL_BELOW, to, NOW);
        model_resize(model, to);
        break;
    }
    case 3:
    case 4:
        layer_append(layer, &one, data, size, NOW);
        model_write(model, model->size, data, size);
        break;
    default:
        if (layer->append_count == 0) {
            size_t offset = seed_below(state, (uint32_t)model->size + 20);
            layer_write(layer, &one, offset, data, size, NOW);
            model_write(model, offset, data, size);
        }
    }
}

Test(layer, random_operations_agree_with_a_plain_file)
{
    uint64_t state = seed_take("layer");

    for (int round = 0; round < 60; round++) {
        struct layer layer = {0};
        static struct model model;
        uint8_t below[MODEL_BELOW], seen[MODEL_MAX];
        for (size_t i = 0; i < sizeof(below); i++)
            below[i] = (uint8_t)seed_next(&state);
        model.size = 0;
        model_write(&model, 0, below, sizeof(below));
        for (int step = 0; step < MODEL_STEPS && model.size < MODEL_MAX - 100; step++) {
            random_step(&layer, &model, &state);
            cr_assert_eq(layer_size(&layer, MODEL_BELOW), model.size);
            size_t from = seed_below(&state, (uint32_t)model.size + 1);
            memset(seen, 0, sizeof(seen));
            if (from < MODEL_BELOW)
                memcpy(seen, below + from, MODEL_BELOW - from);
            layer_read(&layer, MODEL_BELOW, from, seen, model.size - from);
            cr_assert_eq(memcmp(seen, model.bytes + from, model.size - from), 0);
            cr_assert_eq(one.cost, layer_cost(&layer));
        }
        layer_clear(&layer);
        cr_assert_eq(one.cost, 0);
    }
}
