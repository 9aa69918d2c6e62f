#include "tools/keelctl.h"

#include "raftstore/err.h"
#include "raftstore/memory.h"
#include "raftstore/op.h"
#include "raftstore/rpc_client.h"
#include "raftstore/store.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How long one endpoint may take to connect while there are others to try. */
#define CONNECT_MS 2000
#define NS_PER_MS  1000000ull
/* While no leader is known: a new one is there after an election timeout or two. */
#define LEADER_PAUSE_MS 100

/* The words of a server are not ours: still one line, and none that a terminal
 * would obey. */
static void format_line(char *text, const char *format, va_list args)
{
    (void)vsnprintf(text, KEELCTL_MESSAGE_MAX, format, args);
    for (char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = ' ';
    }
}

int keelctl_fail(int status, const char *format, ...)
{
    char text[KEELCTL_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    format_line(text, format, args);
    va_end(args);
    (void)fprintf(stderr, "keelctl: %s\n", text);
    return status;
}

/* The same of a call, whose caller may want the words instead. */
static int __attribute__((format(printf, 3, 4)))
call_fail(const struct keelctl_call *call, int status, const char *format, ...)
{
    char text[KEELCTL_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    format_line(call->ret_why != NULL ? call->ret_why : text, format, args);
    va_end(args);
    return call->ret_why != NULL ? status : keelctl_fail(status, "%s", text);
}

struct attempt {
    const struct keelctl *ctl;
    const struct keelctl_call *call;
    const uint8_t *request;
    size_t request_size;
    uint64_t deadline_ns;
    /* Of the last endpoint that was tried. */
    const char *endpoint;
    bool connected;
    struct err e;
};

static uint32_t left_ms(const struct attempt *attempt)
{
    uint64_t now_ns = clock_ns();
    if (now_ns >= attempt->deadline_ns)
        return 1; /* gRPC answers that the deadline has passed */
    return (uint32_t)((attempt->deadline_ns - now_ns) / NS_PER_MS) + 1;
}

static int try_endpoint(struct attempt *attempt, uint8_t **ret_bytes, size_t *ret_size)
{
    struct rpc_client *client = rpc_client_new(attempt->endpoint);
    uint32_t connect_ms = left_ms(attempt);
    if (connect_ms > CONNECT_MS)
        connect_ms = CONNECT_MS;
    attempt->connected = false;
    int rc = rpc_client_connect(client, connect_ms, &attempt->e);
    if (rc == 0) {
        attempt->connected = true;
        rc = rpc_client_call(client, attempt->call->method, attempt->request, attempt->request_size,
                             left_ms(attempt), ret_bytes, ret_size, &attempt->e);
    }
    rpc_client_free(client);
    return rc;
}

/* A node that is gone, or not a member any more: another one may do better. But a
 * change that a node has seen is not sent again: it may come late, and undo what
 * somebody wrote in the meantime. */
static bool may_try_next(const struct attempt *attempt)
{
    if (!attempt->connected)
        return true;
    return attempt->call->read_only && attempt->e.code == KE_SHUTDOWN;
}

static int report_unreachable(const struct attempt *attempt)
{
    if (attempt->call->ret_why != NULL)
        return call_fail(attempt->call, KEELCTL_UNAVAILABLE, "cannot connect to %s",
                         attempt->endpoint);
    if (attempt->ctl->endpoint_count > 1)
        return call_fail(attempt->call, KEELCTL_UNAVAILABLE,
                         "cannot connect to any of the %zu endpoints; is keelfs running there?",
                         attempt->ctl->endpoint_count);
    return call_fail(attempt->call, KEELCTL_UNAVAILABLE,
                     "cannot connect to %s; is keelfs running there? --endpoint HOST:PORT names "
                     "another node",
                     attempt->endpoint);
}

static int report(const struct attempt *attempt)
{
    const char *command = attempt->ctl->command;
    const char *unknown =
        attempt->call->read_only ? "" : "; whether the change was made is not known";
    switch (attempt->e.code) {
    case KE_TIMEOUT:
        return call_fail(attempt->call, KEELCTL_UNAVAILABLE,
                         "%s: no answer from %s within %u ms: no majority of the members may "
                         "be up (see keelctl status)%s",
                         command, attempt->endpoint, attempt->ctl->timeout_ms, unknown);
    case KE_SHUTDOWN:
    case KE_IO:
    case KE_CORRUPT:
    case KE_CANCELLED:
        return call_fail(attempt->call, KEELCTL_UNAVAILABLE, "%s: %s: %s%s", command,
                         attempt->endpoint, attempt->e.text, unknown);
    case KE_BUSY:
        return call_fail(attempt->call, KEELCTL_UNAVAILABLE, "%s: %s: %s; try again later", command,
                         attempt->endpoint, attempt->e.text);
    case KE_NOT_SUPPORTED:
        return call_fail(attempt->call, KEELCTL_REFUSED, "%s: %s is no keelfs of this version: %s",
                         command, attempt->endpoint, attempt->e.text);
    default:
        return call_fail(attempt->call, KEELCTL_REFUSED, "%s: %s", command, attempt->e.text);
    }
}

static int ask(struct attempt *attempt, uint8_t **ret_bytes, size_t *ret_size)
{
    bool connected = false;
    for (size_t i = 0; i < attempt->ctl->endpoint_count; i++) {
        attempt->endpoint = attempt->ctl->endpoints[i];
        if (try_endpoint(attempt, ret_bytes, ret_size) == 0)
            return KEELCTL_OK;
        connected = connected || attempt->connected;
        if (!may_try_next(attempt))
            break;
    }
    if (!connected && attempt->call->ret_unreached != NULL) {
        *attempt->call->ret_unreached = true;
        return KEELCTL_UNAVAILABLE;
    }
    if (!connected)
        return report_unreachable(attempt);
    if (attempt->e.code == KE_TOO_LARGE && attempt->call->ret_too_large != NULL) {
        *attempt->call->ret_too_large = true;
        return KEELCTL_REFUSED;
    }
    return report(attempt);
}

int keelctl_call(const struct keelctl *ctl, const struct keelctl_call *call,
                 ProtobufCMessage **ret_response)
{
    struct attempt attempt = {.ctl = ctl, .call = call};
    attempt.deadline_ns = clock_ns() + ctl->timeout_ms * NS_PER_MS;
    attempt.request_size = protobuf_c_message_get_packed_size(call->request);
    uint8_t *request = mem_alloc(attempt.request_size);
    protobuf_c_message_pack(call->request, request);
    attempt.request = request;

    uint8_t *bytes = NULL;
    size_t size = 0;
    int status = ask(&attempt, &bytes, &size);
    free(request);
    if (status != KEELCTL_OK)
        return status;
    *ret_response = protobuf_c_message_unpack(call->response, NULL, size, bytes);
    free(bytes);
    if (*ret_response == NULL)
        return call_fail(call, KEELCTL_UNAVAILABLE, "%s: %s answers with something else than %s",
                         ctl->command, attempt.endpoint, call->response->name);
    return KEELCTL_OK;
}

/* ---- what the leader alone does ---- */

static const void *response_field(const ProtobufCMessage *response, const char *name)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(response->descriptor, name);
    assert(field != NULL);
    return (const char *)response + field->offset;
}

static bool response_sends_on(const ProtobufCMessage *response, const char **ret_address)
{
    *ret_address = *(char *const *)response_field(response, "leader_address");
    return *(const protobuf_c_boolean *)response_field(response, "not_leader") != 0;
}

static void pause_ms(long ms)
{
    struct timespec time = {.tv_nsec = ms * (long)NS_PER_MS};
    (void)nanosleep(&time, NULL);
}

/* One try. True: it was the last one, and ended with `*ret_status`. False: `*at` says
 * whom to ask next, and the address is kept in `leader`. */
static bool try_leader(struct keelctl *at, const struct keelctl *ctl,
                       const struct keelctl_call *call, char *leader,
                       ProtobufCMessage **ret_response, int *ret_status)
{
    struct keelctl_call try = *call;
    bool unreached = false;
    const char *address = "";
    /* One that was named may be down since; the others will know its successor. */
    if (at->endpoints[0] == leader)
        try.ret_unreached = &unreached;
    *ret_status = keelctl_call(at, &try, ret_response);
    if (!unreached && (*ret_status != KEELCTL_OK || !response_sends_on(*ret_response, &address)))
        return true;
    *at = *ctl;
    if (address[0] != '\0') {
        (void)snprintf(leader, STORE_ADDRESS_MAX + 1, "%s", address);
        at->endpoints[0] = leader;
        at->endpoint_count = 1;
    }
    if (!unreached)
        protobuf_c_message_free_unpacked(*ret_response, NULL);
    return false;
}

int keelctl_call_leader(const struct keelctl *ctl, const struct keelctl_call *call,
                        ProtobufCMessage **ret_response)
{
    uint64_t deadline_ns = clock_ns() + ctl->timeout_ms * NS_PER_MS;
    struct keelctl at = *ctl;
    char leader[STORE_ADDRESS_MAX + 1];
    unsigned hops = 0;
    uint64_t now_ns;
    int status;
    while ((now_ns = clock_ns()) < deadline_ns) {
        at.timeout_ms = (uint32_t)((deadline_ns - now_ns) / NS_PER_MS) + 1;
        if (try_leader(&at, ctl, call, leader, ret_response, &status))
            return status;
        /* The first hop is most often right. After that, they may be in an election. */
        if (hops++ > 0 || at.endpoints[0] != leader)
            pause_ms(LEADER_PAUSE_MS);
    }
    return call_fail(call, KEELCTL_UNAVAILABLE,
                     "%s: no leader within %u ms: no majority of the members may be up (see "
                     "keelctl status); nothing was changed",
                     ctl->command, ctl->timeout_ms);
}
