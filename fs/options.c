#include "fs/options.h"

#include "raftstore/members.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A lease of the leader is shorter than an election timeout by five ticks (lease.c). */
#define TICK_MS_MAX    20
#define TIMEOUT_MS_MIN 10
#define TIMEOUT_MS_MAX 600000

#define LOG_GC_COUNT_MAX  1000000000ull
#define LOG_GC_BYTES_MIN  (64ull << 10)
#define LOG_GC_BYTES_MAX  (1ull << 40)
#define SNAPSHOT_RATE_MIN (64ull << 10)
#define SNAPSHOT_RATE_MAX (1ull << 40)

static int copy_text(char *out, size_t capacity, const char *what, const char *value, struct err *e)
{
    size_t size = strlen(value);

    if (size == 0)
        return err_set(e, KE_INVALID, "%s is empty", what);
    if (size >= capacity)
        return err_set(e, KE_INVALID, "%s is longer than %zu bytes", what, capacity - 1);
    memcpy(out, value, size + 1);
    return 0;
}

static int copy_absolute(char *out, const char *what, const char *value, struct err *e)
{
    char path[PATH_MAX * 2];
    size_t used = 0;

    if (value[0] != '/' && value[0] != '\0') {
        if (!getcwd(path, PATH_MAX))
            return err_set(e, KE_INVALID, "%s %s: working directory: %s", what, value,
                           strerror(errno));
        used = strlen(path);
        path[used++] = '/';
    }
    int code = copy_text(path + used, PATH_MAX, what, value, e);
    return code ? code : copy_text(out, PATH_MAX, what, path, e);
}

static int parse_milliseconds(const char *what, const char *value, uint32_t *ret, struct err *e)
{
    char *end;

    errno = 0;
    unsigned long ms = strtoul(value, &end, 10);
    if (errno || !isdigit((unsigned char)value[0]) || *end || ms < TIMEOUT_MS_MIN ||
        ms > TIMEOUT_MS_MAX)
        return err_set(e, KE_INVALID, "%s '%s': not a number of milliseconds from %d to %d", what,
                       value, TIMEOUT_MS_MIN, TIMEOUT_MS_MAX);
    *ret = (uint32_t)ms;
    return 0;
}

static int parse_count(const char *what, const char *value, uint64_t max, uint64_t *ret,
                       struct err *e)
{
    char *end;

    errno = 0;
    unsigned long long count = strtoull(value, &end, 10);
    if (errno || !isdigit((unsigned char)value[0]) || *end || count == 0 || count > max)
        return err_set(e, KE_INVALID, "%s '%s': not a number from 1 to %llu", what, value,
                       (unsigned long long)max);
    *ret = count;
    return 0;
}

/* Bytes, or with one of these letters behind the number so many KiB, MiB or GiB. */
static int parse_bytes(const char *what, const char *value, uint64_t min, uint64_t max,
                       uint64_t *ret, struct err *e)
{
    static const char units[] = "KMG";
    char *end;

    errno = 0;
    unsigned long long size = strtoull(value, &end, 10);
    const char *unit = *end && end[1] == '\0' ? strchr(units, *end) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    if (errno || !isdigit((unsigned char)value[0]) || (*end && !unit) || size > max >> shift ||
        size << shift < min)
        return err_set(e, KE_INVALID,
                       "%s '%s': not a number of bytes from %llu to %llu (K, M and G can follow)",
                       what, value, (unsigned long long)min, (unsigned long long)max);
    *ret = size << shift;
    return 0;
}

static int set_name(struct options *options, const char *value, struct err *e)
{
    int code = member_check_name(value, e);

    /* It also names the default data directory: neither hidden nor "..". */
    if (code == 0 && value[0] == '.')
        code = err_set(e, KE_INVALID, "name '%s': must not start with '.'", value);
    return code ? code : copy_text(options->name, sizeof(options->name), "name", value, e);
}

