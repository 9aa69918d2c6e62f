#include "state.h"

#include "content.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* Of calls that say the same for several reasons. */
#define ERRORS_MAX 8

void state_init(struct state *state)
{
    *state = (struct state){.inode_count = 1};
    for (size_t i = 0; i < STATE_INODES_MAX; i++)
        memset(state->inodes[i].entries, STATE_NO_INODE, NAME_COUNT);
    state->inodes[STATE_ROOT].type = TYPE_DIR;
    state->inodes[STATE_ROOT].nlink = 1;
    for (size_t i = 0; i < MODEL_PROCESSES; i++) {
        for (size_t j = 0; j < MODEL_HANDLES; j++)
            state->handles[i][j].inode = STATE_NO_INODE;
    }
    for (size_t i = 0; i < MODEL_NODES; i++) {
        state->layers[i].inode = STATE_NO_INODE;
        for (size_t j = 0; j < STATE_LEFT_MAX; j++)
            state->left[i][j].inode = STATE_NO_INODE;
    }
}

static struct state_layer *layer_of(struct state *state, const struct model_op *op)
{
    struct state_layer *layer = &state->layers[op->node];
    uint8_t inode = state->handles[op->process][op->handle].inode;

    if (layer->inode != inode || layer->process != op->process)
        *layer = (struct state_layer){.inode = inode, .process = op->process};
    return layer;
}

/* --- how a call ends --- */

static enum state_step fails(const struct state_call *call, int error)
{
    return call->op->is_unknown || call->op->error == error ? STEP_SEEN : STEP_NO;
}

static bool succeeds(const struct state_call *call)
{
    return call->op->is_unknown || call->op->error == 0;
}

static enum state_step done_if(const struct state_call *call, bool fits)
{
    return call->op->is_unknown || (call->op->error == 0 && fits) ? STEP_SEEN : STEP_NO;
}

/* Whether the inode can have the number; from now on it has. */
static bool bind_ino(struct state *state, uint8_t inode, uint64_t ino, bool *is_new)
{
    if (state->inodes[inode].ino != 0)
        return state->inodes[inode].ino == ino;
    for (size_t i = 0; i < state->inode_count; i++) {
        if (state->inodes[i].ino == ino)
            return false;
    }
    state->inodes[inode].ino = ino;
    *is_new = true;
    return true;
}

static bool size_fits(const struct state *state, const struct state_call *call, uint8_t inode)
{
    const struct state_inode *file = &state->inodes[inode];
    struct texts *texts = call->texts;
    uint8_t version = file->nlink == 0 ? 0 : (uint8_t)(file->version_count - 1);

    if (file->type == TYPE_LINK)
        return call->op->attr.size == texts_get(texts, file->target)->size;
    if (file->type != TYPE_FILE || call->node_is_uncertain || file->blurred[call->op->node])
        return true;
    for (; version < file->version_count; version++) {
        uint16_t content = state_content(state, texts, call->op->node, inode, version);
        if (content != 0 && call->op->attr.size == texts_get(texts, content)->size)
            return true;
    }
    return false;
}

/* With what waits for the publish, which its node sees. */
static bool mode_fits(const struct state *state, const struct state_call *call, uint8_t inode)
{
    const struct state_inode *node = &state->inodes[inode];
    const struct state_layer *layer = &state->layers[call->op->node];
    bool waits = layer->inode == inode && layer->mode != 0;

    /* Of a removed file a node shows what it had when it lost sight of it. */
    if (node->type == TYPE_LINK || node->nlink == 0 || (waits && call->node_is_uncertain))
        return true;
    return call->op->attr.mode == (waits ? layer->mode : node->mode);
}

static enum state_step see_attr(struct state *state, const struct state_call *call, uint8_t inode)
{
    const struct state_inode *node = &state->inodes[inode];
    const struct model_attr *attr = &call->op->attr;
    bool is_new = false;

    if (call->op->is_unknown)
        return STEP_SEEN;
    if (call->op->error != 0 || attr->type != node->type || !size_fits(state, call, inode))
        return STEP_NO;
    if (!mode_fits(state, call, inode))
        return STEP_NO;
    if (node->type != TYPE_DIR && attr->nlink != node->nlink)
        return STEP_NO;
    if (node->mtime_s != 0 && node->nlink > 0 && attr->mtime_s != (int64_t)node->mtime_s &&
        state->layers[call->op->node].inode != inode)
        return STEP_NO;
    if (!bind_ino(state, inode, attr->ino, &is_new))
        return STEP_NO;
    return is_new ? STEP_DONE : STEP_SEEN;
}

