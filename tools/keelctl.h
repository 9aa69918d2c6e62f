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

struct keelctl {
    const char *endpoints[KEELCTL_ENDPOINTS_MAX];
    size_t endpoint_count;
    uint32_t timeout_ms;
    bool json;
    const char *cf;
    uint32_t limit; /* of a scan; 0: none */

    const char *command;
    char *const *args;
    size_t arg_count;
};

/* ---- keelctl_call.c ---- */

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
};

/* Asks the endpoints in turn until one answers. `*ret_response` is freed by the
 * caller with protobuf_c_message_free_unpacked(). On failure everything has been
 * said, and the exit status is returned. */
int keelctl_call(const struct keelctl *ctl, const struct keelctl_call *call,
                 ProtobufCMessage **ret_response);

/* ---- the commands ---- */

int keelctl_get(const struct keelctl *ctl);
int keelctl_put(const struct keelctl *ctl);
int keelctl_del(const struct keelctl *ctl);
int keelctl_scan(const struct keelctl *ctl);
int keelctl_status(const struct keelctl *ctl);

/* ---- keelctl_text.c ---- */

struct cJSON;

/* Adds `name` with the bytes as text or, when they are no UTF-8 text without NUL,
 * `name`_base64. */
void keelctl_json_add_bytes(struct cJSON *object, const char *name, const void *bytes, size_t size);
/* Exact, also past 2^53. */
void keelctl_json_add_number(struct cJSON *object, const char *name, uint64_t value);
/* Prints and frees. `compact` is on one line. */
int keelctl_json_print(struct cJSON *object, bool compact, const char *end);

/* Printable text as it is; tabs, line ends, backslashes and what is no text as
 * \t, \n, \r, \\ and \xNN: a line stays a line, and can be undone. */
void keelctl_print_escaped(const void *bytes, size_t size);

/* Whether all that was printed went out. */
int keelctl_finish_output(void);

#endif
