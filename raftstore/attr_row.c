#include "raftstore/attr_row.h"

#include "keelfspb.pb-c.h"
#include "raftstore/err.h"
#include "raftstore/tree.h"

#include <assert.h>
#include <stdalign.h>
#include <string.h>

struct bytes attr_row_pack(const struct attr_row *row, uint8_t *out)
{
    Keelfspb__Attr packed = KEELFSPB__ATTR__INIT;
    const struct attr *attr = &row->attr;

    packed.type = (Keelfspb__FileType)attr->type;
    packed.mode = attr->mode;
    packed.uid = attr->uid;
    packed.gid = attr->gid;
    packed.size = attr->size;
    packed.atime_ns = attr->atime_ns;
    packed.mtime_ns = attr->mtime_ns;
    packed.ctime_ns = attr->ctime_ns;
    packed.version = attr->version;
    packed.id = attr->id;
    packed.target.data = (uint8_t *)row->target;
    packed.target.len = row->target_size;
    packed.nlink = attr->nlink > 1 ? attr->nlink : 0;
    packed.rdev = attr->rdev;
    packed.xattr_bytes = attr->xattr_bytes;
    packed.hole_chunks = (uint32_t)attr->hole_chunks;
    assert(keelfspb__attr__get_packed_size(&packed) <= ATTR_ROW_MAX);
    return (struct bytes){.data = out, .size = keelfspb__attr__pack(&packed, out)};
}

struct bytes attr_row_pack_link(uint64_t id, uint8_t *out)
{
    Keelfspb__Attr packed = KEELFSPB__ATTR__INIT;

    packed.type = KEELFSPB__FILE_TYPE__Link;
    packed.id = id;
    return (struct bytes){.data = out, .size = keelfspb__attr__pack(&packed, out)};
}

/* Room on the stack for the one message and its target, so that reading
 * attributes allocates nothing. */
struct stack_room {
    alignas(max_align_t) uint8_t data[sizeof(Keelfspb__Attr) + ATTR_TARGET_MAX + 64];
    size_t used;
};

static void *take_room(void *data, size_t size)
{
    struct stack_room *room = data;
    size_t rounded = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    void *memory = room->data + room->used;

    if (size > sizeof room->data || rounded > sizeof room->data - room->used) {
        return NULL;
    }
    room->used += rounded;
    return memory;
}

static void keep_room(void *data, void *memory)
{
    (void)data;
    (void)memory;
}

static bool is_sound(const Keelfspb__Attr *attr)
{
    return (unsigned)attr->type <= KEELFSPB__FILE_TYPE__Link && attr->mode <= 07777 &&
           attr->size <= TREE_FILE_MAX && attr->hole_chunks <= tree_chunk_count(attr->size) &&
           attr->id >= ATTR_ROOT_ID && attr->target.len <= ATTR_TARGET_MAX;
}

int attr_row_unpack(struct bytes bytes, struct attr_row *ret_row)
{
    struct stack_room room = {.used = 0};
    ProtobufCAllocator allocator = {.alloc = take_room, .free = keep_room, .allocator_data = &room};
    const Keelfspb__Attr *packed = keelfspb__attr__unpack(&allocator, bytes.size, bytes.data);

    if (packed == NULL || !is_sound(packed)) {
        return KE_CORRUPT;
    }
    ret_row->linked = packed->type == KEELFSPB__FILE_TYPE__Link;
    ret_row->attr = (struct attr){
        .type = ret_row->linked ? FILE_REGULAR : (enum file_type)packed->type,
        .mode = packed->mode,
        .uid = packed->uid,
        .gid = packed->gid,
        .size = packed->size,
        .atime_ns = packed->atime_ns,
        .mtime_ns = packed->mtime_ns,
        .ctime_ns = packed->ctime_ns,
        .version = packed->version,
        .id = packed->id,
        .nlink = packed->nlink > 1 ? packed->nlink : 1,
        .xattr_bytes = packed->xattr_bytes,
        .hole_chunks = packed->hole_chunks,
        .rdev = packed->rdev,
    };
    ret_row->target_size = packed->target.len;
    if (packed->target.len > 0) {
        memcpy(ret_row->target, packed->target.data, packed->target.len);
    }
    ret_row->target[packed->target.len] = '\0';
    return 0;
}