static int set_data_dir(struct options *options, const char *value, struct err *e)
{
    return copy_absolute(options->data_dir, "data-dir", value, e);
}

static int set_listen(struct options *options, const char *value, struct err *e)
{
    int code = member_check_address(value, e);
    return code ? code : copy_text(options->listen, sizeof(options->listen), "listen", value, e);
}

static int set_initial_members(struct options *options, const char *value, struct err *e)
{
    return copy_text(options->initial_members, sizeof(options->initial_members), "initial-members",
                     value, e);
}

static int set_advertise(struct options *options, const char *value, struct err *e)
{
    int code = member_check_address(value, e);
    return code ? code
                : copy_text(options->advertise, sizeof(options->advertise), "advertise", value, e);
}

static int check_join_address(const char *text, size_t size, struct err *e)
{
    char address[STORE_ADDRESS_MAX + 1];

    if (size > STORE_ADDRESS_MAX)
        return err_set(e, KE_INVALID, "join: an address is longer than %d bytes",
                       STORE_ADDRESS_MAX);
    memcpy(address, text, size);
    address[size] = '\0';
    int code = member_check_address(address, e);
    return code ? err_wrap(e, code, "join") : 0;
}

static int set_join(struct options *options, const char *value, struct err *e)
{
    for (const char *at = value;; at++) {
        size_t size = strcspn(at, ",");
        int code = check_join_address(at, size, e);
        if (code)
            return code;
        at += size;
        if (!*at)
            break;
    }
    return copy_text(options->join, sizeof(options->join), "join", value, e);
}

static int set_learner(struct options *options, const char *value, struct err *e)
{
    (void)value;
    (void)e;
    options->learner = true;
    return 0;
}

static int set_stale_reads(struct options *options, const char *value, struct err *e)
{
    (void)value;
    (void)e;
    options->stale_reads = true;
    return 0;
}

static int set_cache(struct options *options, const char *value, struct err *e)
{
    bool is_none = strcmp(value, "none") == 0;

    if (!is_none && strcmp(value, "lease") != 0)
        return err_set(e, KE_INVALID, "cache '%s' is neither lease nor none", value);
    options->no_cache = is_none;
    return 0;
}

static int set_log_gc_count(struct options *options, const char *value, struct err *e)
{
    return parse_count("log-gc-count", value, LOG_GC_COUNT_MAX, &options->log_gc_count, e);
}

static int set_log_gc_bytes(struct options *options, const char *value, struct err *e)
{
    return parse_bytes("log-gc-bytes", value, LOG_GC_BYTES_MIN, LOG_GC_BYTES_MAX,
                       &options->log_gc_bytes, e);
}

static int set_snapshot_rate(struct options *options, const char *value, struct err *e)
{
    return parse_bytes("snapshot-rate", value, SNAPSHOT_RATE_MIN, SNAPSHOT_RATE_MAX,
                       &options->snapshot_rate, e);
}

static int set_op_timeout(struct options *options, const char *value, struct err *e)
{
    return parse_milliseconds("op-timeout", value, &options->op_timeout_ms, e);
}

static int set_election_timeout(struct options *options, const char *value, struct err *e)
{
    return parse_milliseconds("election-timeout", value, &options->election_timeout_ms, e);
}

static int set_heartbeat(struct options *options, const char *value, struct err *e)
{
    return parse_milliseconds("heartbeat", value, &options->heartbeat_ms, e);
}

static int set_log_level(struct options *options, const char *value, struct err *e)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(value, names[i]) == 0) {
            options->log_level = (enum log_level)i;
            return 0;
        }
    }
    return err_set(e, KE_INVALID, "log-level '%s': not one of debug, info, warn, error", value);
}

static int set_log_file(struct options *options, const char *value, struct err *e)
{
    return copy_absolute(options->log_file, "log-file", value, e);
}