/* --- the steps on names --- */

static uint8_t entry_of(const struct state *state, uint8_t dir, uint8_t name)
{
    return state->inodes[dir].entries[name];
}

static void set_entry(struct state *state, uint8_t dir, uint8_t name, uint8_t inode)
{
    state->inodes[dir].entries[name] = inode;
    state->inodes[dir].mtime_s = 0;
}

static bool is_gone(const struct state *state, uint8_t dir)
{
    return state->inodes[dir].nlink == 0;
}

static bool is_empty(const struct state *state, uint8_t dir)
{
    for (size_t i = 0; i < NAME_COUNT; i++) {
        if (state->inodes[dir].entries[i] != STATE_NO_INODE)
            return false;
    }
    return true;
}

/* Whether `dir` is `inode` or below it. */
static bool is_within(const struct state *state, uint8_t dir, uint8_t inode)
{
    if (dir == inode)
        return true;
    for (size_t i = 0; i < NAME_COUNT; i++) {
        uint8_t entry = state->inodes[inode].entries[i];
        if (entry != STATE_NO_INODE && state->inodes[entry].type == TYPE_DIR &&
            is_within(state, dir, entry))
            return true;
    }
    return false;
}

/* 0 or errno. */
static int walk(const struct state *state, struct model_path path, uint8_t *ret_dir)
{
    *ret_dir = STATE_ROOT;
    if (path.dir == NAME_NONE)
        return 0;
    uint8_t entry = state->inodes[STATE_ROOT].entries[path.dir];
    if (entry == STATE_NO_INODE || state->inodes[entry].type == TYPE_LINK)
        return ENOENT; /* links lead nowhere */
    if (state->inodes[entry].type != TYPE_DIR)
        return ENOTDIR;
    *ret_dir = entry;
    return 0;
}

static struct state_inode *make_inode(struct state *state, const struct state_call *call,
                                      uint8_t type)
{
    struct state_inode *made = &state->inodes[call->made];

    assert(made->type == TYPE_NONE && call->made < state->inode_count);
    made->type = type;
    made->nlink = 1;
    made->mode = (uint16_t)call->op->number;
    return made;
}

static void drop_link(struct state *state, uint8_t inode)
{
    struct state_inode *node = &state->inodes[inode];

    node->nlink = node->type == TYPE_DIR ? 0 : (uint8_t)(node->nlink - 1);
}

static enum state_step make_at(struct state *state, const struct state_cursor *cursor,
                               const struct state_call *call)
{
    const struct model_op *op = call->op;
    uint8_t entry = entry_of(state, cursor->dir, op->path.name);

    if (entry != STATE_NO_INODE)
        return fails(call, EEXIST);
    if (is_gone(state, cursor->dir))
        return fails(call, ENOENT);
    if (!succeeds(call))
        return STEP_NO;
    struct state_inode *made =
        make_inode(state, call, op->kind == KIND_MKDIR ? TYPE_DIR : TYPE_LINK);
    if (op->kind == KIND_SYMLINK)
        made->target = texts_add(call->texts, op->data, op->data_size);
    set_entry(state, cursor->dir, op->path.name, call->made);
    return STEP_DONE;
}

static enum state_step remove_at(struct state *state, const struct state_cursor *cursor,
                                 const struct state_call *call)
{
    uint8_t entry = entry_of(state, cursor->dir, call->op->path.name);

    if (entry == STATE_NO_INODE)
        return fails(call, ENOENT);
    bool is_dir = state->inodes[entry].type == TYPE_DIR;
    if (call->op->kind == KIND_UNLINK && is_dir)
        return fails(call, EISDIR);
    if (call->op->kind == KIND_RMDIR && !is_dir)
        return fails(call, ENOTDIR);
    if (is_dir && !is_empty(state, entry))
        return fails(call, ENOTEMPTY);
    if (!succeeds(call))
        return STEP_NO;
    drop_link(state, entry);
    set_entry(state, cursor->dir, call->op->path.name, STATE_NO_INODE);
    return STEP_DONE;
}

struct errors {
    int numbers[ERRORS_MAX];
    size_t count;
};

