#include "raftstore/proposals.h"

#include "raftstore/log.h"
#include "raftstore/memory.h"
#include "raftstore/session.h"
#include "raftstore/touch.h"
#include "raftstore/touch_list.h"

#include "keelfspb.pb-c.h"

#include <assert.h>
#include <stdlib.h>

/* The wait for an answer doubles at most so often. */
#define SILENT_ROUNDS_MAX 8

struct proposal {
    struct op *op; /* NULL: the slot is free */
    struct command *cmd;
    size_t bytes;
    bool sent;
    uint64_t sent_tick;
    unsigned silent_rounds; /* times it was sent again for want of an answer */
};

struct proposals {
    uint64_t store_id;
    uint64_t incarnation;
    uint64_t floor;      /* lowest seq that may still be sent */
    uint64_t next;       /* next seq to give out */
    uint64_t cursor;     /* no unsent command below */
    uint64_t packed_end; /* the last pack took unsent commands from cursor up to here */
    size_t count;        /* of commands held */
    size_t unsent;
    size_t bytes;              /* of all commands held */
    struct touch_list touched; /* by what is being packed */
    struct proposal slots[SESSION_WINDOW_MAX];
};

static struct proposal *proposals_slot(struct proposals *proposals, uint64_t seq)
{
    return &proposals->slots[seq % SESSION_WINDOW_MAX];
}

struct proposals *proposals_new(uint64_t store_id, uint64_t incarnation)
{
    struct proposals *proposals = mem_zalloc(sizeof(*proposals));
    proposals->store_id = store_id;
    proposals->incarnation = incarnation;
    proposals->floor = proposals->next = proposals->cursor = 1;
    return proposals;
}

/* Frees the slot; the floor follows when it was the lowest. */
static void proposals_drop(struct proposals *proposals, uint64_t seq)
{
    struct proposal *slot = proposals_slot(proposals, seq);
    if (!slot->sent)
        proposals->unsent--;
    proposals->count--;
    proposals->bytes -= slot->bytes;
    op_unref(slot->op);
    command_free(slot->cmd);
    *slot = (struct proposal){0};
    while (proposals->floor < proposals->next &&
           proposals_slot(proposals, proposals->floor)->op == NULL)
        proposals->floor++;
    if (proposals->cursor < proposals->floor)
        proposals->cursor = proposals->floor;
}

void proposals_free(struct proposals *proposals)
{
    if (proposals == NULL)
        return;
    for (uint64_t seq = proposals->floor; seq < proposals->next; seq++) {
        if (proposals_slot(proposals, seq)->op != NULL)
            proposals_drop(proposals, seq);
    }
    touch_list_release(&proposals->touched);
    free(proposals);
}

bool proposals_add(struct proposals *proposals, struct op *op, struct command **cmd,
                   uint64_t *ret_seq)
{
    size_t bytes;
    command_bytes(*cmd, &bytes);
    if (proposals->next - proposals->floor >= SESSION_WINDOW_MAX ||
        proposals->bytes + bytes > PROPOSALS_BYTES_MAX)
        return false;
    uint64_t seq = proposals->next++;
    struct proposal *slot = proposals_slot(proposals, seq);
    assert(slot->op == NULL);
    op_ref(op);
    slot->op = op;
    slot->cmd = *cmd;
    slot->bytes = bytes;
    proposals->count++;
    proposals->bytes += bytes;
    *cmd = NULL;
    proposals->unsent++;
    *ret_seq = seq;
    return true;
}

bool proposals_has_unsent(const struct proposals *proposals)
{
    return proposals->unsent > 0;
}

bool proposals_most_are_sent(const struct proposals *proposals)
{
    return proposals->unsent < proposals->count - proposals->unsent;
}

static void proposals_touch(struct proposals *proposals, const struct command *cmd)
{
    size_t count;
    const uint64_t *keys = command_touched(cmd, &count);
    for (size_t i = 0; i < count; i++)
        touch_list_add(&proposals->touched, keys[i]);
}