/* What may be said as --NAME VALUE and as -o NAME=VALUE, or just as --NAME and
 * -o NAME. */
struct setting {
    const char *name;
    const char *argument; /* NULL: takes none */
    int (*set)(struct options *options, const char *value, struct err *e);
    const char *help; /* lines after the first are indented by the printer */
};

static const struct setting settings[] = {
    {"name", "NAME", set_name, "this node's name in the cluster (default: n1)"},
    {"data-dir", "DIR", set_data_dir,
     "where this node keeps its data; made when missing\n"
     "(default: /var/lib/keelfs/NAME for root, otherwise\n"
     "${XDG_STATE_HOME:-~/.local/state}/keelfs/NAME)"},
    {"listen", "HOST:PORT", set_listen,
     "address for other nodes and clients (default: this\n"
     "node's own in --initial-members, and alone\n" STORE_LISTEN_DEFAULT ")"},
    {"initial-members", "LIST", set_initial_members,
     "n1=HOST:PORT,n2=HOST:PORT,...: the nodes of a new\n"
     "cluster, the same on each; read only while DIR is\n"
     "empty (default: this node alone)"},
    {"join", "HOST:PORT,...", set_join,
     "nodes of a running cluster, one of which this node\n"
     "asks to be let in; read only while DIR is empty"},
    {"learner", NULL, set_learner, "with --join: have all data, and never vote"},
    {"advertise", "HOST:PORT", set_advertise,
     "where the other nodes reach this one, when that is not\n"
     "what it listens on; a change is told to the others"},
    {"op-timeout", "MS", set_op_timeout,
     "how long a call waits for a majority before it\n"
     "fails with ETIMEDOUT (default: 5000)"},
    {"stale-reads", NULL, set_stale_reads,
     "without a majority, read what this node has, which may\n"
     "be old, instead of failing; writing fails as ever"},
    {"cache", "MODE", set_cache,
     "lease: the kernel keeps names and attributes while\n"
     "that is right; none: each look asks the cluster\n"
     "(default: lease)"},
    {"election-timeout", "MS", set_election_timeout,
     "silence of the leader after which another is elected;\n"
     "the same on every node (default: 1000)"},
    {"heartbeat", "MS", set_heartbeat,
     "how often the leader shows that it is alive;\n"
     "the same on every node (default: 100)"},
    {"log-gc-count", "N", set_log_gc_count,
     "cut the Raft log when more than N of its entries are\n"
     "applied (default: 128000)"},
    {"log-gc-bytes", "BYTES", set_log_gc_bytes,
     "and when they are larger than this; K, M and G can\n"
     "follow the number (default: 256M)"},
    {"snapshot-rate", "BYTES", set_snapshot_rate,
     "a second, for the data sent to a node that is too far\n"
     "behind for the log (default: 512M)"},
    {"log-level", "LEVEL", set_log_level, "debug, info, warn or error (default: info)"},
    {"log-file", "FILE", set_log_file,
     "append the log to FILE (default: syslog, and with -f\n"
     "standard error)"},
};

#define SETTINGS_COUNT (sizeof(settings) / sizeof(settings[0]))

/* What mount(8) and fstab may put among the options for others than us; and what
 * changes nothing here, where the kernel keeps no access times. */
static const char *const ignored_options[] = {
    "defaults", "auto",    "noauto", "user",     "nouser",   "users",      "owner",
    "group",    "_netdev", "nofail", "relatime", "diratime", "nodiratime",
};

/* How the kernel shows an existing mount, which mount(8) repeats for -o remount. */
static const char *const shown_options[] = {"user_id=", "group_id=", "rootmode=", "blksize="};

/* What the kernel and libfuse take. */
static const char *const fuse_options[] = {
    "allow_other", "allow_root", "auto_unmount", "default_permissions",
    "ro",          "rw",         "suid",         "nosuid",
    "dev",         "nodev",      "exec",         "noexec",
    "sync",        "async",      "dirsync",      "atime",
    "noatime",     "fsname=",    "subtype=",     "max_read=",
};