static void add_error(struct errors *errors, bool holds, int number)
{
    if (holds)
        errors->numbers[errors->count++] = number;
}

static enum state_step fails_with_one(const struct state_call *call, const struct errors *errors)
{
    for (size_t i = 0; i < errors->count; i++) {
        if (fails(call, errors->numbers[i]) != STEP_NO)
            return STEP_SEEN;
    }
    return STEP_NO;
}

/* Of several reasons not to, a file system may name any. */
static void rename_errors(const struct state *state, const struct state_cursor *cursor,
                          const struct model_op *op, uint8_t from, uint8_t to,
                          struct errors *errors)
{
    bool is_exchange = (op->flags & RENAME_EXCHANGE) != 0;
    bool from_is = from != STATE_NO_INODE, to_is = to != STATE_NO_INODE;
    bool from_dir = from_is && state->inodes[from].type == TYPE_DIR;
    bool to_dir = to_is && state->inodes[to].type == TYPE_DIR;
    bool replaces = from_is && to_is && from != to && !is_exchange;

    add_error(errors, !from_is || is_gone(state, cursor->to_dir), ENOENT);
    add_error(errors, is_exchange && !to_is, ENOENT);
    add_error(errors, (op->flags & RENAME_NOREPLACE) && to_is, EEXIST);
    add_error(errors, from_dir && is_within(state, cursor->to_dir, from), EINVAL);
    if (to_dir && is_within(state, cursor->dir, to))
        add_error(errors, true, is_exchange ? EINVAL : ENOTEMPTY);
    add_error(errors, replaces && from_dir && !to_dir, ENOTDIR);
    add_error(errors, replaces && !from_dir && to_dir, EISDIR);
    add_error(errors, replaces && to_dir && !is_empty(state, to), ENOTEMPTY);
}

static void note_moved(struct state *state, uint8_t inode)
{
    if (inode != STATE_NO_INODE && state->inodes[inode].type == TYPE_DIR)
        state->inodes[inode].may_have_moved = true;
}

static enum state_step rename_at(struct state *state, const struct state_cursor *cursor,
                                 const struct state_call *call)
{
    uint8_t from = entry_of(state, cursor->dir, call->op->path.name);
    uint8_t to = entry_of(state, cursor->to_dir, call->op->to.name);
    bool is_exchange = (call->op->flags & RENAME_EXCHANGE) != 0;
    struct errors errors = {.count = 0};

    rename_errors(state, cursor, call->op, from, to, &errors);
    if (errors.count > 0)
        return fails_with_one(call, &errors);
    if (!succeeds(call))
        return STEP_NO;
    if (from == to)
        return STEP_SEEN; /* two names of one file: nothing is to be done */
    set_entry(state, cursor->to_dir, call->op->to.name, from);
    set_entry(state, cursor->dir, call->op->path.name, is_exchange ? to : STATE_NO_INODE);
    if (!is_exchange && to != STATE_NO_INODE)
        drop_link(state, to);
    note_moved(state, from);
    if (is_exchange)
        note_moved(state, to);
    return STEP_DONE;
}

/* The kernel looks at both names before it asks for the rename, but not at one
 * moment: what another node does between is seen half. So it may refuse, or find two
 * names of one file, where at no moment there was a reason to. */
static enum state_step rename_in_advance(struct state *state, const struct state_cursor *cursor,
                                         const struct state_call *call)
{
    uint8_t to = entry_of(state, cursor->to_dir, call->op->to.name);
    struct errors errors = {.count = 0};

    rename_errors(state, cursor, call->op, cursor->inode, to, &errors);
    if (call->op->error != 0 && fails_with_one(call, &errors) != STEP_NO)
        return STEP_SEEN;
    if (call->op->error == 0 && errors.count == 0 && cursor->inode == to)
        return STEP_SEEN;
    return STEP_MORE;
}

static enum state_step link_at(struct state *state, const struct state_cursor *cursor,
                               const struct state_call *call)
{
    uint8_t to = entry_of(state, cursor->to_dir, call->op->to.name);
    struct state_inode *linked = &state->inodes[cursor->inode];
    struct errors errors = {.count = 0};

    add_error(&errors, to != STATE_NO_INODE, EEXIST);
    add_error(&errors, linked->type == TYPE_DIR, EPERM);
    add_error(&errors, linked->nlink == 0 || is_gone(state, cursor->to_dir), ENOENT);
    if (errors.count > 0)
        return fails_with_one(call, &errors);
    if (!succeeds(call))
        return STEP_NO;
    set_entry(state, cursor->to_dir, call->op->to.name, cursor->inode);
    linked->nlink++;
    return STEP_DONE;
}

