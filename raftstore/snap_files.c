#include "raftstore/snap_files.h"

#include "raftstore/keys.h"
#include "raftstore/log.h"
#include "raftstore/memory.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define SNAP_DIR_NAME "snap"
/* A file is read in pieces of this size. */
#define READ_BYTES (1u << 20)

enum set_state {
    SET_WRITTEN,  /* by whoever began it */
    SET_COMPLETE, /* may be referenced */
    SET_REMOVED,  /* its files are being removed */
};

struct set {
    struct snap_id id;
    enum set_state state;
    unsigned refs;
};

struct snap_files {
    char dir[PATH_MAX];
    pthread_mutex_t lock; /* guards all below */
    size_t set_count;
    struct set sets[SNAP_FILES_MAX];
};

/* --- names --- */

static const char *kind_name(enum snap_kind kind)
{
    return kind == SNAP_GENERATED ? "gen" : "rev";
}

void snap_files_path(const struct snap_files *files, const struct snap_id *id, enum engine_cf cf,
                     bool temporary, char *out)
{
    int size = snprintf(out, PATH_MAX, "%s/%s_%" PRIu64 "_%" PRIu64 "_%" PRIu64 "_%s.sst%s",
                        files->dir, kind_name(id->kind), id->region_id, id->term, id->index,
                        key_cf_name(cf), temporary ? ".tmp" : "");

    assert(size > 0 && size < PATH_MAX);
}

static const char *base_name(const char *path)
{
    return strrchr(path, '/') + 1;
}

/* --- sets; with the lock --- */

static bool same_id(const struct snap_id *a, const struct snap_id *b)
{
    return a->kind == b->kind && a->region_id == b->region_id && a->term == b->term &&
           a->index == b->index;
}

static struct set *find_set(struct snap_files *files, const struct snap_id *id)
{
    for (size_t i = 0; i < files->set_count; i++) {
        if (same_id(&files->sets[i].id, id)) {
            return &files->sets[i];
        }
    }
    return NULL;
}

static void add_set(struct snap_files *files, const struct snap_id *id, enum set_state state)
{
    assert(files->set_count < SNAP_FILES_MAX);
    files->sets[files->set_count++] = (struct set){.id = *id, .state = state, .refs = 1};
}

/* Whether `name` is a file of a set, or another beside it: what is being written, and
 * what the engine makes for itself while it takes a table in. */
static bool is_in_use(const struct snap_files *files, const char *name)
{
    char path[PATH_MAX];

    for (size_t i = 0; i < files->set_count; i++) {
        for (int cf = 0; cf < CF_COUNT; cf++) {
            const char *own;

            snap_files_path(files, &files->sets[i].id, (enum engine_cf)cf, false, path);
            own = base_name(path);
            if (strncmp(name, own, strlen(own)) == 0) {
                return true;
            }
        }
    }
    return false;
}

bool snap_files_begin(struct snap_files *files, const struct snap_id *id)
{
    bool ok;

    pthread_mutex_lock(&files->lock);
    ok = find_set(files, id) == NULL && files->set_count < SNAP_FILES_MAX;
    if (ok) {
        add_set(files, id, SET_WRITTEN);
    }
    pthread_mutex_unlock(&files->lock);
    return ok;
}

bool snap_files_ref(struct snap_files *files, const struct snap_id *id)
{
    struct set *set;
    bool ok;

    pthread_mutex_lock(&files->lock);
    set = find_set(files, id);
    ok = set != NULL && set->state == SET_COMPLETE;
    if (ok) {
        set->refs++;
    }
    pthread_mutex_unlock(&files->lock);
    return ok;
}

static void remove_set_files(struct snap_files *files, const struct snap_id *id)
{
    char path[PATH_MAX];

    for (int cf = 0; cf < CF_COUNT; cf++) {
        for (int temporary = 0; temporary < 2; temporary++) {
            snap_files_path(files, id, (enum engine_cf)cf, temporary != 0, path);
            if (unlink(path) != 0 && errno != ENOENT) {
                log_warn("cannot remove %s: %s", path, strerror(errno));
            }
        }
    }
}

