#include "raftstore/command.h"

#include "raft_cmdpb.pb-c.h"
#include "raftstore/hole_map.h"
#include "raftstore/memory.h"
#include "raftstore/touch.h"
#include "raftstore/tree.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Protobuf messages of one type add up when their bytes are joined: each
 * request or condition is packed as a RaftCmdRequest that holds nothing else and
 * goes to the end of the body. The fields of which the last counts follow as the
 * trailer, written anew with each change. */
struct command {
    uint8_t *bytes;
    size_t body_size;
    size_t size; /* body and trailer */
    size_t room;
    int64_t time_ns;
    uint32_t uid;
    uint32_t gid;
    bool takes_space;
    size_t touched_count;
    uint64_t touched[COMMAND_TOUCHED_MAX];
};

/* A key and a fixed64, two keys and two varints. */
#define TRAILER_MAX 32

static int64_t wall_clock_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void reserve(struct command *cmd, size_t more)
{
    size_t needed = cmd->body_size + more + TRAILER_MAX;

    if (needed > cmd->room) {
        cmd->room = needed > 2 * cmd->room ? needed : 2 * cmd->room;
        cmd->bytes = mem_realloc(cmd->bytes, cmd->room);
    }
}

static void write_trailer(struct command *cmd)
{
    RaftCmdpb__RaftCmdRequest trailer = RAFT_CMDPB__RAFT_CMD_REQUEST__INIT;

    trailer.time_ns = (uint64_t)cmd->time_ns;
    trailer.uid = cmd->uid;
    trailer.gid = cmd->gid;
    cmd->size =
        cmd->body_size + raft_cmdpb__raft_cmd_request__pack(&trailer, cmd->bytes + cmd->body_size);
}

static void append_part(struct command *cmd, const RaftCmdpb__RaftCmdRequest *part)
{
    reserve(cmd, raft_cmdpb__raft_cmd_request__get_packed_size(part));
    cmd->body_size += raft_cmdpb__raft_cmd_request__pack(part, cmd->bytes + cmd->body_size);
    write_trailer(cmd);
}

static void append_request(struct command *cmd, RaftCmdpb__Request *request)
{
    RaftCmdpb__RaftCmdRequest part = RAFT_CMDPB__RAFT_CMD_REQUEST__INIT;

    part.n_requests = 1;
    part.requests = &request;
    append_part(cmd, &part);
}

/* For packing only, which does not write to it. */
static ProtobufCBinaryData borrow(const void *data, size_t size)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)data, .len = size};
}

static ProtobufCBinaryData borrow_text(const char *text)
{
    return borrow(text, strlen(text));
}

struct command *command_new(void)
{
    struct command *cmd = mem_zalloc(sizeof *cmd);

    cmd->time_ns = wall_clock_ns();
    cmd->uid = geteuid();
    cmd->gid = getegid();
    reserve(cmd, 0);
    write_trailer(cmd);
    return cmd;
}

void command_free(struct command *cmd)
{
    if (cmd != NULL) {
        free(cmd->bytes);
        free(cmd);
    }
}

void command_set_time(struct command *cmd, int64_t time_ns)
{
    cmd->time_ns = time_ns;
    write_trailer(cmd);
}

void command_set_owner(struct command *cmd, uint32_t uid, uint32_t gid)
{
    cmd->uid = uid;
    cmd->gid = gid;
    write_trailer(cmd);
}

const void *command_bytes(const struct command *cmd, size_t *ret_size)
{
    *ret_size = cmd->size;
    return cmd->bytes;
}

const uint64_t *command_touched(const struct command *cmd, size_t *ret_count)
{
    *ret_count = cmd->touched_count;
    return cmd->touched;
}

/* --- what it changes --- */

static void touch(struct command *cmd, uint64_t key)
{
    bool is_everything = cmd->touched_count == 1 && touch_is_everything(cmd->touched[0]);

    if (is_everything) {
        return;
    }
    if (touch_is_everything(key) || cmd->touched_count == COMMAND_TOUCHED_MAX) {
        cmd->touched[0] = TOUCH_EVERYTHING;
        cmd->touched_count = 1;
        return;
    }
    cmd->touched[cmd->touched_count++] = key;
}

static void touch_attributes(struct command *cmd, const char *path)
{
    touch(cmd, touch_key(path, strlen(path)));
}

