#include "raftstore/keys.h"

#include "raftstore/path.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

/* First bytes of row names (WIRE: keys in RocksDB). */
enum {
    KEY_LOCAL = 0x01,

    KEY_PREPARE_BOOTSTRAP = 0x01,
    KEY_REGION = 0x02,      /* region, then one of the KEY_REGION_* */
    KEY_REGION_META = 0x03, /* region, then KEY_REGION_META_STATE */
    KEY_MEMBER = 0x04,
    KEY_USAGE = 0x05,

    KEY_REGION_LOG = 0x01,
    KEY_REGION_RAFT_STATE = 0x02,
    KEY_REGION_APPLY_STATE = 0x03,
    KEY_REGION_SESSION = 0x10,
    KEY_REGION_SESSION_END = 0x11,

    KEY_REGION_META_STATE = 0x01,
};

struct bytes key_bytes(const struct key *key)
{
    return (struct bytes){.data = key->data, .size = key->size};
}

static void add_byte(struct key *key, uint8_t byte)
{
    assert(key->size < KEY_FIXED_MAX);
    key->data[key->size++] = byte;
}

static void add_number(struct key *key, uint64_t number, int size)
{
    for (int i = size - 1; i >= 0; i--) {
        add_byte(key, (uint8_t)(number >> (8 * i)));
    }
}

static struct key local_key(uint8_t kind)
{
    struct key key = {.size = 0};

    add_byte(&key, KEY_LOCAL);
    add_byte(&key, kind);
    return key;
}

static struct key region_key(uint8_t kind, uint64_t region_id, uint8_t suffix)
{
    struct key key = local_key(kind);

    add_number(&key, region_id, 8);
    add_byte(&key, suffix);
    return key;
}

struct key key_raft_log(uint64_t region_id, uint64_t index)
{
    struct key key = region_key(KEY_REGION, region_id, KEY_REGION_LOG);

    add_number(&key, index, 8);
    return key;
}

struct key key_raft_state(uint64_t region_id)
{
    return region_key(KEY_REGION, region_id, KEY_REGION_RAFT_STATE);
}

struct key key_store_ident(void)
{
    /* WIRE gives the two bytes that also begin the rows of regions; those are
     * longer, so nothing collides. */
    return local_key(KEY_REGION);
}

struct key key_prepare_bootstrap(void)
{
    return local_key(KEY_PREPARE_BOOTSTRAP);
}

struct key key_apply_state(uint64_t region_id)
{
    return region_key(KEY_REGION, region_id, KEY_REGION_APPLY_STATE);
}

struct key key_region_state(uint64_t region_id)
{
    return region_key(KEY_REGION_META, region_id, KEY_REGION_META_STATE);
}

struct key key_session(uint64_t region_id, uint64_t store_id)
{
    struct key key = region_key(KEY_REGION, region_id, KEY_REGION_SESSION);

    add_number(&key, store_id, 8);
    return key;
}

struct key key_session_end(uint64_t region_id)
{
    return region_key(KEY_REGION, region_id, KEY_REGION_SESSION_END);
}

struct key key_member(uint64_t store_id)
{
    struct key key = local_key(KEY_MEMBER);

    add_number(&key, store_id, 8);
    return key;
}

struct key key_usage(void)
{
    return local_key(KEY_USAGE);
}

struct key key_usage_end(void)
{
    struct key key = key_usage();

    add_byte(&key, 0);
    return key;
}

/* No file has a chunk of this number. */
#define KEY_HOLE_MAPS 0x80000000u

struct key key_content(uint64_t id, uint32_t chunk)
{
    struct key key = {.size = 0};

    add_number(&key, id, 8);
    add_number(&key, chunk, 4);
    return key;
}

struct key key_hole_map(uint64_t id, uint32_t group)
{
    return key_content(id, KEY_HOLE_MAPS | group);
}

struct bytes key_attr(const char *path, bool directory, uint8_t *out)
{
    size_t size = strlen(path);

    assert(size <= PATH_BYTES_MAX);
    memcpy(out, path, size);
    if (directory) {
        out[size++] = '/';
    }
    return (struct bytes){.data = out, .size = size};
}

struct bytes key_attr_end(const char *dir, uint8_t *out)
{
    struct bytes key = key_attr(dir, true, out);

    assert(key.size > 1);
    out[key.size - 1] = '/' + 1;
    return key;
}

struct bytes key_end(uint8_t *out)
{
    static_assert(PATH_ROW_MAX > PATH_BYTES_MAX + 1, "longer than any row's name");

    memset(out, 0xff, PATH_ROW_MAX);
    return (struct bytes){.data = out, .size = PATH_ROW_MAX};
}

const char *key_cf_name(enum engine_cf cf)
{
    static const char *const names[CF_COUNT] = {
        [CF_DEFAULT] = "default", [CF_ATTR] = "attr", [CF_LOCK] = "lock",
        [CF_WRITE] = "write",     [CF_META] = "meta",
    };

    assert(cf < CF_COUNT);
    return names[cf];
}

struct key key_home(uint64_t id)
{
    struct key key = {.size = 0};

    add_byte(&key, 0);
    add_number(&key, id, 8);
    return key;
}

#define KEY_XATTR     1
#define KEY_XATTR_END 2

struct bytes key_xattr(uint64_t id, const void *name, size_t name_size, uint8_t *out)
{
    struct key home = key_home(id);

    assert(name_size <= XATTR_NAME_MAX);
    memcpy(out, home.data, home.size);
    out[home.size] = KEY_XATTR;
    memcpy(out + home.size + 1, name, name_size);
    return (struct bytes){.data = out, .size = home.size + 1 + name_size};
}

struct key key_xattr_end(uint64_t id)
{
    struct key key = key_home(id);

    add_byte(&key, KEY_XATTR_END);
    return key;
}

int key_parse_cf(const char *name, enum engine_cf *ret_cf)
{
    if (name[0] == '\0' || strcmp(name, "default") == 0) {
        *ret_cf = CF_DEFAULT;
    } else if (strcmp(name, "lock") == 0) {
        *ret_cf = CF_LOCK;
    } else if (strcmp(name, "write") == 0) {
        *ret_cf = CF_WRITE;
    } else {
        return KE_INVALID;
    }
    return 0;
}