void snap_files_unref(struct snap_files *files, const struct snap_id *id)
{
    struct set *set;
    bool last;

    pthread_mutex_lock(&files->lock);
    set = find_set(files, id);
    assert(set != NULL && set->refs > 0);
    last = --set->refs == 0;
    if (last) {
        set->state = SET_REMOVED;
    }
    pthread_mutex_unlock(&files->lock);
    if (!last) {
        return;
    }
    /* Not under the lock: a large file takes a while. Until it is gone the set's
     * name is taken. */
    remove_set_files(files, id);
    pthread_mutex_lock(&files->lock);
    set = find_set(files, id);
    *set = files->sets[--files->set_count];
    pthread_mutex_unlock(&files->lock);
}

/* --- writing --- */

static int sync_path(const char *path, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int code = 0;

    if (fd < 0 || fsync(fd) != 0) {
        code = err_set(e, KE_IO, "cannot sync %s: %s", path, strerror(errno));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return code;
}

/* What was made here is sent and forgotten: no start takes it up again. */
static bool is_durable(const struct snap_id *id)
{
    return id->kind == SNAP_RECEIVED;
}

static int commit_file(struct snap_files *files, const struct snap_id *id, enum engine_cf cf,
                       struct err *e)
{
    char temporary[PATH_MAX];
    char path[PATH_MAX];
    int code = 0;

    snap_files_path(files, id, cf, true, temporary);
    snap_files_path(files, id, cf, false, path);
    if (is_durable(id)) {
        code = sync_path(temporary, e);
    }
    if (code == 0 && rename(temporary, path) != 0) {
        code = err_set(e, KE_IO, "cannot rename %s: %s", temporary, strerror(errno));
    }
    return code;
}

int snap_files_commit(struct snap_files *files, const struct snap_id *id,
                      const struct snapshot_meta *meta, struct err *e)
{
    struct set *set;
    int code = 0;

    for (int cf = 0; cf < CF_COUNT && code == 0; cf++) {
        if (meta->files[cf].size > 0) {
            code = commit_file(files, id, (enum engine_cf)cf, e);
        }
    }
    if (code == 0 && is_durable(id)) {
        code = sync_path(files->dir, e);
    }
    if (code != 0) {
        return code;
    }
    pthread_mutex_lock(&files->lock);
    set = find_set(files, id);
    assert(set != NULL && set->state == SET_WRITTEN);
    set->state = SET_COMPLETE;
    pthread_mutex_unlock(&files->lock);
    return 0;
}

/* --- checking --- */

static int checksum_fd(int fd, uint64_t *ret_size, uint32_t *ret_checksum)
{
    XXH32_state_t *hash = XXH32_createState();
    uint8_t *piece = mem_alloc(READ_BYTES);
    uint64_t size = 0;
    ssize_t count;

    if (hash == NULL) {
        log_fatal("out of memory: the state of a checksum");
    }
    (void)XXH32_reset(hash, 0);
    for (;;) {
        count = read(fd, piece, READ_BYTES);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            break;
        }
        (void)XXH32_update(hash, piece, (size_t)count);
        size += (uint64_t)count;
    }
    *ret_size = size;
    *ret_checksum = XXH32_digest(hash);
    free(piece);
    (void)XXH32_freeState(hash);
    return count == 0 ? 0 : -1;
}

int snap_files_checksum(const char *path, uint64_t *ret_size, uint32_t *ret_checksum, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int code = 0;

    if (fd < 0) {
        return err_set(e, KE_IO, "cannot open %s: %s", path, strerror(errno));
    }
    if (checksum_fd(fd, ret_size, ret_checksum) != 0) {
        code = err_set(e, KE_IO, "cannot read %s: %s", path, strerror(errno));
    }
    (void)close(fd);
    return code;
}

static int verify_size(const char *path, uint64_t size, struct err *e)
{
    struct stat found;

    if (stat(path, &found) != 0) {
        return errno == ENOENT ? err_set(e, KE_CORRUPT, "snapshot file %s is missing", path)
                               : err_set(e, KE_IO, "cannot open %s: %s", path, strerror(errno));
    }
    if ((uint64_t)found.st_size != size) {
        return err_set(e, KE_CORRUPT,
                       "snapshot file %s is damaged: it has %" PRIu64 " bytes instead of %" PRIu64,
                       path, (uint64_t)found.st_size, size);
    }
    return 0;
}