/* Where the path of the directory above the first `size` bytes ends. */
static size_t parent_size(const char *path, size_t size)
{
    while (size > 0 && path[size - 1] != '/') {
        size--;
    }
    return size > 0 ? size - 1 : 0;
}

/* The name comes, goes or becomes another object's, which its directory shows. */
static void touch_name(struct command *cmd, const char *path, size_t size)
{
    touch(cmd, touch_key(path, size) | TOUCH_NAMES);
    touch(cmd, touch_key(path, parent_size(path, size)));
}

/* The same for a file whose directories may be made on the way. */
static void touch_name_and_parents(struct command *cmd, const char *path, size_t size)
{
    touch(cmd, touch_key(path, size) | TOUCH_NAMES);
    for (size_t i = 0; size > 0 && i < COMMAND_TOUCHED_MAX; i++) {
        size = parent_size(path, size);
        touch(cmd, touch_key(path, size) | TOUCH_NAMES);
    }
}

/* Only pairs of `default` are files. */
static bool is_file_pair(const char *cf)
{
    return strcmp(cf, "lock") != 0 && strcmp(cf, "write") != 0;
}

/* --- conditions --- */

static void append_condition(struct command *cmd, Keelfspb__Condition__Kind kind, const char *path,
                             uint64_t value)
{
    RaftCmdpb__RaftCmdRequest part = RAFT_CMDPB__RAFT_CMD_REQUEST__INIT;
    Keelfspb__Condition condition = KEELFSPB__CONDITION__INIT;
    Keelfspb__Condition *conditions = &condition;

    condition.kind = kind;
    condition.path = borrow_text(path);
    condition.value = value;
    part.n_conditions = 1;
    part.conditions = &conditions;
    append_part(cmd, &part);
}

void command_require_absent(struct command *cmd, const char *path)
{
    append_condition(cmd, KEELFSPB__CONDITION__KIND__Absent, path, 0);
}

void command_require_exists(struct command *cmd, const char *path)
{
    append_condition(cmd, KEELFSPB__CONDITION__KIND__Exists, path, 0);
}

void command_require_version(struct command *cmd, const char *path, uint64_t version)
{
    append_condition(cmd, KEELFSPB__CONDITION__KIND__Version, path, version);
}

void command_require_id(struct command *cmd, const char *path, uint64_t id)
{
    append_condition(cmd, KEELFSPB__CONDITION__KIND__Id, path, id);
}

/* --- requests --- */

void command_put(struct command *cmd, const char *cf, const void *key, size_t key_size,
                 const void *value, size_t value_size)
{
    RaftCmdpb__Request request = RAFT_CMDPB__REQUEST__INIT;
    RaftCmdpb__PutRequest put = RAFT_CMDPB__PUT_REQUEST__INIT;

    put.cf = (char *)cf;
    put.key = borrow(key, key_size);
    put.value = borrow(value, value_size);
    cmd->takes_space = true;
    if (is_file_pair(cf)) {
        touch_name_and_parents(cmd, key, key_size);
    }
    request.cmd_type = RAFT_CMDPB__CMD_TYPE__Put;
    request.put = &put;
    append_request(cmd, &request);
}

void command_delete(struct command *cmd, const char *cf, const void *key, size_t key_size)
{
    RaftCmdpb__Request request = RAFT_CMDPB__REQUEST__INIT;
    RaftCmdpb__DeleteRequest delete = RAFT_CMDPB__DELETE_REQUEST__INIT;

    delete.cf = (char *)cf;
    delete.key = borrow(key, key_size);
    if (is_file_pair(cf)) {
        touch_name(cmd, key, key_size);
    }
    request.cmd_type = RAFT_CMDPB__CMD_TYPE__Delete;
    request.delete_ = &delete;
    append_request(cmd, &request);
}

void command_create(struct command *cmd, const struct command_create *create)
{
    RaftCmdpb__Request request = RAFT_CMDPB__REQUEST__INIT;
    Keelfspb__CreateRequest body = KEELFSPB__CREATE_REQUEST__INIT;

    body.path = borrow_text(create->path);
    body.type = (Keelfspb__FileType)create->type;
    body.mode = create->mode;
    body.uid = create->uid;
    body.gid = create->gid;
    if (create->target != NULL) {
        body.target = borrow_text(create->target);
    }
    body.exclusive = create->exclusive;
    body.rdev = create->rdev;
    body.umask = create->umask;
    cmd->takes_space = true;
    touch_name(cmd, create->path, strlen(create->path));
    request.cmd_type = RAFT_CMDPB__CMD_TYPE__Create;
    request.create = &body;
    append_request(cmd, &request);
}