/* --- the steps on what a name led to --- */

static enum state_step open_found(struct state *state, const struct state_cursor *cursor,
                                  const struct state_call *call)
{
    const struct model_op *op = call->op;
    struct state_inode *file = &state->inodes[cursor->inode];
    struct state_handle *handle = &state->handles[op->process][op->handle];
    bool is_new = false;

    if (!succeeds(call))
        return STEP_NO;
    if (!op->is_unknown && !bind_ino(state, cursor->inode, op->attr.ino, &is_new))
        return STEP_NO;
    *handle = (struct state_handle){
        .inode = cursor->inode,
        .version = (uint8_t)(file->version_count - 1),
        .writes = (op->flags & O_ACCMODE) != O_RDONLY,
        .appends = (op->flags & O_APPEND) != 0,
    };
    /* In what it has just made nothing is there to truncate. */
    if ((op->flags & O_TRUNC) && cursor->inode != call->made)
        layer_of(state, op)->is_truncated = true;
    return STEP_DONE;
}

static void make_file(struct state *state, const struct state_cursor *cursor,
                      const struct state_call *call)
{
    struct state_inode *made = make_inode(state, call, TYPE_FILE);

    made->versions[0] = texts_add(call->texts, "", 0);
    made->version_count = 1;
    set_entry(state, cursor->dir, call->op->path.name, call->made);
}

static enum state_step open_at(struct state *state, struct state_cursor *cursor,
                               const struct state_call *call)
{
    const struct model_op *op = call->op;
    uint8_t entry = entry_of(state, cursor->dir, op->path.name);
    bool creates = (op->flags & O_CREAT) != 0;

    if (entry == STATE_NO_INODE) {
        if (!creates || is_gone(state, cursor->dir))
            return fails(call, ENOENT);
        if (!succeeds(call) || state->inodes[call->made].type != TYPE_NONE)
            return STEP_NO;
        make_file(state, cursor, call);
        cursor->inode = call->made;
        return open_found(state, cursor, call);
    }
    cursor->inode = entry;
    if (creates && (op->flags & O_EXCL))
        return fails(call, EEXIST);
    if (state->inodes[entry].type == TYPE_LINK)
        return fails(call, ELOOP);
    if (state->inodes[entry].type == TYPE_DIR)
        return fails(call, EISDIR);
    return STEP_MORE;
}

static enum state_step find_at(struct state *state, struct state_cursor *cursor,
                               const struct state_call *call)
{
    cursor->inode = entry_of(state, cursor->dir, call->op->path.name);
    return cursor->inode == STATE_NO_INODE ? fails(call, ENOENT) : STEP_MORE;
}

static enum state_step list_found(struct state *state, const struct state_call *call, uint8_t inode)
{
    const struct state_inode *dir = &state->inodes[inode];

    if (dir->type != TYPE_DIR)
        return fails(call, dir->type == TYPE_LINK ? ENOENT : ENOTDIR);
    if (dir->nlink == 0 && fails(call, ENOENT) != STEP_NO)
        return STEP_SEEN;
    for (size_t i = 0; i < NAME_COUNT && !call->op->is_unknown; i++) {
        uint8_t entry = dir->entries[i];
        uint8_t type = entry == STATE_NO_INODE ? (uint8_t)TYPE_NONE : state->inodes[entry].type;
        if (call->op->types[i] != type)
            return STEP_NO;
    }
    return done_if(call, !call->op->has_stranger);
}

static bool reads_as(const struct state_call *call, uint16_t text)
{
    const struct text *expected = texts_get(call->texts, text);

    return expected->size == call->op->read_size &&
           memcmp(expected->bytes, call->op->read, expected->size) == 0;
}

static bool is_open_on(const struct state *state, uint8_t node, uint8_t inode)
{
    for (size_t i = node; i < MODEL_PROCESSES; i += MODEL_NODES) {
        for (size_t j = 0; j < MODEL_HANDLES; j++) {
            if (state->handles[i][j].inode == inode)
                return true;
        }
    }
    return false;
}