static bool is_listed(const char *option, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(list[i]);
        bool takes_value = list[i][size - 1] == '=';
        if (takes_value ? strncmp(option, list[i], size) == 0 : strcmp(option, list[i]) == 0)
            return true;
    }
    return false;
}

static int add_fuse_option(struct options *options, const char *option, struct err *e)
{
    size_t used = strlen(options->fuse_options);
    size_t capacity = sizeof(options->fuse_options) - used;
    int size = snprintf(options->fuse_options + used, capacity, "%s%s", used ? "," : "", option);

    if (size < 0 || (size_t)size >= capacity)
        return err_set(e, KE_INVALID, "the mount options are longer than %d bytes",
                       OPTIONS_FUSE_TEXT_MAX);
    return 0;
}

/* fstab's habit is to write such names with '_'. */
static bool same_name(const char *name, const char *option, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        bool same = option[i] == name[i] || (option[i] == '_' && name[i] == '-');
        if (!same) /* also at the end of `name` */
            return false;
    }
    return name[size] == '\0';
}

static int apply_mount_option(struct options *options, const char *option, struct err *e)
{
    size_t size = strcspn(option, "=");

    for (size_t i = 0; i < SETTINGS_COUNT; i++) {
        if (same_name(settings[i].name, option, size)) {
            if (!settings[i].argument)
                return option[size] ? err_set(e, KE_INVALID, "mount option '%s' takes no value",
                                              settings[i].name)
                                    : settings[i].set(options, NULL, e);
            if (!option[size])
                return err_set(e, KE_INVALID, "mount option '%s' needs a value", option);
            return settings[i].set(options, option + size + 1, e);
        }
    }
    /* For fstab; see length_asked_for(). */
    if (strcmp(option, "allow_suid") == 0 || strcmp(option, "allow_dev") == 0)
        return add_fuse_option(options, option + strlen("allow_"), e);
    if (strcmp(option, "remount") == 0) {
        options->action = OPTIONS_REMOUNT;
        return 0;
    }
    if (is_listed(option, fuse_options, sizeof(fuse_options) / sizeof(fuse_options[0])))
        return add_fuse_option(options, option, e);
    if (is_listed(option, ignored_options, sizeof(ignored_options) / sizeof(ignored_options[0])) ||
        is_listed(option, shown_options, sizeof(shown_options) / sizeof(shown_options[0])) ||
        strncmp(option, "x-", 2) == 0 || strncmp(option, "comment=", 8) == 0)
        return 0;
    return err_set(e, KE_INVALID, "unknown mount option '%s'", option);
}

/* Splits `text`, which has `length` bytes, at commas outside of double quotes, as
 * mount(8) does, and drops the quotes: -o 'initial-members="n1=a:1,n2=b:1",ro'. */
static int apply_mount_options(struct options *options, const char *text, size_t length,
                               struct err *e)
{
    char option[OPTIONS_FUSE_TEXT_MAX + 1] = "";
    size_t size = 0;
    bool quoted = false;

    if (length > OPTIONS_FUSE_TEXT_MAX)
        return err_set(e, KE_INVALID, "the mount options are longer than %d bytes",
                       OPTIONS_FUSE_TEXT_MAX);
    for (const char *c = text;; c++) {
        bool ends = c == text + length;
        if (!ends && *c == '"') {
            quoted = !quoted;
        } else if (ends || (*c == ',' && !quoted)) {
            option[size] = '\0';
            int code = size > 0 ? apply_mount_option(options, option, e) : 0;
            if (code)
                return code;
            size = 0;
        } else {
            option[size++] = *c;
        }
        if (ends)
            break;
    }
    return quoted ? err_set(e, KE_INVALID, "a quote in the mount options is not closed") : 0;
}

