#include "raftstore/roster.h"

#include "raftstore/memory.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct introduction {
    uint64_t store_id; /* 0: free */
    uint64_t data_id;
    char address[STORE_ADDRESS_MAX + 1];
    bool advertised;
};

struct roster {
    pthread_mutex_t lock; /* guards what follows */
    struct membership membership;
    struct introduction introductions[STORE_MEMBERS_MAX];
    size_t next; /* the place that is used again when all are taken */
};

struct roster *roster_new(const struct membership *membership)
{
    struct roster *roster = mem_zalloc(sizeof(*roster));
    pthread_mutex_init(&roster->lock, NULL);
    roster->membership = *membership;
    return roster;
}

void roster_free(struct roster *roster)
{
    if (roster == NULL)
        return;
    pthread_mutex_destroy(&roster->lock);
    free(roster);
}

static struct introduction *roster_find(struct roster *roster, uint64_t store_id)
{
    for (size_t i = 0; i < STORE_MEMBERS_MAX; i++) {
        if (roster->introductions[i].store_id == store_id)
            return &roster->introductions[i];
    }
    return NULL;
}

static void roster_add_gone(struct roster_change *change, uint64_t store_id)
{
    for (size_t i = 0; i < change->gone_count; i++) {
        if (change->gone[i] == store_id)
            return;
    }
    assert(change->gone_count < sizeof(change->gone) / sizeof(change->gone[0]));
    change->gone[change->gone_count++] = store_id;
}

void roster_set(struct roster *roster, const struct membership *membership,
                struct roster_change *ret_change)
{
    *ret_change = (struct roster_change){0};
    pthread_mutex_lock(&roster->lock);
    for (size_t i = 0; i < roster->membership.store_count; i++) {
        if (membership_has_removed(membership, roster->membership.stores[i].id))
            roster_add_gone(ret_change, roster->membership.stores[i].id);
    }
    for (size_t i = 0; i < STORE_MEMBERS_MAX; i++) {
        struct introduction *introduction = &roster->introductions[i];
        if (introduction->store_id == 0 ||
            !membership_has_removed(membership, introduction->store_id))
            continue;
        roster_add_gone(ret_change, introduction->store_id);
        *introduction = (struct introduction){0};
    }
    roster->membership = *membership;
    pthread_mutex_unlock(&roster->lock);
}

static int roster_check(const struct roster *roster, const struct transport_identity *from,
                        struct err *e)
{
    const struct store_member *member = membership_find(&roster->membership, from->store_id);
    if (member != NULL && member->data_id != 0 && member->data_id != from->data_id)
        return err_set(e, KE_WIPED,
                       "store %llu (%s) comes with another data directory than it has on record: "
                       "its disk was replaced or emptied",
                       (unsigned long long)from->store_id, member->name);
    if (membership_has_removed(&roster->membership, from->store_id))
        return err_set(e, KE_REMOVED, "store %llu was removed from the cluster",
                       (unsigned long long)from->store_id);
    return 0;
}

int roster_admit(struct roster *roster, const struct transport_identity *from, struct err *e)
{
    pthread_mutex_lock(&roster->lock);
    int rc = roster_check(roster, from, e);
    if (rc == 0) {
        struct introduction *introduction = roster_find(roster, from->store_id);
        if (introduction == NULL)
            introduction = roster_find(roster, 0);
        if (introduction == NULL)
            introduction = &roster->introductions[roster->next++ % STORE_MEMBERS_MAX];
        introduction->store_id = from->store_id;
        introduction->data_id = from->data_id;
        introduction->advertised = from->advertised;
        memcpy(introduction->address, from->address, sizeof(introduction->address));
    }
    pthread_mutex_unlock(&roster->lock);
    return rc;
}

bool roster_introduced(struct roster *roster, uint64_t store_id, uint64_t *ret_data_id,
                       char *ret_address)
{
    pthread_mutex_lock(&roster->lock);
    const struct introduction *introduction = roster_find(roster, store_id);
    if (introduction != NULL) {
        *ret_data_id = introduction->data_id;
        memcpy(ret_address, introduction->address, sizeof(introduction->address));
        if (!introduction->advertised)
            ret_address[0] = '\0';
    }
    pthread_mutex_unlock(&roster->lock);
    return introduction != NULL;
}

bool roster_address(struct roster *roster, uint64_t store_id, char *ret_address)
{
    pthread_mutex_lock(&roster->lock);
    const struct store_member *member = membership_find(&roster->membership, store_id);
    const struct introduction *introduction = roster_find(roster, store_id);
    const char *address = member != NULL         ? member->address
                          : introduction != NULL ? introduction->address
                                                 : "";
    snprintf(ret_address, STORE_ADDRESS_MAX + 1, "%s", address);
    pthread_mutex_unlock(&roster->lock);
    return ret_address[0] != '\0';
}

void roster_members(struct roster *roster, struct store_member *members, size_t *ret_count)
{
    pthread_mutex_lock(&roster->lock);
    *ret_count = roster->membership.store_count;
    memcpy(members, roster->membership.stores, *ret_count * sizeof(*members));
    pthread_mutex_unlock(&roster->lock);
}
