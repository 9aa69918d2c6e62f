#include "fs/budget.h"

#include <assert.h>

void budget_init(struct budget *budget)
{
    *budget = (struct budget){0};
    pthread_mutex_init(&budget->lock, NULL);
}

void budget_release(struct budget *budget)
{
    assert(budget->waiters.count == 0);
    pthread_mutex_destroy(&budget->lock);
}

enum budget_answer budget_ask(struct budget *budget, size_t size, uint64_t *ret_round)
{
    enum budget_answer answer = BUDGET_ROOM;

    pthread_mutex_lock(&budget->lock);
    if (budget->used + size > BUDGET_BYTES_MAX) {
        answer = budget->publishing > 0 ? BUDGET_WAIT : BUDGET_FULL;
        *ret_round = budget->waiters.round;
    }
    pthread_mutex_unlock(&budget->lock);
    return answer;
}

void budget_wait(struct budget *budget, uint64_t round, struct op *op)
{
    pthread_mutex_lock(&budget->lock);
    bool waits = waiters_add(&budget->waiters, round, op);
    pthread_mutex_unlock(&budget->lock);
    if (!waits) {
        const struct op_result result = {0};
        op_finish(op, &result);
    }
}

void budget_recharge(struct budget *budget, size_t before, size_t after)
{
    pthread_mutex_lock(&budget->lock);
    assert(budget->used >= before);
    budget->used = budget->used - before + after;
    pthread_mutex_unlock(&budget->lock);
}

bool budget_hold(struct budget *budget, size_t size)
{
    pthread_mutex_lock(&budget->lock);
    bool fits = budget->held + size <= BUDGET_WAITING_BYTES_MAX;
    if (fits)
        budget->held += size;
    pthread_mutex_unlock(&budget->lock);
    return fits;
}

void budget_unhold(struct budget *budget, size_t size)
{
    pthread_mutex_lock(&budget->lock);
    assert(budget->held >= size);
    budget->held -= size;
    pthread_mutex_unlock(&budget->lock);
}

void budget_begin_publish(struct budget *budget)
{
    pthread_mutex_lock(&budget->lock);
    budget->publishing++;
    pthread_mutex_unlock(&budget->lock);
}

void budget_end_publish(struct budget *budget)
{
    struct waiters ended;

    pthread_mutex_lock(&budget->lock);
    assert(budget->publishing > 0);
    budget->publishing--;
    waiters_end_round(&budget->waiters, &ended);
    pthread_mutex_unlock(&budget->lock);
    waiters_finish(&ended);
}
