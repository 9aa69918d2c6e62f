#include "rows.h"

#include <stdio.h>
#include <string.h>

#define FIRST_DATA_ID 100

struct membership rows_founding(size_t count)
{
    struct membership m = {
        .region = {.id = 1, .conf_ver = 1, .version = 1, .next_store_id = count + 1},
    };
    for (size_t i = 0; i < count; i++) {
        struct store_member *row = &m.stores[m.store_count++];
        row->id = i + 1;
        row->data_id = FIRST_DATA_ID + row->id;
        snprintf(row->name, sizeof(row->name), "n%zu", i + 1);
        snprintf(row->address, sizeof(row->address), "h:%zu", i + 1);
        m.region.peers[m.region.peer_count++] =
            (struct region_peer){.peer_id = row->id, .store_id = row->id, .role = MEMBER_VOTER};
    }
    return m;
}

struct member_op rows_op(enum member_change_kind kind, const char *name, const char *address)
{
    struct member_op op = {.kind = kind};
    snprintf(op.name, sizeof(op.name), "%s", name);
    snprintf(op.address, sizeof(op.address), "%s", address);
    return op;
}

bool rows_equal(const struct store_member *a, const struct store_member *b)
{
    return a->id == b->id && strcmp(a->name, b->name) == 0 && strcmp(a->address, b->address) == 0 &&
           a->data_id == b->data_id && a->promote == b->promote && a->replaces == b->replaces;
}

static bool regions_equal(const struct region *a, const struct region *b)
{
    bool equal = a->id == b->id && a->conf_ver == b->conf_ver && a->version == b->version &&
                 a->auto_leave == b->auto_leave && a->next_store_id == b->next_store_id &&
                 a->peer_count == b->peer_count;
    for (size_t i = 0; equal && i < a->peer_count; i++)
        equal = a->peers[i].peer_id == b->peers[i].peer_id &&
                a->peers[i].store_id == b->peers[i].store_id &&
                a->peers[i].role == b->peers[i].role;
    return equal;
}

bool rows_membership_equal(const struct membership *a, const struct membership *b)
{
    bool equal = regions_equal(&a->region, &b->region) && a->store_count == b->store_count;
    for (size_t i = 0; equal && i < a->store_count; i++)
        equal = rows_equal(&a->stores[i], &b->stores[i]);
    return equal;
}