uint32_t command_zeros_chunks(uint64_t size)
{
    uint64_t chunks = size / TREE_CHUNK_SIZE;
    uint64_t rows = chunks < COMMAND_ZEROED_ROWS_MAX ? chunks : COMMAND_ZEROED_ROWS_MAX;

    assert(size <= TREE_FILE_MAX);
    return (uint32_t)(2 + rows + chunks / HOLE_MAP_CHUNKS);
}

/* To nothing: a shorter file still has its last chunk written anew. */
static bool is_only_truncation(const struct command_write *write)
{
    return write->truncate && write->truncate_size == 0 && write->extent_count == 0 &&
           write->append_size == 0;
}

void command_write(struct command *cmd, const struct command_write *write)
{
    RaftCmdpb__Request request = RAFT_CMDPB__REQUEST__INIT;
    Keelfspb__WriteRequest body = KEELFSPB__WRITE_REQUEST__INIT;
    Keelfspb__Extent *extents = mem_alloc(write->extent_count * sizeof *extents);
    Keelfspb__Extent **pointers = mem_alloc(write->extent_count * sizeof *pointers);

    for (size_t i = 0; i < write->extent_count; i++) {
        keelfspb__extent__init(&extents[i]);
        extents[i].offset = write->extents[i].offset;
        extents[i].data = borrow(write->extents[i].data, write->extents[i].size);
        extents[i].zeros = write->extents[i].zeros;
        pointers[i] = &extents[i];
    }
    body.path = borrow_text(write->path);
    body.id = write->id;
    body.truncate = write->truncate;
    body.truncate_size = write->truncate_size;
    body.n_extents = write->extent_count;
    body.extents = pointers;
    body.append = borrow(write->append, write->append_size);
    body.clear_suid = write->clear_suid;
    body.if_version = write->if_version;
    if (!is_only_truncation(write)) {
        cmd->takes_space = true;
    }
    touch_attributes(cmd, write->path);
    request.cmd_type = RAFT_CMDPB__CMD_TYPE__Write;
    request.write = &body;
    append_request(cmd, &request);
    free(pointers);
    free(extents);
}

void command_set_attr(struct command *cmd, const struct command_set_attr *set)
{
    RaftCmdpb__Request request = RAFT_CMDPB__REQUEST__INIT;
    Keelfspb__SetAttrRequest body = KEELFSPB__SET_ATTR_REQUEST__INIT;

    body.path = borrow_text(set->path);
    body.id = set->id;
    body.mask = set->mask;
    body.mode = set->mode;
    body.uid = set->uid;
    body.gid = set->gid;
    body.size = set->size;
    body.atime_ns = set->atime_ns;
    body.mtime_ns = set->mtime_ns;
    if ((set->mask & COMMAND_SET_SIZE) == 0 || set->size > 0) {
        cmd->takes_space = true;
    }
    touch_attributes(cmd, set->path);
    request.cmd_type = RAFT_CMDPB__CMD_TYPE__SetAttr;
    request.set_attr = &body;
    append_request(cmd, &request);
}

void command_remove(struct command *cmd, const char *path, bool directory)
{
    RaftCmdpb__Request request = RAFT_CMDPB__REQUEST__INIT;
    Keelfspb__RemoveRequest body = KEELFSPB__REMOVE_REQUEST__INIT;

    body.path = borrow_text(path);
    body.directory = directory;
    touch_name(cmd, path, strlen(path));
    request.cmd_type = RAFT_CMDPB__CMD_TYPE__Remove;
    request.remove = &body;
    append_request(cmd, &request);
}

static void append_rename(struct command *cmd, const char *from, const char *to,
                          Keelfspb__RenameRequest *body)
{
    RaftCmdpb__Request request = RAFT_CMDPB__REQUEST__INIT;

    body->from = borrow_text(from);
    body->to = borrow_text(to);
    cmd->takes_space = true;
    request.cmd_type = RAFT_CMDPB__CMD_TYPE__Rename;
    request.rename = body;
    append_request(cmd, &request);
}

