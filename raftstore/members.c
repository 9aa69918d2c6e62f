#include "raftstore/members.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define PORT_MAX 65535

int member_check_name(const char *name, struct err *e)
{
    size_t length = strlen(name);
    if (length == 0 || length > STORE_NAME_MAX)
        return err_set(e, KE_INVALID, "a member's name has 1 to %d characters", STORE_NAME_MAX);
    for (const char *c = name; *c != '\0'; c++) {
        if (!isalnum((unsigned char)*c) && strchr(".-_", *c) == NULL)
            return err_set(e, KE_INVALID,
                           "member name \"%s\": only letters, digits, '.', '-' and '_'", name);
    }
    return 0;
}

int member_check_address(const char *address, struct err *e)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address || strlen(address) > STORE_ADDRESS_MAX)
        return err_set(e, KE_INVALID, "address \"%s\" is not HOST:PORT", address);
    char *end;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (!isdigit((unsigned char)colon[1]) || *end != '\0' || port == 0 || port > PORT_MAX)
        return err_set(e, KE_INVALID, "address \"%s\": the port must be 1 to %d", address,
                       PORT_MAX);
    return 0;
}

/* One "name=host:port" of `size` bytes. */
static int member_parse(const char *text, size_t size, struct store_member *ret_member,
                        struct err *e)
{
    const char *equals = memchr(text, '=', size);
    if (equals == NULL)
        return err_set(e, KE_INVALID, "member \"%.*s\" is not NAME=HOST:PORT", (int)size, text);
    size_t name_size = (size_t)(equals - text);
    size_t address_size = size - name_size - 1;
    if (name_size > STORE_NAME_MAX || address_size > STORE_ADDRESS_MAX)
        return err_set(e, KE_INVALID, "member \"%.*s\" is too long", (int)size, text);
    *ret_member = (struct store_member){0};
    memcpy(ret_member->name, text, name_size);
    memcpy(ret_member->address, equals + 1, address_size);
    int rc = member_check_name(ret_member->name, e);
    return rc != 0 ? rc : member_check_address(ret_member->address, e);
}

static int member_compare(const void *a, const void *b)
{
    return strcmp(((const struct store_member *)a)->name, ((const struct store_member *)b)->name);
}

static int members_check_distinct(const struct store_member *members, size_t count, struct err *e)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t k = i + 1; k < count; k++) {
            if (strcmp(members[i].name, members[k].name) == 0)
                return err_set(e, KE_INVALID, "member %s is named twice", members[i].name);
            if (strcmp(members[i].address, members[k].address) == 0)
                return err_set(e, KE_INVALID, "members %s and %s have the same address %s",
                               members[i].name, members[k].name, members[i].address);
        }
    }
    return 0;
}

int members_parse(const char *text, struct store_member *members, size_t *ret_count, struct err *e)
{
    size_t count = 0;
    for (const char *part = text;; part++) {
        size_t size = strcspn(part, ",");
        if (count == STORE_VOTERS_MAX)
            return err_set(e, KE_INVALID, "a new cluster has at most %d members", STORE_VOTERS_MAX);
        int rc = member_parse(part, size, &members[count], e);
        if (rc != 0)
            return rc;
        count++;
        part += size;
        if (*part == '\0')
            break;
    }
    int rc = members_check_distinct(members, count, e);
    if (rc != 0)
        return rc;
    qsort(members, count, sizeof(members[0]), member_compare);
    for (size_t i = 0; i < count; i++)
        members[i].id = i + 1;
    *ret_count = count;
    return 0;
}

uint64_t members_cluster_id(const struct store_member *members, size_t count)
{
    char text[STORE_MEMBERS_MAX * (STORE_NAME_MAX + STORE_ADDRESS_MAX + 2) + 1];
    size_t used = 0;
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s=%s,", members[i].name,
                                 members[i].address);
    uint64_t id = XXH64(text, used, 0);
    return id != 0 ? id : 1;
}

const struct store_member *members_find_name(const struct store_member *members, size_t count,
                                             const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(members[i].name, name) == 0)
            return &members[i];
    }
    return NULL;
}
