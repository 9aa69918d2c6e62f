#include "volume.h"

#include "raftstore/path.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void start(struct volume *v)
{
    struct err e = {0};

    cr_assert_eq(engine_open(v->dir, ENGINE_KV, &v->kv, &e), 0, "%s", e.text);
    v->executor = executor_new(v->kv);
    v->batch = engine_batch_new(true);
    v->tree = tree_new(v->kv);
}

static void stop(struct volume *v)
{
    tree_free(v->tree);
    engine_batch_free(v->batch);
    executor_free(v->executor);
    engine_close(v->kv);
}

void volume_open(struct volume *v)
{
    memset(v, 0, sizeof *v);
    scratch_make(v->dir);
    start(v);
    executor_format(v->kv, v->batch);
    volume_commit(v);
}

void volume_close(struct volume *v)
{
    stop(v);
    scratch_remove(v->dir);
}

void volume_reopen(struct volume *v)
{
    stop(v);
    start(v);
}

void volume_commit(struct volume *v)
{
    executor_finish_batch(v->executor, v->batch);
    engine_write(v->kv, v->batch, false);
    engine_batch_clear(v->batch);
}

struct command *volume_command(void)
{
    struct command *cmd = command_new();

    command_set_time(cmd, VOLUME_TIME);
    command_set_owner(cmd, VOLUME_UID, VOLUME_GID);
    return cmd;
}

int volume_run(struct volume *v, struct command *cmd)
{
    size_t size;
    const void *bytes = command_bytes(cmd, &size);

    executor_run(v->executor, v->batch, bytes, size, &v->revision, &v->result);
    command_free(cmd);
    if (!v->hold) {
        volume_commit(v);
    }
    return v->result.code;
}

/* --- requests --- */

int volume_put(struct volume *v, const char *path, const char *text)
{
    struct command *cmd = volume_command();

    command_put(cmd, "default", path, strlen(path), text, strlen(text));
    return volume_run(v, cmd);
}

int volume_delete(struct volume *v, const char *path)
{
    struct command *cmd = volume_command();

    command_delete(cmd, "default", path, strlen(path));
    return volume_run(v, cmd);
}

static int create(struct volume *v, const struct command_create *create)
{
    struct command *cmd = volume_command();

    command_create(cmd, create);
    return volume_run(v, cmd);
}

int volume_create(struct volume *v, const char *path, bool exclusive)
{
    return create(v, &(struct command_create){.path = path,
                                              .type = FILE_REGULAR,
                                              .mode = 0640,
                                              .uid = 7,
                                              .gid = 8,
                                              .exclusive = exclusive});
}

int volume_mkdir(struct volume *v, const char *path)
{
    return create(v, &(struct command_create){.path = path,
                                              .type = FILE_DIRECTORY,
                                              .mode = 0750,
                                              .uid = 7,
                                              .gid = 8,
                                              .exclusive = true});
}

int volume_symlink(struct volume *v, const char *path, const char *target)
{
    return create(
        v,
        &(struct command_create){
            .path = path, .type = FILE_SYMLINK, .mode = 0777, .target = target, .exclusive = true});
}

int volume_remove(struct volume *v, const char *path, bool directory)
{
    struct command *cmd = volume_command();

    command_remove(cmd, path, directory);
    return volume_run(v, cmd);
}

int volume_rename(struct volume *v, const char *from, const char *to)
{
    struct command *cmd = volume_command();

    command_rename(cmd, from, to, false);
    return volume_run(v, cmd);
}

int volume_write(struct volume *v, const char *path, uint64_t offset, const void *data, size_t size)
{
    struct command *cmd = volume_command();
    struct command_extent extent = {.offset = offset, .data = data, .size = size};

    command_write(
        cmd, &(struct command_write){
                 .path = path, .id = volume_id(v, path), .extents = &extent, .extent_count = 1});
    return volume_run(v, cmd);
}

int volume_append(struct volume *v, const char *path, const char *text)
{
    struct command *cmd = volume_command();

    command_write(cmd, &(struct command_write){.path = path,
                                               .id = volume_id(v, path),
                                               .append = text,
                                               .append_size = strlen(text)});
    return volume_run(v, cmd);
}