static enum state_step truncate_found(struct state *state, const struct state_call *call,
                                      uint8_t inode)
{
    struct state_inode *file = &state->inodes[inode];
    char bytes[TEXT_MAX] = {0};

    if (file->type != TYPE_FILE)
        return fails(call, file->type == TYPE_DIR ? EISDIR : ENOENT);
    if (!succeeds(call))
        return STEP_NO;
    if (file->nlink == 0) {
        /* It is too late for all, though not for who has it open here. */
        if (is_open_on(state, call->op->node, inode))
            content_truncate_left(state, call->op->node, inode, (uint8_t)call->op->number);
        else
            file->blurred[call->op->node] = 1;
        return STEP_DONE;
    }
    const struct text *old = texts_get(call->texts, file->versions[file->version_count - 1]);
    memcpy(bytes, old->bytes, old->size < call->op->number ? old->size : call->op->number);
    content_add_version(state, call->op->node, inode,
                        texts_add(call->texts, bytes, call->op->number));
    return STEP_DONE;
}

static enum state_step set_xattr_found(struct state_inode *inode, const struct state_call *call)
{
    if (inode->type == TYPE_LINK)
        return fails(call, EPERM);
    if (!succeeds(call))
        return STEP_NO;
    inode->xattr = texts_add(call->texts, call->op->data, call->op->data_size);
    return STEP_DONE;
}

static enum state_step chmod_found(struct state *state, const struct state_call *call,
                                   uint8_t inode)
{
    struct state_inode *changed = &state->inodes[inode];
    uint16_t mode = (uint16_t)call->op->number;

    if (changed->type == TYPE_LINK)
        return fails(call, ENOENT);
    if (!succeeds(call))
        return STEP_NO;
    /* It is the later change: what waits is not set over it, unless that cannot tell. */
    for (uint8_t node = 0; node < MODEL_NODES; node++) {
        struct state_layer *layer = &state->layers[node];
        if (layer->inode == inode && (node == call->op->node || mode != changed->mode))
            layer->mode = 0;
    }
    changed->mode = mode;
    return STEP_DONE;
}

static enum state_step act_on_found(struct state *state, const struct state_cursor *cursor,
                                    const struct state_call *call)
{
    struct state_inode *inode = &state->inodes[cursor->inode];
    const struct model_op *op = call->op;

    switch ((enum model_kind)op->kind) {
    case KIND_STAT:
        return see_attr(state, call, cursor->inode);
    case KIND_READLINK:
        if (inode->type != TYPE_LINK)
            return fails(call, EINVAL);
        return done_if(call, reads_as(call, inode->target));
    case KIND_GETXATTR:
        /* Of a removed file no values are kept. */
        if (inode->xattr == 0 || (inode->nlink == 0 && call->op->error == ENODATA))
            return fails(call, ENODATA);
        return done_if(call, reads_as(call, inode->xattr));
    case KIND_SETXATTR:
        return set_xattr_found(inode, call);
    case KIND_TRUNCATE:
        return truncate_found(state, call, cursor->inode);
    case KIND_CHMOD:
        return chmod_found(state, call, cursor->inode);
    case KIND_UTIMENS:
        inode->mtime_s = op->number;
        return succeeds(call) ? STEP_DONE : STEP_NO;
    case KIND_OPEN:
        return open_found(state, cursor, call);
    case KIND_LIST:
        return list_found(state, call, cursor->inode);
    default:
        assert(false);
        return STEP_NO;
    }
}

/* --- the steps on handles --- */

static enum state_step write_handle(struct state *state, const struct state_call *call)
{
    const struct model_op *op = call->op;
    struct state_layer *layer = layer_of(state, op);
    char bytes[TEXT_MAX];
    size_t size = 0;

    if (!succeeds(call))
        return STEP_NO;
    if (!state->handles[op->process][op->handle].appends) {
        assert(op->number + op->data_size <= STATE_EXTENT_MAX);
        memcpy(layer->extent + op->number, op->data, op->data_size);
        layer->extents |= (uint16_t)(((1u << op->data_size) - 1) << op->number);
        return STEP_DONE;
    }
    if (layer->append != 0)
        size = content_put(bytes, 0, 0, texts_get(call->texts, layer->append)->bytes,
                           texts_get(call->texts, layer->append)->size);
    if (size + op->data_size > TEXT_MAX) {
        state->is_overflown = true;
        return STEP_DONE;
    }
    size = content_put(bytes, size, size, op->data, op->data_size);
    layer->append = texts_add(call->texts, bytes, size);
    return STEP_DONE;
}

