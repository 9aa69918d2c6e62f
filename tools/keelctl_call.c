#include "tools/keelctl.h"

#include "raftstore/err.h"
#include "raftstore/memory.h"
#include "raftstore/op.h"
#include "raftstore/rpc_client.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long one endpoint may take to connect while there are others to try. */
#define CONNECT_MS  2000
#define NS_PER_MS   1000000ull
#define MESSAGE_MAX 2048

int keelctl_fail(int status, const char *format, ...)
{
    char text[MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    /* The words of a server are not ours: still one line, and none that a
     * terminal would obey. */
    for (char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = ' ';
    }
    (void)fprintf(stderr, "keelctl: %s\n", text);
    return status;
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
    if (attempt->ctl->endpoint_count > 1)
        return keelctl_fail(KEELCTL_UNAVAILABLE,
                            "cannot connect to any of the %zu endpoints; is keelfs running there?",
                            attempt->ctl->endpoint_count);
    return keelctl_fail(KEELCTL_UNAVAILABLE,
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
        return keelctl_fail(KEELCTL_UNAVAILABLE,
                            "%s: no answer from %s within %u ms: no majority of the members may "
                            "be up (see keelctl status)%s",
                            command, attempt->endpoint, attempt->ctl->timeout_ms, unknown);
    case KE_SHUTDOWN:
    case KE_IO:
    case KE_CORRUPT:
    case KE_CANCELLED:
        return keelctl_fail(KEELCTL_UNAVAILABLE, "%s: %s: %s%s", command, attempt->endpoint,
                            attempt->e.text, unknown);
    case KE_BUSY:
        return keelctl_fail(KEELCTL_UNAVAILABLE, "%s: %s: %s; try again later", command,
                            attempt->endpoint, attempt->e.text);
    case KE_NOT_SUPPORTED:
        return keelctl_fail(KEELCTL_REFUSED, "%s: %s is no keelfs of this version: %s", command,
                            attempt->endpoint, attempt->e.text);
    default:
        return keelctl_fail(KEELCTL_REFUSED, "%s: %s", command, attempt->e.text);
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
        return keelctl_fail(KEELCTL_UNAVAILABLE, "%s: %s answers with something else than %s",
                            ctl->command, attempt.endpoint, call->response->name);
    return KEELCTL_OK;
}
