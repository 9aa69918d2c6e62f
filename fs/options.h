/* The daemon's command line: `keelfs [options] [SOURCE] MOUNTPOINT`.
 *
 * Every setting can be given as a long option (--name n1) or among the mount
 * options (-o name=n1), so that one line of /etc/fstab says all there is to say.
 * SOURCE is what mount(8) puts before the mount point.
 *
 * A plain value: no pointers, no owner. Relative paths become absolute, since
 * the daemon leaves its working directory.
 */
#ifndef KEELFS_FS_OPTIONS_H
#define KEELFS_FS_OPTIONS_H

#include "raftstore/err.h"
#include "raftstore/log.h"
#include "raftstore/store.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define OPTIONS_MEMBERS_TEXT_MAX (STORE_MEMBERS_MAX * (STORE_NAME_MAX + STORE_ADDRESS_MAX + 2))
#define OPTIONS_JOIN_TEXT_MAX    (STORE_MEMBERS_MAX * (STORE_ADDRESS_MAX + 1))
#define OPTIONS_FUSE_TEXT_MAX    4095

#define OPTIONS_OP_TIMEOUT_MS_DEFAULT 5000
#define OPTIONS_ELECTION_MS_DEFAULT   1000
#define OPTIONS_HEARTBEAT_MS_DEFAULT  100
/* Below this, a busy disk or a late wake-up alone would start elections. */
#define OPTIONS_ELECTION_HEARTBEATS_MIN 5

enum options_action { OPTIONS_RUN, OPTIONS_REMOUNT, OPTIONS_HELP, OPTIONS_VERSION };

struct options {
    enum options_action action;
    bool foreground;
    enum log_level log_level;
    uint32_t op_timeout_ms;
    uint32_t election_timeout_ms;
    uint32_t heartbeat_ms;
    char name[STORE_NAME_MAX + 1];
    char listen[STORE_ADDRESS_MAX + 1];                 /* empty: not given */
    char advertise[STORE_ADDRESS_MAX + 1];              /* empty: not given */
    char initial_members[OPTIONS_MEMBERS_TEXT_MAX + 1]; /* empty: not given */
    char join[OPTIONS_JOIN_TEXT_MAX + 1];               /* empty: not given */
    bool learner;
    bool stale_reads;
    bool no_cache;
    uint64_t log_gc_count; /* 0: the default, as with the next two */
    uint64_t log_gc_bytes;
    uint64_t snapshot_rate; /* bytes a second */
    char data_dir[PATH_MAX];
    char log_file[PATH_MAX];                      /* empty: none */
    char fuse_options[OPTIONS_FUSE_TEXT_MAX + 1]; /* what the settings left of -o */
    char mountpoint[PATH_MAX];
};

/* Fills all of `ret_options`, defaults included; untouched on failure. Changes
 * nothing else but getopt's state. KE_INVALID with one line for the user. */
int options_parse(int argc, char **argv, struct options *ret_options, struct err *e);

/* The text of --help, ending in a newline. */
void options_print_help(void);
void options_print_version(void);

/* A heartbeat and an election timeout as ticks of at most 50 ms each; the
 * election timeout is rounded up. */
struct options_ticks {
    uint32_t tick_ms;
    uint32_t heartbeat_ticks;
    uint32_t election_ticks;
};
struct options_ticks options_ticks(uint32_t heartbeat_ms, uint32_t election_timeout_ms);

#endif
