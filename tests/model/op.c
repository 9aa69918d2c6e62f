#include "op.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *model_name_text(uint8_t name)
{
    static const char *const texts[] = {
#define MODEL_NAME_TEXT(name) #name,
        MODEL_NAMES(MODEL_NAME_TEXT)
#undef MODEL_NAME_TEXT
    };

    return name < NAME_COUNT ? texts[name] : ".";
}

const char *model_kind_text(uint8_t kind)
{
    static const char *const texts[] = {
#define MODEL_KIND_TEXT(kind, text) text,
        MODEL_KINDS(MODEL_KIND_TEXT)
#undef MODEL_KIND_TEXT
    };

    return texts[kind];
}

/* Text that is put together, cut where it does not fit. */
struct out {
    char *text;
    size_t size;
};

__attribute__((format(printf, 2, 3))) static void put(struct out *out, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int size = vsnprintf(out->text + out->size, MODEL_OP_TEXT_MAX - out->size, format, arguments);
    va_end(arguments);
    if (size > 0)
        out->size += (size_t)size;
    if (out->size >= MODEL_OP_TEXT_MAX)
        out->size = MODEL_OP_TEXT_MAX - 1;
}

static void put_path(struct out *out, struct model_path path)
{
    if (path.dir != NAME_NONE)
        put(out, " %s/%s", model_name_text(path.dir), model_name_text(path.name));
    else
        put(out, " %s", model_name_text(path.name));
}

static void put_bytes(struct out *out, const char *bytes, size_t size)
{
    put(out, " '");
    for (size_t i = 0; i < size; i++)
        put(out, "%c", bytes[i] == '\0' ? '.' : bytes[i]);
    put(out, "'");
}

static void put_flags(struct out *out, const struct model_op *op)
{
    static const struct {
        uint32_t flag;
        const char *text;
    } names[] = {{O_CREAT, "CREAT"}, {O_EXCL, "EXCL"}, {O_TRUNC, "TRUNC"}, {O_APPEND, "APPEND"}};
    static const char *const modes[] = {"RDONLY", "WRONLY", "RDWR", "?"};

    put(out, " %s", modes[op->flags & O_ACCMODE]);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (op->flags & names[i].flag)
            put(out, "|%s", names[i].text);
    }
}

static void put_asked(struct out *out, const struct model_op *op)
{
    put(out, "%s", model_kind_text(op->kind));
    if (op->kind == KIND_OPEN || (op->kind >= KIND_CLOSE && op->kind <= KIND_FSTAT))
        put(out, " [%u]", op->handle);
    if (op->kind == KIND_OPEN || op->kind > KIND_FSTAT)
        put_path(out, op->path);
    if (op->kind == KIND_RENAME || op->kind == KIND_LINK)
        put_path(out, op->to);
    if (op->kind == KIND_OPEN)
        put_flags(out, op);
    if (op->kind == KIND_RENAME && op->flags != 0)
        put(out, " %s", op->flags == RENAME_EXCHANGE ? "EXCHANGE" : "NOREPLACE");
    if (op->kind == KIND_CHMOD || op->kind == KIND_MKDIR || op->kind == KIND_OPEN)
        put(out, " %04o", op->number);
    if (op->kind == KIND_WRITE || op->kind == KIND_UTIMENS || op->kind == KIND_TRUNCATE)
        put(out, " %u", op->number);
    if (op->data_size > 0)
        put_bytes(out, op->data, op->data_size);
}

static void put_told(struct out *out, const struct model_op *op)
{
    static const char letters[] = "?fdl";

    switch ((enum model_kind)op->kind) {
    case KIND_OPEN:
        put(out, " inode %llu", (unsigned long long)op->attr.ino);
        break;
    case KIND_STAT:
    case KIND_FSTAT:
        put(out, " %c inode %llu size %llu mode %04o nlink %u mtime %lld",
            letters[op->attr.type & 3], (unsigned long long)op->attr.ino,
            (unsigned long long)op->attr.size, op->attr.mode, op->attr.nlink,
            (long long)op->attr.mtime_s);
        break;
    case KIND_LIST:
        for (size_t i = 0; i < NAME_COUNT; i++) {
            if (op->types[i] != TYPE_NONE)
                put(out, " %s:%c", model_name_text((uint8_t)i), letters[op->types[i] & 3]);
        }
        put(out, "%s", op->has_stranger ? " and a name that nobody made" : "");
        break;
    case KIND_READ:
    case KIND_READLINK:
    case KIND_GETXATTR:
        put_bytes(out, op->read, op->read_size);
        break;
    default:
        break;
    }
}

const char *model_op_describe(const struct model_op *op, char text[MODEL_OP_TEXT_MAX])
{
    struct out out = {.text = text};

    put_asked(&out, op);
    if (op->is_unknown)
        put(&out, " -> unknown (%s)", strerror(op->error));
    else if (op->error != 0)
        put(&out, " -> %s", strerror(op->error));
    else
        put(&out, " -> ok");
    if (op->error == 0 && !op->is_unknown)
        put_told(&out, op);
    return text;
}