int volume_truncate(struct volume *v, const char *path, uint64_t size)
{
    struct command *cmd = volume_command();

    command_set_attr(
        cmd, &(struct command_set_attr){
                 .path = path, .id = volume_id(v, path), .mask = COMMAND_SET_SIZE, .size = size});
    return volume_run(v, cmd);
}

/* --- reads --- */

int volume_stat(struct volume *v, const char *path, struct attr *ret_attr)
{
    struct tree_view *view = tree_view_new(v->tree);
    int code = tree_stat(view, path, ret_attr);

    tree_view_unref(view);
    return code;
}

uint64_t volume_id(struct volume *v, const char *path)
{
    struct attr attr;

    return volume_stat(v, path, &attr) == 0 ? attr.id : 0;
}

uint8_t *volume_bytes(struct volume *v, const char *path, size_t *ret_size)
{
    struct tree_view *view = tree_view_new(v->tree);
    uint8_t *value = NULL;
    int code = tree_get(view, "default", path, strlen(path), 256u << 20, &value, ret_size);

    tree_view_unref(view);
    cr_assert(code == 0 || code == KE_NOT_FOUND, "%s: %s", path, ke_text(code));
    return value;
}

void volume_assert_text(struct volume *v, const char *path, const char *text)
{
    size_t size = 0;
    uint8_t *value = volume_bytes(v, path, &size);

    cr_assert_not_null(value, "%s is missing", path);
    cr_assert_eq(size, strlen(text), "%s has %zu bytes", path, size);
    cr_assert_eq(memcmp(value, text, size), 0, "%s: %.*s", path, (int)size, (char *)value);
    free(value);
}

char *volume_names(struct volume *v, const char *dir)
{
    static const char marks[] = {
        [FILE_REGULAR] = '\0', [FILE_DIRECTORY] = '/', [FILE_SYMLINK] = '@'};
    struct tree_view *view = tree_view_new(v->tree);
    struct tree_list *list;
    const char *name;
    struct attr attr;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    const char *comma = "";
    int code;

    cr_assert_eq(tree_list_open(view, dir, &list), 0);
    tree_view_unref(view);
    while ((code = tree_list_next(list, &name, &attr)) == 1) {
        char mark[2] = {marks[attr.type], '\0'};

        (void)fprintf(out, "%s%s%s", comma, name, mark);
        comma = ",";
    }
    cr_assert_eq(code, 0);
    tree_list_close(list);
    (void)fclose(out);
    return text;
}

void volume_assert_names(struct volume *v, const char *dir, const char *names)
{
    char *text = volume_names(v, dir);

    cr_assert_str_eq(text, names);
    free(text);
}

static void print_bytes(FILE *out, struct bytes bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        (void)fprintf(out, bytes.data[i] > ' ' && bytes.data[i] < 0x7f ? "%c" : "\\%02x",
                      bytes.data[i]);
    }
}

char *volume_dump(struct volume *v)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    for (int cf = 0; cf < CF_COUNT; cf++) {
        struct engine_iterator *it =
            engine_iterator_new(v->kv, NULL, NULL, (enum engine_cf)cf, (struct bytes){0});

        for (engine_iterator_seek(it, (struct bytes){0}); engine_iterator_valid(it);
             engine_iterator_next(it)) {
            (void)fprintf(out, "%d ", cf);
            print_bytes(out, engine_iterator_key(it));
            (void)fprintf(out, " = ");
            print_bytes(out, engine_iterator_value(it));
            (void)fprintf(out, "\n");
        }
        cr_assert_eq(engine_iterator_status(it), 0);
        engine_iterator_free(it);
    }
    (void)fclose(out);
    return text;
}

size_t volume_rows(struct volume *v, enum engine_cf cf)
{
    struct engine_iterator *it = engine_iterator_new(v->kv, NULL, NULL, cf, (struct bytes){0});
    size_t count = 0;

    for (engine_iterator_seek(it, (struct bytes){0}); engine_iterator_valid(it);
         engine_iterator_next(it)) {
        count++;
    }
    engine_iterator_free(it);
    return count;
}