/* The first version that fits: any later one leaves less to those who read after. */
static enum state_step read_handle(struct state *state, const struct state_call *call)
{
    struct state_handle *handle = &state->handles[call->op->process][call->op->handle];
    const struct state_inode *file = &state->inodes[handle->inode];

    if (call->op->is_unknown || call->node_is_uncertain)
        return STEP_SEEN;
    if (call->op->error != 0)
        return STEP_NO;
    if (file->blurred[call->op->node])
        return STEP_SEEN;
    for (uint8_t version = handle->version; version < file->version_count; version++) {
        uint16_t content =
            state_content(state, call->texts, call->op->node, handle->inode, version);
        if (content != 0 && reads_as(call, content)) {
            handle->version = version;
            return STEP_SEEN;
        }
    }
    return STEP_NO;
}

static enum state_step publish_handle(struct state *state, const struct state_call *call)
{
    const struct model_op *op = call->op;
    struct state_handle *handle = &state->handles[op->process][op->handle];
    const struct state_layer *layer = &state->layers[op->node];
    bool publishes =
        handle->writes && layer->inode == handle->inode && layer->process == op->process;

    if (!succeeds(call))
        return STEP_NO;
    if (publishes)
        content_publish(state, call->texts, op->node);
    if (op->kind == KIND_CLOSE)
        *handle = (struct state_handle){.inode = STATE_NO_INODE};
    return publishes || op->kind == KIND_CLOSE ? STEP_DONE : STEP_SEEN;
}

static enum state_step act_on_handle(struct state *state, const struct state_call *call)
{
    const struct model_op *op = call->op;
    uint8_t inode = state->handles[op->process][op->handle].inode;

    if (inode == STATE_NO_INODE)
        return call->op->is_unknown ? STEP_SEEN : STEP_NO;
    switch ((enum model_kind)op->kind) {
    case KIND_READ:
        return read_handle(state, call);
    case KIND_WRITE:
        return write_handle(state, call);
    case KIND_FTRUNCATE: {
        struct state_layer *layer = layer_of(state, op);
        *layer = (struct state_layer){
            .inode = inode,
            .process = op->process,
            .is_truncated = true,
            .mode = layer->mode,
        };
        return succeeds(call) ? STEP_DONE : STEP_NO;
    }
    case KIND_FSTAT:
        return see_attr(state, call, inode);
    default:
        return publish_handle(state, call);
    }
}

/* --- a call --- */

enum phase { PHASE_WALK, PHASE_NAME, PHASE_WALK_TO, PHASE_ACT };

static enum state_step step_name(struct state *state, struct state_cursor *cursor,
                                 const struct state_call *call)
{
    switch ((enum model_kind)call->op->kind) {
    case KIND_MKDIR:
    case KIND_SYMLINK:
        return make_at(state, cursor, call);
    case KIND_RMDIR:
    case KIND_UNLINK:
        return remove_at(state, cursor, call);
    case KIND_OPEN:
        return open_at(state, cursor, call);
    case KIND_RENAME:
        /* Only which of them are one file, and what they are, is decided here. */
        cursor->inode = entry_of(state, cursor->dir, call->op->path.name);
        return STEP_MORE;
    case KIND_LIST:
        if (call->op->path.name != NAME_NONE)
            return find_at(state, cursor, call);
        cursor->inode = cursor->dir;
        return list_found(state, call, cursor->inode);
    default:
        return find_at(state, cursor, call);
    }
}

static enum state_step step_walk(struct state *state, const struct state_call *call,
                                 struct model_path path, uint8_t *ret_dir)
{
    int error = walk(state, path, ret_dir);

    return error != 0 ? fails(call, error) : STEP_MORE;
}

