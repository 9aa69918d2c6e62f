/* How much memory unpublished writes may take in all: a bound for the process.
 *
 * Who finds no room waits while something is being published, since that ends
 * within the operation timeout and frees memory. When nothing is, waiting would
 * not help and the write fails.
 *
 * Any thread; the budget has a lock of its own, the last one in the order.
 */
#ifndef KEELFS_FS_BUDGET_H
#define KEELFS_FS_BUDGET_H

#include "fs/waiters.h"

#include <pthread.h>
#include <stddef.h>

#define BUDGET_BYTES_MAX (256u << 20)
/* Data of writes that wait, beside that. */
#define BUDGET_WAITING_BYTES_MAX (64u << 20)

struct budget {
    pthread_mutex_t lock; /* guards the rest */
    size_t used;
    size_t held;       /* by writes that wait */
    size_t publishing; /* publishes under way */
    struct waiters waiters;
};

enum budget_answer { BUDGET_ROOM, BUDGET_WAIT, BUDGET_FULL };

void budget_init(struct budget *budget);
void budget_release(struct budget *budget);

/* Whether `size` more bytes fit; charges nothing. On BUDGET_WAIT `*ret_round` is
 * for budget_wait(). */
enum budget_answer budget_ask(struct budget *budget, size_t size, uint64_t *ret_round);
void budget_wait(struct budget *budget, uint64_t round, struct op *op);

/* What is charged went from `before` to `after` bytes. */
void budget_recharge(struct budget *budget, size_t before, size_t after);

/* Keeps `size` bytes of a write that waits. False: too many wait. */
bool budget_hold(struct budget *budget, size_t size);
void budget_unhold(struct budget *budget, size_t size);

/* Around each publish. The end lets those who wait look again. */
void budget_begin_publish(struct budget *budget);
void budget_end_publish(struct budget *budget);

#endif
