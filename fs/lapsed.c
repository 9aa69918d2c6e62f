#include "fs/lapsed.h"

#include "raftstore/op.h"

/* FNV-1a. */
#define HASH_START 0xcbf29ce484222325ull
#define HASH_PRIME 0x100000001b3ull

static uint64_t hash_number(uint64_t hash, uint64_t number)
{
    for (int i = 0; i < 8; i++, number >>= 8)
        hash = (hash ^ (number & 0xff)) * HASH_PRIME;
    return hash;
}

static uint64_t hash_of(uint64_t dir, const char *name, uint32_t pid)
{
    uint64_t hash = hash_number(hash_number(HASH_START, dir), pid);

    for (; *name != '\0'; name++)
        hash = (hash ^ (uint8_t)*name) * HASH_PRIME;
    return hash;
}

void lapsed_init(struct lapsed *lapsed)
{
    *lapsed = (struct lapsed){0};
    pthread_mutex_init(&lapsed->lock, NULL);
}

void lapsed_release(struct lapsed *lapsed)
{
    pthread_mutex_destroy(&lapsed->lock);
}

void lapsed_note(struct lapsed *lapsed, uint64_t dir, const char *name, uint32_t pid)
{
    pthread_mutex_lock(&lapsed->lock);
    lapsed->names[lapsed->next] =
        (struct lapsed_name){.hash = hash_of(dir, name, pid), .at_ns = clock_ns()};
    lapsed->next = (lapsed->next + 1) % LAPSED_MAX;
    pthread_mutex_unlock(&lapsed->lock);
}

bool lapsed_take(struct lapsed *lapsed, uint64_t dir, const char *name, uint32_t pid)
{
    uint64_t hash = hash_of(dir, name, pid);
    uint64_t now_ns = clock_ns();
    bool found = false;

    pthread_mutex_lock(&lapsed->lock);
    for (size_t i = 0; i < LAPSED_MAX && !found; i++) {
        struct lapsed_name *lapse = &lapsed->names[i];
        found = lapse->hash == hash && now_ns - lapse->at_ns < LAPSED_AGE_NS;
        if (found)
            *lapse = (struct lapsed_name){0};
    }
    pthread_mutex_unlock(&lapsed->lock);
    return found;
}