static enum state_step step_once(struct state *state, struct state_cursor *cursor,
                                 const struct state_call *call)
{
    const struct model_op *op = call->op;

    switch ((enum phase)cursor->phase) {
    case PHASE_WALK:
        return step_walk(state, call, op->path, &cursor->dir);
    case PHASE_NAME:
        return step_name(state, cursor, call);
    case PHASE_WALK_TO: {
        enum state_step step = step_walk(state, call, op->to, &cursor->to_dir);
        return step == STEP_MORE && op->kind == KIND_RENAME ? rename_in_advance(state, cursor, call)
                                                            : step;
    }
    case PHASE_ACT:
        if (op->kind == KIND_RENAME)
            return rename_at(state, cursor, call);
        return op->kind == KIND_LINK ? link_at(state, cursor, call)
                                     : act_on_found(state, cursor, call);
    }
    return STEP_NO;
}

/* Whether the call has no such step: the root, which cursors begin with, is always
 * there. */
static bool is_idle(const struct state_cursor *cursor, const struct model_op *op)
{
    return (cursor->phase == PHASE_WALK && op->path.dir == NAME_NONE) ||
           (cursor->phase == PHASE_WALK_TO && op->kind != KIND_RENAME &&
            (op->kind != KIND_LINK || op->to.dir == NAME_NONE));
}

static bool renames_to_itself(const struct model_op *op)
{
    return op->kind == KIND_RENAME && op->path.dir == op->to.dir && op->path.name == op->to.name;
}

/* A kernel that has a directory under an old name, and finds it under the new one that it
 * was given elsewhere, cannot move it while it renames something itself: then it does
 * nothing and says ESTALE. The same of a name that it renames to itself, when that becomes
 * another file's between its two looks at it, twice; and of a directory that is removed
 * after it was found, when it finds another one that is removed as well. */
static enum state_step fail_stale(const struct state *state, const struct model_op *op)
{
    if (renames_to_itself(op))
        return STEP_SEEN;
    for (size_t i = 0; i < state->inode_count; i++) {
        const struct state_inode *inode = &state->inodes[i];
        if (inode->may_have_moved || (inode->type == TYPE_DIR && inode->nlink == 0))
            return STEP_SEEN;
    }
    return STEP_NO;
}

enum state_step state_step(struct state *state, struct state_cursor *cursor,
                           const struct state_call *call)
{
    if (call->op->kind >= KIND_CLOSE && call->op->kind <= KIND_FSTAT)
        return act_on_handle(state, call);
    if (call->op->error == ESTALE)
        return fail_stale(state, call->op);
    while (is_idle(cursor, call->op))
        cursor->phase++;
    enum state_step step = step_once(state, cursor, call);
    cursor->phase++;
    while (step == STEP_MORE && is_idle(cursor, call->op))
        cursor->phase++;
    return step;
}

/* An empty file is opened and truncated: nothing of that is left for the publish. */
static enum state_step open_without_layer(struct state *state, struct state_cursor *cursor,
                                          const struct state_call *call)
{
    const struct state_inode *file = &state->inodes[cursor->inode];

    if ((call->op->flags & O_TRUNC) == 0 ||
        texts_get(call->texts, file->versions[file->version_count - 1])->size > 0)
        return STEP_NO;
    struct state_layer layer = state->layers[call->op->node];
    enum state_step step = state_step(state, cursor, call);
    state->layers[call->op->node] = layer;
    return step;
}

/* The process has made the file, and published nothing of it; others may have changed it. */
static enum state_step chmod_with_publish(struct state *state, const struct state_cursor *cursor,
                                          const struct state_call *call)
{
    const struct state_inode *file = &state->inodes[cursor->inode];
    struct state_layer *layer = &state->layers[call->op->node];

    if (file->type != TYPE_FILE || file->nlink == 0 ||
        texts_get(call->texts, file->versions[0])->size > 0 || layer->inode != cursor->inode ||
        layer->process != call->op->process || (layer->extents == 0 && layer->append == 0) ||
        !succeeds(call))
        return STEP_NO;
    layer->mode = (uint16_t)call->op->number;
    return STEP_DONE;
}

enum state_step state_step_otherwise(struct state *state, struct state_cursor *cursor,
                                     const struct state_call *call)
{
    if (call->op->kind != KIND_OPEN && call->op->kind != KIND_CHMOD)
        return STEP_NO;
    while (is_idle(cursor, call->op))
        cursor->phase++;
    if (cursor->phase != PHASE_ACT)
        return STEP_NO;
    return call->op->kind == KIND_OPEN ? open_without_layer(state, cursor, call)
                                       : chmod_with_publish(state, cursor, call);
}