/* --- what mount(8) makes of a line of fstab --- */

static bool has_option(const char *text, const char *option)
{
    size_t size = strlen(option);

    for (const char *at = text; (at = strstr(at, option)) != NULL; at += size) {
        bool begins = at == text || at[-1] == ',';
        if (begins && (at[size] == ',' || at[size] == '\0'))
            return true;
    }
    return false;
}

/* The length of `text` without ",`option`" at its end, or `length`. */
static size_t length_without(const char *text, size_t length, const char *option)
{
    size_t size = strlen(option);

    if (length <= size || text[length - size - 1] != ',' ||
        strncmp(text + length - size, option, size) != 0)
        return length;
    return length - size - 1;
}

/* The helper through which mount(8) comes here puts "dev,suid" behind what it was
 * given, unless that says the opposite, and mount(8) keeps a "suid" or "dev" of the
 * line to itself: these say nothing of what was asked for. */
static size_t length_asked_for(const char *text)
{
    size_t length = strlen(text);

    if (!has_option(text, "nosuid"))
        length = length_without(text, length, "suid");
    if (!has_option(text, "nodev"))
        length = length_without(text, length, "dev");
    return length;
}

/* The text behind -o when the command line is that of the helper, or NULL. */
static const char *text_of_mount_helper(int argc, char **argv)
{
    bool is_helper = argc == 5 && strcmp(argv[3], "-o") == 0 &&
                     (has_option(argv[4], "rw") || has_option(argv[4], "ro"));

    return is_helper ? argv[4] : NULL;
}

/* --- the command line --- */

static int set_default_data_dir(struct options *options, struct err *e)
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    char path[PATH_MAX];
    int size;

    if (geteuid() == 0)
        size = snprintf(path, sizeof(path), "/var/lib/keelfs/%s", options->name);
    else if (state && state[0] == '/')
        size = snprintf(path, sizeof(path), "%s/keelfs/%s", state, options->name);
    else if (home && home[0] == '/')
        size = snprintf(path, sizeof(path), "%s/.local/state/keelfs/%s", home, options->name);
    else
        return err_set(e, KE_INVALID, "no home directory to keep data in; say --data-dir DIR");
    if (size < 0 || (size_t)size >= sizeof(path))
        return err_set(e, KE_INVALID, "the default data directory's path is too long");
    return set_data_dir(options, path, e);
}

static int check_members(const struct options *options, struct err *e)
{
    struct store_member members[STORE_MEMBERS_MAX];
    size_t count;

    int code = members_parse(options->initial_members, members, &count, e);
    if (code)
        return err_wrap(e, code, "initial-members");
    if (!members_find_name(members, count, options->name))
        return err_set(e, KE_INVALID, "initial-members: this node, %s, is not among them",
                       options->name);
    return 0;
}

/* Stands for all addresses of the machine: from elsewhere it leads nowhere. */
static bool listens_on_any(const char *address)
{
    return strncmp(address, "0.0.0.0:", 8) == 0 || strncmp(address, "[::]:", 5) == 0;
}

/* A joiner tells the others where to reach it. */
static int check_join(const struct options *options, struct err *e)
{
    if (options->initial_members[0])
        return err_set(e, KE_INVALID,
                       "join and initial-members: a node either joins a cluster or founds one");
    if (options->advertise[0])
        return 0;
    if (!options->listen[0])
        return err_set(e, KE_INVALID,
                       "join: say with --listen HOST:PORT where the other nodes reach this one");
    if (listens_on_any(options->listen))
        return err_set(e, KE_INVALID,
                       "listen %s: say with --advertise HOST:PORT where the other nodes reach "
                       "this one",
                       options->listen);
    return 0;
}