static int verify_content(const char *path, const struct snapshot_file *expected, struct err *e)
{
    uint64_t size;
    uint32_t checksum;
    int code = snap_files_checksum(path, &size, &checksum, e);

    if (code != 0) {
        return code;
    }
    if (size != expected->size || checksum != expected->checksum) {
        return err_set(e, KE_CORRUPT, "snapshot file %s is damaged: its checksum is wrong", path);
    }
    return 0;
}

static int verify(struct snap_files *files, const struct snap_id *id,
                  const struct snapshot_meta *meta, bool contents, struct err *e)
{
    char path[PATH_MAX];

    for (int cf = 0; cf < CF_COUNT; cf++) {
        const struct snapshot_file *file = &meta->files[cf];
        int code;

        if (file->size == 0) {
            continue;
        }
        snap_files_path(files, id, (enum engine_cf)cf, false, path);
        code = verify_size(path, file->size, e);
        if (code == 0 && contents) {
            code = verify_content(path, file, e);
        }
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

int snap_files_verify(struct snap_files *files, const struct snap_id *id,
                      const struct snapshot_meta *meta, struct err *e)
{
    return verify(files, id, meta, true, e);
}

int snap_files_verify_sizes(struct snap_files *files, const struct snap_id *id,
                            const struct snapshot_meta *meta, struct err *e)
{
    return verify(files, id, meta, false, e);
}

/* --- leftovers --- */

/* Under the lock for one file at a time: a set that is begun meanwhile keeps its
 * files, and nobody waits long. */
static bool remove_unless_in_use(struct snap_files *files, int dir_fd, const char *name)
{
    bool removed = false;

    pthread_mutex_lock(&files->lock);
    if (!is_in_use(files, name)) {
        removed = unlinkat(dir_fd, name, 0) == 0;
        if (!removed && errno != ENOENT) {
            log_warn("cannot remove %s/%s: %s", files->dir, name, strerror(errno));
        }
    }
    pthread_mutex_unlock(&files->lock);
    return removed;
}

unsigned snap_files_sweep(struct snap_files *files)
{
    DIR *dir = opendir(files->dir);
    struct dirent *entry;
    unsigned removed = 0;

    if (dir == NULL) {
        log_warn("cannot list %s: %s", files->dir, strerror(errno));
        return 0;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            remove_unless_in_use(files, dirfd(dir), entry->d_name)) {
            removed++;
        }
    }
    (void)closedir(dir);
    return removed;
}

/* --- open and close --- */

static int make_dir(const char *data_dir, const char *dir, struct err *e)
{
    if (mkdir(dir, 0700) == 0) {
        return sync_path(data_dir, e);
    }
    return errno == EEXIST
               ? 0
               : err_set(e, KE_IO, "cannot make directory %s: %s", dir, strerror(errno));
}

int snap_files_open(const char *data_dir, const struct snap_id *keep, struct snap_files **ret_files,
                    struct err *e)
{
    struct snap_files *files = mem_zalloc(sizeof *files);
    /* Room for the names of the files too. */
    int size = snprintf(files->dir, PATH_MAX - NAME_MAX, "%s/%s", data_dir, SNAP_DIR_NAME);
    unsigned removed;
    int code;

    if (size < 0 || size >= PATH_MAX - NAME_MAX) {
        free(files);
        return err_set(e, KE_INVALID, "data directory %s: the name is too long", data_dir);
    }
    code = make_dir(data_dir, files->dir, e);
    if (code != 0) {
        free(files);
        return code;
    }
    (void)pthread_mutex_init(&files->lock, NULL);
    if (keep != NULL) {
        add_set(files, keep, SET_COMPLETE);
    }
    removed = snap_files_sweep(files);
    if (removed > 0) {
        log_info("removed %u leftover snapshot files", removed);
    }
    *ret_files = files;
    return 0;
}

void snap_files_close(struct snap_files *files)
{
    if (files != NULL) {
        (void)pthread_mutex_destroy(&files->lock);
        free(files);
    }
}
