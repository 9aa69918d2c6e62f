#include "access.h"
#include "content.h"

#include "raft/varint.h"
#include "raftstore/memory.h"
#include "raftstore/rpc_client.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Longer than a node takes to give a call up: it is the node that decides. */
#define CALL_MS          8000
#define CONNECT_MS       1000
#define RECOVER_NS       50000000
#define REQUEST_OVERHEAD 64

/* Fields of the messages of kvrpcpb. */
#define REQUEST_KEY        2
#define REQUEST_VALUE      3
#define RESPONSE_REGION    1
#define RESPONSE_ERROR     2
#define RESPONSE_VALUE     3
#define RESPONSE_NOT_FOUND 4

struct rpc_access {
    struct access access;
    struct rpc_client *client;
    bool is_down;   /* not connected, so that every call is refused */
    uint8_t *value; /* prepared */
    size_t value_size;
};

/* What the fields of a response say. */
struct response {
    bool is_error;
    bool is_absent;
    const uint8_t *value;
    size_t value_size;
};

static struct response parse_response(const uint8_t *data, size_t size)
{
    struct raft_wire_reader r = {.at = data, .end = data + size};
    struct raft_wire_field field;
    struct response response = {0};
    while (raft_wire_next(&r, &field)) {
        if (field.number == RESPONSE_REGION || field.number == RESPONSE_ERROR)
            response.is_error = true;
        else if (field.number == RESPONSE_NOT_FOUND)
            response.is_absent = field.value != 0;
        else if (field.number == RESPONSE_VALUE) {
            response.value = field.data;
            response.value_size = field.size;
        }
    }
    response.is_error = response.is_error || r.bad;
    return response;
}

/* KE_OK, or what is known of a call that failed: only these leave it open whether
 * it was applied (see rpc_status.c); after the others it was not. */
static bool is_unknown(int code)
{
    return code == KE_TIMEOUT || code == KE_CANCELLED || code == KE_SHUTDOWN || code == KE_IO;
}

/* `data` is NULL when it failed, and then the answer says how; free() it. */
static struct answer call(struct rpc_access *rpc, const char *method, const char *key,
                          const uint8_t *value, size_t value_size, uint8_t **ret_data,
                          size_t *ret_size)
{
    struct err e;
    *ret_data = NULL;
    if (rpc->is_down)
        return (struct answer){.is_refused = true};
    uint8_t *request = mem_alloc(strlen(key) + value_size + REQUEST_OVERHEAD);
    struct raft_wire_writer w = {.at = request};
    raft_wire_put_bytes(&w, REQUEST_KEY, key, strlen(key));
    if (value != NULL)
        raft_wire_put_bytes(&w, REQUEST_VALUE, value, value_size);
    int code =
        rpc_client_call(rpc->client, method, request, w.length, CALL_MS, ret_data, ret_size, &e);
    free(request);
    if (code)
        return (struct answer){.result = LIN_UNKNOWN, .is_refused = !is_unknown(code)};
    return (struct answer){.result = LIN_OK};
}

static struct answer get_as(struct access *access, const char *key,
                            char *(*decode)(const uint8_t *data, size_t size))
{
    struct rpc_access *rpc = (struct rpc_access *)access;
    uint8_t *data;
    size_t size;
    struct answer answer = call(rpc, "/tinykvpb.TinyKv/RawGet", key, NULL, 0, &data, &size);
    if (data == NULL)
        return answer;
    struct response response = parse_response(data, size);
    if (response.is_error)
        answer = (struct answer){.is_refused = true};
    else if (response.is_absent)
        answer.result = LIN_ABSENT;
    else
        answer.value = decode(response.value, response.value_size);
    free(data);
    return answer;
}

static struct answer rpc_get(struct access *access, const char *key)
{
    return get_as(access, key, content_to_value);
}

static struct answer rpc_read(struct access *access, const char *key)
{
    return get_as(access, key, content_to_tokens);
}

static bool rpc_prepare(struct access *access, const char *key, const char *value)
{
    struct rpc_access *rpc = (struct rpc_access *)access;
    (void)key;
    free(rpc->value);
    rpc->value = content_of_value(value, &rpc->value_size);
    return true;
}

/* Of a call that changes something. */
static struct answer change(struct rpc_access *rpc, const char *method, const char *key,
                            const uint8_t *value, size_t value_size)
{
    uint8_t *data;
    size_t size;
    struct answer answer = call(rpc, method, key, value, value_size, &data, &size);
    if (data != NULL && parse_response(data, size).is_error)
        answer = (struct answer){.is_refused = true};
    free(data);
    return answer;
}

static struct answer rpc_put(struct access *access, const char *key)
{
    struct rpc_access *rpc = (struct rpc_access *)access;
    assert(rpc->value != NULL);
    return change(rpc, "/tinykvpb.TinyKv/RawPut", key, rpc->value, rpc->value_size);
}

static struct answer rpc_remove(struct access *access, const char *key)
{
    return change((struct rpc_access *)access, "/tinykvpb.TinyKv/RawDelete", key, NULL, 0);
}

static void rpc_recover(struct access *access)
{
    struct rpc_access *rpc = (struct rpc_access *)access;
    struct timespec pause = {.tv_nsec = RECOVER_NS};
    struct err e;
    (void)nanosleep(&pause, NULL);
    rpc->is_down = rpc_client_connect(rpc->client, CONNECT_MS, &e) != 0;
}

static void rpc_close(struct access *access)
{
    struct rpc_access *rpc = (struct rpc_access *)access;
    rpc_client_free(rpc->client);
    free(rpc->value);
    free(rpc);
}

static const struct access_ops rpc_ops = {
    .get = rpc_get,
    .read = rpc_read,
    .prepare = rpc_prepare,
    .put = rpc_put,
    .remove = rpc_remove,
    .recover = rpc_recover,
    .close = rpc_close,
};

struct access *access_by_rpc(const char *endpoint)
{
    struct rpc_access *rpc = mem_zalloc(sizeof(*rpc));
    rpc->access.ops = &rpc_ops;
    rpc->client = rpc_client_new(endpoint);
    return &rpc->access;
}
