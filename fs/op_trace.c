#include "fs/op_trace.h"

#include "fs/control.h"
#include "fs/fs.h"
#include "raftstore/memory.h"

#include <inttypes.h>
#include <stdlib.h>

struct op_entry {
    struct op_entry *next; /* in its stripe */
    uint64_t start_ns;
    struct op_record record;
};

void op_trace_init(struct op_trace *trace)
{
    for (size_t i = 0; i < OP_TRACE_STRIPES; i++)
        pthread_mutex_init(&trace->stripes[i].lock, NULL);
}

void op_trace_release(struct op_trace *trace)
{
    for (size_t i = 0; i < OP_TRACE_STRIPES; i++) {
        struct op_stripe *stripe = &trace->stripes[i];
        while (stripe->entries != NULL) {
            struct op_entry *entry = stripe->entries;
            stripe->entries = entry->next;
            free(entry);
        }
        pthread_mutex_destroy(&stripe->lock);
    }
}

/* The kernel counts by two. */
static struct op_stripe *stripe_of(struct op_trace *trace, uint64_t unique)
{
    return &trace->stripes[(unique >> 1) % OP_TRACE_STRIPES];
}

void op_trace_begin(struct fs *fs, const void *request, size_t size)
{
    struct op_trace *trace = &fs->op_trace;
    struct op_entry *entry = mem_alloc(sizeof(*entry));

    if (!op_record_parse(request, size, &entry->record) || control_owns(entry->record.node) ||
        atomic_load_explicit(&trace->under_way, memory_order_relaxed) >= OP_TRACE_MAX) {
        free(entry);
        return;
    }
    struct op_stripe *stripe = stripe_of(trace, entry->record.unique);
    entry->start_ns = clock_ns();
    atomic_fetch_add_explicit(&trace->under_way, 1, memory_order_relaxed);
    pthread_mutex_lock(&stripe->lock);
    entry->next = stripe->entries;
    stripe->entries = entry;
    pthread_mutex_unlock(&stripe->lock);
}

static struct op_entry *take_entry(struct op_trace *trace, uint64_t unique)
{
    struct op_stripe *stripe = stripe_of(trace, unique);

    pthread_mutex_lock(&stripe->lock);
    struct op_entry **link = &stripe->entries;
    while (*link != NULL && (*link)->record.unique != unique)
        link = &(*link)->next;
    struct op_entry *entry = *link;
    if (entry != NULL)
        *link = entry->next;
    pthread_mutex_unlock(&stripe->lock);
    return entry;
}

/* --- the answer --- */

/* The path that a node has at the end of the operation; NULL: it has none. */
static const char *path_of(struct fs *fs, uint64_t node, char *buffer)
{
    struct inode *inode = node != 0 ? inode_pin(&fs->inodes, node) : NULL;

    if (inode == NULL)
        return NULL;
    bool has_path = inode_path(inode, buffer);
    inode_unpin(inode);
    return has_path ? buffer : NULL;
}

static void describe(struct fs *fs, const struct op_record *record, char *out, size_t size)
{
    char path[PATH_BYTES_MAX + 1];
    char other_path[PATH_BYTES_MAX + 1];
    const struct op_paths paths = {
        .node = path_of(fs, record->node, path),
        .other_node = path_of(fs, record->other_node, other_path),
    };

    (void)op_record_describe(record, &paths, out, size);
}

static void tell(struct fs *fs, const struct op_record *record, uint64_t elapsed_ns, int error)
{
    char words[OP_TEXT_MAX + 1];
    bool is_slow = elapsed_ns > OP_TRACE_SLOW_NS && !op_is_patient(record->opcode);

    if (!is_slow && !op_log_is_open(&fs->op_log))
        return;
    describe(fs, record, words, sizeof(words));
    op_log_add(&fs->op_log, record, words, error, elapsed_ns);
    if (is_slow)
        event_log_add(&fs->slow_operations, "slow: %.3f s, %s, pid %" PRIu32 ": %s",
                      (double)elapsed_ns / 1e9, op_result_text(error), record->pid, words);
}

void op_trace_end(struct fs *fs, uint64_t unique, int error)
{
    struct op_trace *trace = &fs->op_trace;
    struct op_entry *entry = take_entry(trace, unique);

    if (entry == NULL)
        return;
    uint64_t elapsed_ns = clock_ns() - entry->start_ns;
    atomic_fetch_sub_explicit(&trace->under_way, 1, memory_order_relaxed);
    op_metrics_add(&trace->metrics, entry->record.opcode, elapsed_ns, error);
    tell(fs, &entry->record, elapsed_ns, error);
    free(entry);
}