static int check_together(const struct options *options, struct err *e)
{
    if (options->election_timeout_ms < OPTIONS_ELECTION_HEARTBEATS_MIN * options->heartbeat_ms)
        return err_set(e, KE_INVALID,
                       "election-timeout %u ms: must be at least %d times the heartbeat (%u ms)",
                       options->election_timeout_ms, OPTIONS_ELECTION_HEARTBEATS_MIN,
                       options->heartbeat_ms);
    if (options->learner && !options->join[0])
        return err_set(e, KE_INVALID, "learner: only a node that joins is one; see --join");
    if (options->join[0])
        return check_join(options, e);
    return options->initial_members[0] ? check_members(options, e) : 0;
}

static int take_arguments(struct options *options, int argc, char **argv, struct err *e)
{
    if (argc == 0)
        return err_set(e, KE_INVALID, "no mount point given; see --help");
    if (argc > 2)
        return err_set(e, KE_INVALID, "too many arguments: '%s'; see --help", argv[2]);
    if (argc == 2) {
        char source[OPTIONS_FUSE_TEXT_MAX + 1];
        /* umount and `mount -a` look the mount up by what fstab calls its source. */
        int size = snprintf(source, sizeof(source), "fsname=%s", argv[0]);
        if (size < 0 || (size_t)size >= sizeof(source) || strpbrk(argv[0], ",\\"))
            return err_set(e, KE_INVALID, "source '%.64s': too long, or with ',' or '\\'", argv[0]);
        int code = add_fuse_option(options, source, e);
        if (code)
            return code;
    }
    return copy_absolute(options->mountpoint, "mount point", argv[argc - 1], e);
}

enum { SHORT_OPTIONS_END = 256 };

/* The option getopt has just refused, as it was written. */
static const char *refused_option(char **argv, char *buffer, size_t capacity)
{
    const char *word = argv[optind - 1];

    if (optopt <= 0 || optopt >= SHORT_OPTIONS_END || strncmp(word, "--", 2) == 0)
        return word;
    snprintf(buffer, capacity, "-%c", optopt);
    return buffer;
}

/* `helper_text`: see text_of_mount_helper(). */
static int apply_option(struct options *options, int option, char **argv, const char *helper_text,
                        struct err *e)
{
    char name[3];

    switch (option) {
    case 'f':
        options->foreground = true;
        return 0;
    case 'o':
        return apply_mount_options(
            options, optarg, optarg == helper_text ? length_asked_for(optarg) : strlen(optarg), e);
    case 'h':
        options->action = OPTIONS_HELP;
        return 0;
    case 'V':
        options->action = OPTIONS_VERSION;
        return 0;
    case ':':
        return err_set(e, KE_INVALID, "option '%s' needs a value; see --help",
                       refused_option(argv, name, sizeof(name)));
    case '?':
        return err_set(e, KE_INVALID, "unknown option '%s'; see --help",
                       refused_option(argv, name, sizeof(name)));
    default:
        return settings[option - SHORT_OPTIONS_END].set(options, optarg, e);
    }
}

static int apply_options(struct options *options, int argc, char **argv, struct err *e)
{
    struct option table[SETTINGS_COUNT + 4] = {
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {"foreground", no_argument, NULL, 'f'},
    };
    for (size_t i = 0; i < SETTINGS_COUNT; i++)
        table[i + 3] = (struct option){settings[i].name,
                                       settings[i].argument ? required_argument : no_argument, NULL,
                                       (int)(SHORT_OPTIONS_END + i)};

    const char *helper_text = text_of_mount_helper(argc, argv);
    optind = 0; /* start afresh, whoever parsed before */
    opterr = 0;
    while (options->action == OPTIONS_RUN || options->action == OPTIONS_REMOUNT) {
        int option = getopt_long(argc, argv, ":fho:V", table, NULL);
        if (option == -1)
            break;
        int code = apply_option(options, option, argv, helper_text, e);
        if (code)
            return code;
    }
    return 0;
}