void command_rename(struct command *cmd, const char *from, const char *to, bool no_replace)
{
    Keelfspb__RenameRequest body = KEELFSPB__RENAME_REQUEST__INIT;

    body.no_replace = no_replace;
    touch(cmd, TOUCH_EVERYTHING);
    append_rename(cmd, from, to, &body);
}

void command_rename_file(struct command *cmd, const char *from, const char *to, bool no_replace)
{
    Keelfspb__RenameRequest body = KEELFSPB__RENAME_REQUEST__INIT;

    body.no_replace = no_replace;
    body.file = true;
    touch_name(cmd, from, strlen(from));
    touch_name(cmd, to, strlen(to));
    append_rename(cmd, from, to, &body);
}

void command_exchange(struct command *cmd, const char *from, const char *to)
{
    Keelfspb__RenameRequest body = KEELFSPB__RENAME_REQUEST__INIT;

    body.exchange = true;
    touch(cmd, TOUCH_EVERYTHING);
    append_rename(cmd, from, to, &body);
}

void command_link(struct command *cmd, const char *from, uint64_t id, const char *to)
{
    RaftCmdpb__Request request = RAFT_CMDPB__REQUEST__INIT;
    Keelfspb__LinkRequest body = KEELFSPB__LINK_REQUEST__INIT;

    body.from = borrow_text(from);
    body.id = id;
    body.to = borrow_text(to);
    cmd->takes_space = true;
    touch_attributes(cmd, from);
    touch_name(cmd, to, strlen(to));
    request.cmd_type = RAFT_CMDPB__CMD_TYPE__Link;
    request.link = &body;
    append_request(cmd, &request);
}

void command_set_xattr(struct command *cmd, const char *path, uint64_t id, const char *name,
                       const void *value, size_t size, enum command_xattr_mode mode)
{
    RaftCmdpb__Request request = RAFT_CMDPB__REQUEST__INIT;
    Keelfspb__SetXattrRequest body = KEELFSPB__SET_XATTR_REQUEST__INIT;

    body.path = borrow_text(path);
    body.id = id;
    body.name = borrow_text(name);
    body.value = borrow(value, size);
    body.mode = (Keelfspb__SetXattrRequest__Mode)mode;
    if (mode != COMMAND_XATTR_REMOVE) {
        cmd->takes_space = true;
    }
    touch_attributes(cmd, path);
    request.cmd_type = RAFT_CMDPB__CMD_TYPE__SetXattr;
    request.set_xattr = &body;
    append_request(cmd, &request);
}

void command_set_quota(struct command *cmd, uint64_t bytes, uint64_t files)
{
    RaftCmdpb__Request request = RAFT_CMDPB__REQUEST__INIT;
    Keelfspb__SetQuotaRequest body = KEELFSPB__SET_QUOTA_REQUEST__INIT;

    body.bytes = bytes;
    body.files = files;
    request.cmd_type = RAFT_CMDPB__CMD_TYPE__SetQuota;
    request.set_quota = &body;
    append_request(cmd, &request);
}

/* --- for the store itself --- */

static void append_admin(struct command *cmd, RaftCmdpb__AdminRequest *admin)
{
    RaftCmdpb__RaftCmdRequest part = RAFT_CMDPB__RAFT_CMD_REQUEST__INIT;

    part.admin_request = admin;
    append_part(cmd, &part);
}

void command_compact_log(struct command *cmd, uint64_t index, uint64_t term)
{
    RaftCmdpb__AdminRequest admin = RAFT_CMDPB__ADMIN_REQUEST__INIT;
    RaftCmdpb__CompactLogRequest compact = RAFT_CMDPB__COMPACT_LOG_REQUEST__INIT;

    compact.compact_index = index;
    compact.compact_term = term;
    admin.cmd_type = RAFT_CMDPB__ADMIN_CMD_TYPE__CompactLog;
    admin.compact_log = &compact;
    append_admin(cmd, &admin);
}

void command_compute_hash(struct command *cmd)
{
    RaftCmdpb__AdminRequest admin = RAFT_CMDPB__ADMIN_REQUEST__INIT;

    admin.cmd_type = RAFT_CMDPB__ADMIN_CMD_TYPE__ComputeHash;
    append_admin(cmd, &admin);
}

bool command_frees_space(const struct command *cmd)
{
    return !cmd->takes_space;
}