static struct raft_entry *proposals_make_entry(struct proposals *proposals,
                                               Keelfspb__Command **commands, size_t count)
{
    struct touch_list *touched = &proposals->touched;
    uint64_t nothing = TOUCH_NOTHING;
    touch_list_unite(touched);
    Keelfspb__CommandBatch batch = KEELFSPB__COMMAND_BATCH__INIT;
    batch.store_id = proposals->store_id;
    batch.incarnation = proposals->incarnation;
    batch.floor = proposals->floor;
    batch.n_commands = count;
    batch.commands = commands;
    batch.n_touched = touched->count > 0 ? touched->count : 1;
    batch.touched = touched->count > 0 ? touched->keys : &nothing;
    struct raft_entry *entry =
        raft_entry_alloc(RAFT_ENTRY_NORMAL, keelfspb__command_batch__get_packed_size(&batch));
    if (entry == NULL)
        log_fatal("out of memory");
    keelfspb__command_batch__pack(&batch, entry->data);
    return entry;
}

struct raft_entry *proposals_pack(struct proposals *proposals)
{
    touch_list_clear(&proposals->touched);
    Keelfspb__Command commands[PROPOSALS_ENTRY_COMMANDS_MAX];
    Keelfspb__Command *pointers[PROPOSALS_ENTRY_COMMANDS_MAX];
    size_t count = 0;
    size_t bytes = 0;
    uint64_t seq = proposals->cursor;
    for (; seq < proposals->next && count < PROPOSALS_ENTRY_COMMANDS_MAX; seq++) {
        struct proposal *slot = proposals_slot(proposals, seq);
        if (slot->op == NULL || slot->sent)
            continue;
        size_t size;
        const void *request = command_bytes(slot->cmd, &size);
        if (count > 0 && bytes + size > PROPOSALS_ENTRY_BYTES_MAX)
            break;
        bytes += size;
        keelfspb__command__init(&commands[count]);
        commands[count].seq = seq;
        commands[count].request = (ProtobufCBinaryData){size, (uint8_t *)request};
        pointers[count] = &commands[count];
        proposals_touch(proposals, slot->cmd);
        count++;
    }
    proposals->packed_end = seq;
    return count > 0 ? proposals_make_entry(proposals, pointers, count) : NULL;
}

void proposals_mark_sent(struct proposals *proposals, uint64_t tick)
{
    for (uint64_t seq = proposals->cursor; seq < proposals->packed_end; seq++) {
        struct proposal *slot = proposals_slot(proposals, seq);
        if (slot->op == NULL || slot->sent)
            continue;
        slot->sent = true;
        slot->sent_tick = tick;
        proposals->unsent--;
    }
    proposals->cursor = proposals->packed_end;
}

void proposals_complete(struct proposals *proposals, uint64_t seq)
{
    if (seq < proposals->floor || seq >= proposals->next)
        return;
    if (proposals_slot(proposals, seq)->op != NULL)
        proposals_drop(proposals, seq);
}

static void proposals_resend(struct proposals *proposals, uint64_t seq)
{
    proposals_slot(proposals, seq)->sent = false;
    proposals->unsent++;
    if (seq < proposals->cursor)
        proposals->cursor = seq;
}

void proposals_resend_all(struct proposals *proposals)
{
    for (uint64_t seq = proposals->floor; seq < proposals->next; seq++) {
        struct proposal *slot = proposals_slot(proposals, seq);
        if (slot->op != NULL && slot->sent)
            proposals_resend(proposals, seq);
    }
}

void proposals_tick(struct proposals *proposals)
{
    for (uint64_t seq = proposals->floor; seq < proposals->next; seq++) {
        struct proposal *slot = proposals_slot(proposals, seq);
        if (slot->op != NULL && op_is_claimed(slot->op))
            proposals_drop(proposals, seq);
    }
}

void proposals_resend_silent(struct proposals *proposals, uint64_t tick, uint64_t patience)
{
    for (uint64_t seq = proposals->floor; seq < proposals->next; seq++) {
        struct proposal *slot = proposals_slot(proposals, seq);
        if (slot->op == NULL || !slot->sent ||
            tick - slot->sent_tick < patience << slot->silent_rounds)
            continue;
        if (slot->silent_rounds < SILENT_ROUNDS_MAX)
            slot->silent_rounds++;
        proposals_resend(proposals, seq);
    }
}
