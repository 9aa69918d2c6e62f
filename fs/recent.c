#include "fs/recent.h"

#include "raftstore/op.h"

void recent_init(struct recent *recent)
{
    *recent = (struct recent){0};
    pthread_mutex_init(&recent->lock, NULL);
}

void recent_release(struct recent *recent)
{
    recent_expire(recent, true);
    pthread_mutex_destroy(&recent->lock);
}

void recent_add(struct recent *recent, struct view *view)
{
    pthread_mutex_lock(&recent->lock);
    struct view *old = recent->views[recent->next];
    recent->views[recent->next] = view;
    recent->next = (recent->next + 1) % RECENT_MAX;
    pthread_mutex_unlock(&recent->lock);
    view_unref(old);
}

static bool is_expired(const struct view *view, uint64_t now_ns)
{
    return now_ns - view->taken_ns > RECENT_AGE_NS;
}

struct view *recent_find(struct recent *recent, uint64_t id)
{
    uint64_t now_ns = clock_ns();
    struct view *found = NULL;

    pthread_mutex_lock(&recent->lock);
    /* From the latest back. */
    for (size_t i = 1; i <= RECENT_MAX && found == NULL; i++) {
        struct view *view = recent->views[(recent->next + RECENT_MAX - i) % RECENT_MAX];
        if (view != NULL && view->attr.id == id && !is_expired(view, now_ns))
            found = view_ref(view);
    }
    pthread_mutex_unlock(&recent->lock);
    return found;
}

/* Views that are let go of; without the lock, since that may free them. */
struct dropped {
    struct view *views[RECENT_MAX];
    size_t count;
};

static void drop(struct recent *recent, size_t at, struct dropped *dropped)
{
    dropped->views[dropped->count++] = recent->views[at];
    recent->views[at] = NULL;
}

static void unref_dropped(const struct dropped *dropped)
{
    for (size_t i = 0; i < dropped->count; i++)
        view_unref(dropped->views[i]);
}

void recent_forget(struct recent *recent, uint64_t id)
{
    struct dropped dropped = {.count = 0};

    pthread_mutex_lock(&recent->lock);
    for (size_t i = 0; i < RECENT_MAX; i++) {
        if (recent->views[i] != NULL && recent->views[i]->attr.id == id)
            drop(recent, i, &dropped);
    }
    pthread_mutex_unlock(&recent->lock);
    unref_dropped(&dropped);
}

void recent_expire(struct recent *recent, bool all)
{
    struct dropped dropped = {.count = 0};

    pthread_mutex_lock(&recent->lock);
    uint64_t now_ns = clock_ns();
    for (size_t i = 0; i < RECENT_MAX; i++) {
        if (recent->views[i] != NULL && (all || is_expired(recent->views[i], now_ns)))
            drop(recent, i, &dropped);
    }
    pthread_mutex_unlock(&recent->lock);
    unref_dropped(&dropped);
}
