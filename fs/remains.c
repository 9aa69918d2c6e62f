#include "fs/remains.h"

#include "fs/layer.h"
#include "raftstore/memory.h"

#include <stdlib.h>
#include <string.h>

struct xattr {
    struct xattr *next;
    char *name;
    void *value;
    size_t size;
};

struct remains {
    char *target;
    pthread_mutex_t lock; /* guards the rest */
    struct attr attr;
    struct xattr *xattrs; /* attr.xattr_bytes in all */
};

/* --- life --- */

static size_t cost_of(const struct xattr *xattr)
{
    return strlen(xattr->name) + xattr->size;
}

/* Takes `name`. */
static void add(struct remains *remains, char *name, const void *value, size_t size)
{
    struct xattr *xattr = mem_alloc(sizeof(*xattr));

    *xattr = (struct xattr){
        .next = remains->xattrs,
        .name = name,
        .value = mem_dup(value, size),
        .size = size,
    };
    remains->xattrs = xattr;
    remains->attr.xattr_bytes += (uint32_t)cost_of(xattr);
}

/* The one that `*link` leads to. */
static void drop(struct remains *remains, struct xattr **link)
{
    struct xattr *xattr = *link;

    remains->attr.xattr_bytes -= (uint32_t)cost_of(xattr);
    *link = xattr->next;
    free(xattr->name);
    free(xattr->value);
    free(xattr);
}

struct remains *remains_new(const struct change *change)
{
    struct remains *remains = mem_zalloc(sizeof(*remains));

    pthread_mutex_init(&remains->lock, NULL);
    remains->target = mem_strdup(change->last_target);
    remains->attr = *change->last;
    remains->attr.xattr_bytes = 0;
    for (const struct change_xattr *xattr = change->last_xattrs; xattr != NULL;
         xattr = xattr->next) {
        char *name = mem_zalloc(xattr->name_size + 1);
        memcpy(name, xattr->name, xattr->name_size);
        add(remains, name, xattr->value, xattr->value_size);
    }
    return remains;
}

void remains_free(struct remains *remains)
{
    if (remains == NULL)
        return;
    while (remains->xattrs != NULL)
        drop(remains, &remains->xattrs);
    pthread_mutex_destroy(&remains->lock);
    free(remains->target);
    free(remains);
}

const char *remains_target(const struct remains *remains)
{
    return remains->target;
}

/* --- attributes --- */

void remains_get_attr(struct remains *remains, struct attr *ret_attr)
{
    pthread_mutex_lock(&remains->lock);
    *ret_attr = remains->attr;
    pthread_mutex_unlock(&remains->lock);
}

void remains_set_attr(struct remains *remains, const struct command_set_attr *set, int64_t now_ns)
{
    struct attr *attr = &remains->attr;

    pthread_mutex_lock(&remains->lock);
    if (set->mask & COMMAND_CLEAR_SUID)
        attr->mode = attr_without_suid(attr->mode);
    if (set->mask & COMMAND_SET_SIZE)
        attr->mtime_ns = now_ns;
    layer_amend_set(set, attr);
    attr->ctime_ns = now_ns;
    pthread_mutex_unlock(&remains->lock);
}

/* --- extended attributes --- */

/* Where it is linked, or would be. */
static struct xattr **find(struct remains *remains, const char *name)
{
    struct xattr **link = &remains->xattrs;

    while (*link != NULL && strcmp((*link)->name, name) != 0)
        link = &(*link)->next;
    return link;
}

int remains_get_xattr(struct remains *remains, const char *name, uint8_t **ret_value,
                      size_t *ret_size)
{
    pthread_mutex_lock(&remains->lock);
    const struct xattr *xattr = *find(remains, name);
    int code = xattr != NULL ? 0 : KE_NO_XATTR;
    if (code == 0) {
        *ret_value = mem_dup(xattr->value, xattr->size);
        *ret_size = xattr->size;
    }
    pthread_mutex_unlock(&remains->lock);
    return code;
}

void remains_list_xattrs(struct remains *remains, tree_xattr_fn *each, void *ctx)
{
    pthread_mutex_lock(&remains->lock);
    for (const struct xattr *xattr = remains->xattrs; xattr != NULL; xattr = xattr->next)
        each(ctx, xattr->name, strlen(xattr->name));
    pthread_mutex_unlock(&remains->lock);
}

/* Under the lock. */
static int check_set(const struct remains *remains, const struct xattr *old, size_t cost,
                     size_t size, enum command_xattr_mode mode)
{
    size_t total = remains->attr.xattr_bytes - (old != NULL ? cost_of(old) : 0) + cost;

    if (old != NULL && mode == COMMAND_XATTR_CREATE)
        return KE_EXISTS;
    if (old == NULL && (mode == COMMAND_XATTR_REMOVE || mode == COMMAND_XATTR_REPLACE))
        return KE_NO_XATTR;
    if (size > COMMAND_XATTR_VALUE_MAX)
        return KE_TOO_LARGE;
    return total > COMMAND_XATTRS_BYTES_MAX ? KE_NO_SPACE : 0;
}

int remains_set_xattr(struct remains *remains, const char *name, const void *value, size_t size,
                      enum command_xattr_mode mode)
{
    size_t cost = mode == COMMAND_XATTR_REMOVE ? 0 : strlen(name) + size;

    pthread_mutex_lock(&remains->lock);
    struct xattr **link = find(remains, name);
    int code = check_set(remains, *link, cost, size, mode);
    if (code == 0) {
        if (*link != NULL)
            drop(remains, link);
        if (mode != COMMAND_XATTR_REMOVE)
            add(remains, mem_strdup(name), value, size);
    }
    pthread_mutex_unlock(&remains->lock);
    return code;
}