int options_parse(int argc, char **argv, struct options *ret_options, struct err *e)
{
    struct options options = {
        .log_level = LOG_LEVEL_INFO,
        .op_timeout_ms = OPTIONS_OP_TIMEOUT_MS_DEFAULT,
        .election_timeout_ms = OPTIONS_ELECTION_MS_DEFAULT,
        .heartbeat_ms = OPTIONS_HEARTBEAT_MS_DEFAULT,
        .name = "n1",
    };

    int code = apply_options(&options, argc, argv, e);
    bool is_for_mount = options.action == OPTIONS_RUN || options.action == OPTIONS_REMOUNT;
    if (code == 0 && is_for_mount)
        code = take_arguments(&options, argc - optind, argv + optind, e);
    if (code == 0 && options.action == OPTIONS_RUN) {
        if (!options.data_dir[0])
            code = set_default_data_dir(&options, e);
        if (code == 0)
            code = check_together(&options, e);
    }
    if (code == 0)
        *ret_options = options;
    return code;
}

struct options_ticks options_ticks(uint32_t heartbeat_ms, uint32_t election_timeout_ms)
{
    /* Two ticks a heartbeat where that is fine enough, more where it is not. */
    uint32_t tick_ms = heartbeat_ms / 2;
    if (tick_ms > TICK_MS_MAX)
        tick_ms = TICK_MS_MAX;
    return (struct options_ticks){
        .tick_ms = tick_ms,
        .heartbeat_ticks = heartbeat_ms / tick_ms,
        .election_ticks = (election_timeout_ms + tick_ms - 1) / tick_ms,
    };
}

static void print_setting(const struct setting *setting)
{
    char left[64];

    snprintf(left, sizeof(left), "--%s %s", setting->name,
             setting->argument ? setting->argument : "");
    for (const char *line = setting->help;;) {
        int size = (int)strcspn(line, "\n");
        printf("  %-24s %.*s\n", left, size, line);
        if (!line[size])
            break;
        line += size + 1;
        left[0] = '\0';
    }
}

void options_print_help(void)
{
    printf("Usage: keelfs [options] [SOURCE] MOUNTPOINT\n"
           "Mounts a strongly consistent key-value store at MOUNTPOINT and serves it as one\n"
           "node of its cluster. Alone, without options, it is a cluster of one node.\n"
           "\n");
    for (size_t i = 0; i < SETTINGS_COUNT; i++)
        print_setting(&settings[i]);
    printf("  -o OPTION[,OPTION...]    any of the above as NAME=VALUE (commas in a value go in\n"
           "                           double quotes), and mount options: allow_other, ro,\n"
           "                           noatime, noexec, suid, dev, ... (in fstab, where\n"
           "                           mount(8) does not pass on the last two: allow_suid,\n"
           "                           allow_dev); remount changes such flags of a mount\n"
           "                           that is there\n"
           "  -f, --foreground         do not go into the background\n"
           "  -h, --help               this text\n"
           "  -V, --version            the version\n"
           "\n"
           "Stop it with `fusermount3 -u MOUNTPOINT`, `umount MOUNTPOINT` or SIGTERM. While it\n"
           "runs its process id is in DIR/keelfs.pid; MOUNTPOINT/.keelfs/status says how it is.\n"
           "\n"
           "One node:     keelfs /mnt/kv\n"
           "Three nodes:  keelfs --name n1 --initial-members n1=10.0.0.1:20160,"
           "n2=10.0.0.2:20160,\\\n"
           "                     n3=10.0.0.3:20160 /mnt/kv     (and so with n2, n3)\n"
           "A fourth:     keelfs --name n4 --listen 10.0.0.4:20160 --join 10.0.0.1:20160 /mnt/kv\n"
           "/etc/fstab:   keelfs /mnt/kv fuse.keelfs name=n1,allow_other,_netdev 0 0\n");
}

void options_print_version(void)
{
    printf("keelfs %s\n", KEELFS_VERSION);
}
