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
    struct recent_look *look = &recent->looks[recent->next];
    struct view *old = look->view;
    *look = (struct recent_look){.view = view, .looked_ns = clock_ns()};
    recent->next = (recent->next + 1) % RECENT_MAX;
    pthread_mutex_unlock(&recent->lock);
    view_unref(old);
}

/* Under the lock: the latest, or NULL. */
static struct recent_look *find(struct recent *recent, uint64_t id)
{
    uint64_t now_ns = clock_ns();

    for (size_t i = 1; i <= RECENT_MAX; i++) {
        struct recent_look *look = &recent->looks[(recent->next + RECENT_MAX - i) % RECENT_MAX];
        if (look->view != NULL && look->view->attr.id == id)
            return now_ns - look->looked_ns > RECENT_AGE_NS ? NULL : look;
    }
    return NULL;
}

struct view *recent_find(struct recent *recent, uint64_t id)
{
    pthread_mutex_lock(&recent->lock);
    const struct recent_look *look = find(recent, id);
    struct view *view = look != NULL ? view_ref(look->view) : NULL;
    pthread_mutex_unlock(&recent->lock);
    return view;
}

bool recent_has(struct recent *recent, uint64_t id)
{
    pthread_mutex_lock(&recent->lock);
    bool has = find(recent, id) != NULL;
    pthread_mutex_unlock(&recent->lock);
    return has;
}

/* Views that are let go of; without the lock, since that may free them. */
struct dropped {
    struct view *views[RECENT_MAX];
    size_t count;
};

static void drop(struct recent_look *look, struct dropped *dropped)
{
    dropped->views[dropped->count++] = look->view;
    look->view = NULL;
}

static void unref_dropped(const struct dropped *dropped)
{
    for (size_t i = 0; i < dropped->count; i++)
        view_unref(dropped->views[i]);
}

void recent_change(struct recent *recent, uint64_t id, struct view *view)
{
    struct dropped dropped = {.count = 0};

    pthread_mutex_lock(&recent->lock);
    struct recent_look *latest = find(recent, id);
    for (size_t i = 0; i < RECENT_MAX; i++) {
        if (recent->looks[i].view != NULL && recent->looks[i].view->attr.id == id)
            drop(&recent->looks[i], &dropped);
    }
    if (latest != NULL && view != NULL)
        latest->view = view_ref(view);
    pthread_mutex_unlock(&recent->lock);
    unref_dropped(&dropped);
}

void recent_expire(struct recent *recent, bool all)
{
    struct dropped dropped = {.count = 0};

    pthread_mutex_lock(&recent->lock);
    uint64_t now_ns = clock_ns();
    for (size_t i = 0; i < RECENT_MAX; i++) {
        struct recent_look *look = &recent->looks[i];
        if (look->view != NULL && (all || now_ns - look->looked_ns > RECENT_AGE_NS))
            drop(look, &dropped);
    }
    pthread_mutex_unlock(&recent->lock);
    unref_dropped(&dropped);
}
