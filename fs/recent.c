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

void recent_expire(struct recent *recent, bool all)
{
    struct view *expired[RECENT_MAX];
    size_t count = 0;

    pthread_mutex_lock(&recent->lock);
    uint64_t now_ns = clock_ns();
    for (size_t i = 0; i < RECENT_MAX; i++) {
        struct view *view = recent->views[i];
        if (view != NULL && (all || is_expired(view, now_ns))) {
            expired[count++] = view;
            recent->views[i] = NULL;
        }
    }
    pthread_mutex_unlock(&recent->lock);
    for (size_t i = 0; i < count; i++)
        view_unref(expired[i]);
}
