/* keelctl's parts: what the command line said, one call to whichever node
 * answers, the commands, and how bytes are shown. */
#ifndef KEELFS_TOOLS_KEELCTL_H
#define KEELFS_TOOLS_KEELCTL_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEELCTL_ENDPOINTS_MAX 16

/* What the shell gets. A script may count on these. */
enum keelctl_exit {
    KEELCTL_OK = 0,
    KEELCTL_NOT_FOUND = 1,
    KEELCTL_USAGE = 2,
    KEELCTL_UNAVAILABLE = 3, /* nobody answered, or not in time */
    KEELCTL_REFUSED = 4,     /* the request itself is wrong */
    KEELCTL_OUTPUT = 5,      /* what was read could not be written out */
};

/* What `check` has of its own. */
#define KEELCTL_CHECK_DIFFERENT 1
#define KEELCTL_CHECK_UNKNOWN   2

struct keelctl {
    const char *endpoints[KEELCTL_ENDPOINTS_MAX];
    size_t endpoint_count;
    uint32_t timeout_ms;
    bool json;
    const char *cf;
    uint32_t limit; /* of a scan; 0: none */
    bool wait;
    bool yes;
    const char *data_dir; /* NULL: not given */
    const char *bytes;    /* of a quota, as given; NULL: not given */
    const char *files;

    const char *command; /* as messages name it */
    char *const *args;
    size_t arg_count;
};

/* A command, or a member of a family of them. */
struct keelctl_command {
    const char *name;
    size_t args_min;
    size_t args_max;
    const char *needs; /* what is missing when there are fewer, for a message */
    int (*run)(const struct keelctl *ctl);
    const char *help;
};

/* NULL: no such command. */
const struct keelctl_command *keelctl_find_command(const struct keelctl_command *list, size_t count,
                                                   const char *name);

/* Runs it with `ctl`, whose arguments are its own, when their number is right. */
int keelctl_run_command(const struct keelctl *ctl, const struct keelctl_command *command);

/* ---- keelctl_call.c ---- */

#define KEELCTL_MESSAGE_MAX 2048

/* Says "keelctl: ..." on stderr, on one line. Returns `status`. */
int keelctl_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct keelctl_call {
    const char *method;
    const ProtobufCMessage *request;
    const ProtobufCMessageDescriptor *response;
    /* Nothing changes: when a node fails, the next one may be asked. */
    bool read_only;
    /* For a caller that can do with less: the answer was too large for one
     * message. Nothing has been said then. */
    bool *ret_too_large;
    /* For a caller that can ask others: nobody could be connected to, so nothing has
     * happened. Nothing has been said then. */
    bool *ret_unreached;
    /* KEELCTL_MESSAGE_MAX bytes: what went wrong is written here and not said. May
     * be NULL. */
    char *ret_why;
};

/* Asks the endpoints in turn until one answers. `*ret_response` is freed by the
 * caller with protobuf_c_message_free_unpacked(). On failure everything has been
 * said, and the exit status is returned. */
int keelctl_call(const struct keelctl *ctl, const struct keelctl_call *call,
                 ProtobufCMessage **ret_response);

/* The same for what the leader alone does, whose response has the fields
 * `not_leader` and `leader_address`: goes where it is sent, and waits for a leader
 * while there is none. */
int keelctl_call_leader(const struct keelctl *ctl, const struct keelctl_call *call,
                        ProtobufCMessage **ret_response);

/* ---- the commands ---- */

int keelctl_get(const struct keelctl *ctl);
int keelctl_put(const struct keelctl *ctl);
int keelctl_del(const struct keelctl *ctl);
int keelctl_scan(const struct keelctl *ctl);
int keelctl_status(const struct keelctl *ctl);
int keelctl_member(const struct keelctl *ctl);
int keelctl_check(const struct keelctl *ctl);
int keelctl_quota(const struct keelctl *ctl);
int keelctl_recover(const struct keelctl *ctl);

/* The help of `member`, or of the one of its commands that `args` begin with. */
const char *keelctl_member_help(char *const *args, size_t arg_count);

/* ---- keelctl_text.c ---- */

struct cJSON;

/* Adds `name` with the bytes as text or, when they are no UTF-8 text without NUL,
 * `name`_base64. */
void keelctl_json_add_bytes(struct cJSON *object, const char *name, const void *bytes, size_t size);
/* Exact, also past 2^53. */
void keelctl_json_add_number(struct cJSON *object, const char *name, uint64_t value);
/* As 16 hexadecimal digits. */
void keelctl_json_add_id(struct cJSON *object, const char *name, uint64_t value);
/* Prints and frees. `compact` is on one line. */
int keelctl_json_print(struct cJSON *object, bool compact, const char *end);

/* Printable text as it is; tabs, line ends, backslashes and what is no text as
 * \t, \n, \r, \\ and \xNN: a line stays a line, and can be undone. */
void keelctl_print_escaped(const void *bytes, size_t size);

/* Whether all that was printed went out. */
int keelctl_finish_output(void);

#endif
