#include "raftstore/service_raw.h"

#include "raftstore/memory.h"
#include "raftstore/path.h"
#include "raftstore/store.h"
#include "raftstore/wire.h"

#include "kvrpcpb.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A value up to here is read where the barrier ends; a larger one, and every scan,
 * would keep the apply thread from its work. */
#define INLINE_READ_MAX (64u << 10)
/* Key and value bytes of one reply. */
#define REPLY_BYTES_MAX (WIRE_MESSAGE_MAX - (64u << 10))

/* ---- what all requests have ---- */

static const char *const families[] = {"default", "lock", "write"};

/* The canonical name of a column family, or NULL. */
static const char *find_family(const char *cf)
{
    if (cf[0] == '\0')
        return families[0];
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        if (strcmp(cf, families[i]) == 0)
            return families[i];
    }
    return NULL;
}

static int check_family(const char *cf, struct err *e)
{
    if (find_family(cf) != NULL)
        return 0;
    return err_set(e, KE_INVALID, "no column family '%.32s': there are default, lock and write",
                   cf);
}

static int check_key(const char *cf, const ProtobufCBinaryData *key, struct err *e)
{
    int rc = check_family(cf, e);
    if (rc != 0)
        return rc;
    if (find_family(cf) == families[0])
        return path_check(key->data, key->len, e);
    if (key->len == 0 || key->len > PATH_BYTES_MAX)
        return err_set(e, KE_INVALID, "a key of %zu bytes; it has 1 to %d", key->len,
                       PATH_BYTES_MAX);
    return 0;
}

/* A request that was meant for another region or store. */
struct region_error {
    Errorpb__Error error;
    Errorpb__RegionNotFound region_not_found;
    Errorpb__StoreNotMatch store_not_match;
    char text[128];
};

/* The error to reply with, kept in `space`, or NULL. Any member takes any request:
 * epoch and term do not matter. */
static Errorpb__Error *check_context(const struct rpc_call *call, const Kvrpcpb__Context *context,
                                     struct region_error *space)
{
    const struct rpc_server_config *config = rpc_call_config(call);
    errorpb__error__init(&space->error);
    space->error.message = space->text;
    if (context == NULL)
        return NULL;
    if (context->region_id != 0 && context->region_id != config->region_id) {
        errorpb__region_not_found__init(&space->region_not_found);
        space->region_not_found.region_id = context->region_id;
        space->error.region_not_found = &space->region_not_found;
        (void)snprintf(space->text, sizeof(space->text),
                       "region %" PRIu64 " is not on this store, only region %" PRIu64,
                       context->region_id, config->region_id);
        return &space->error;
    }
    uint64_t store_id = context->peer != NULL ? context->peer->store_id : 0;
    if (store_id != 0 && store_id != config->store_id) {
        errorpb__store_not_match__init(&space->store_not_match);
        space->store_not_match.request_store_id = store_id;
        space->store_not_match.actual_store_id = config->store_id;
        space->error.store_not_match = &space->store_not_match;
        (void)snprintf(space->text, sizeof(space->text),
                       "the request is for store %" PRIu64 ", this is store %" PRIu64, store_id,
                       config->store_id);
        return &space->error;
    }
    return NULL;
}

static void fail_code(struct rpc_call *call, int code)
{
    struct err e;
    err_set(&e, code, "%s", ke_text(code));
    rpc_call_fail(call, &e);
}

static void fail_too_large(struct rpc_call *call, const char *hint)
{
    struct err e;
    err_set(&e, KE_TOO_LARGE, "more than %u bytes do not fit into one reply; %s", REPLY_BYTES_MAX,
            hint);
    rpc_call_fail(call, &e);
}

static void take_view(struct rpc_call *call)
{
    call->view = tree_view_new(store_tree(rpc_call_config(call)->store));
}

/* ---- RawGet ---- */

static int read_value(struct rpc_call *call, size_t max, uint8_t **ret_value, size_t *ret_size)
{
    const Kvrpcpb__RawGetRequest *request = (const void *)call->request;
    return tree_get(call->view, find_family(request->cf), request->key.data, request->key.len, max,
                    ret_value, ret_size);
}

static void get_reply(struct rpc_call *call, int code, uint8_t *value, size_t size)
{
    Kvrpcpb__RawGetResponse response = KVRPCPB__RAW_GET_RESPONSE__INIT;
    response.value = (ProtobufCBinaryData){.data = value, .len = size};
    response.not_found = code == KE_NOT_FOUND;
    if (code == 0 || code == KE_NOT_FOUND)
        rpc_call_reply(call, &response.base);
    else if (code == KE_TOO_LARGE)
        fail_too_large(call, "read the file through a mount");
    else
        fail_code(call, code);
}

static void get_large(struct rpc_call *call)
{
    uint8_t *value = NULL;
    size_t size = 0;
    int rc = read_value(call, REPLY_BYTES_MAX, &value, &size);
    get_reply(call, rc, value, size);
    free(value);
}

static void get_done(struct op *op, const struct op_result *result)
{
    struct rpc_call *call = rpc_call_of_op(op);
    if (result->code != 0) {
        fail_code(call, result->code);
        return;
    }
    take_view(call);
    uint8_t *value = NULL;
    size_t size = 0;
    int rc = read_value(call, INLINE_READ_MAX, &value, &size);
    if (rc == KE_TOO_LARGE)
        rpc_call_resume(call, get_large);
    else
        get_reply(call, rc, value, size);
    free(value);
}

static void get_serve(struct rpc_call *call)
{
    const Kvrpcpb__RawGetRequest *request = (const void *)call->request;
    struct err e;
    if (check_key(request->cf, &request->key, &e) != 0) {
        rpc_call_fail(call, &e);
        return;
    }
    Kvrpcpb__RawGetResponse response = KVRPCPB__RAW_GET_RESPONSE__INIT;
    struct region_error space;
    response.region_error = check_context(call, request->context, &space);
    if (response.region_error != NULL)
        rpc_call_reply(call, &response.base);
    else
        store_barrier(rpc_call_config(call)->store, &call->op);
}

/* ---- RawPut ---- */

static void put_done(struct op *op, const struct op_result *result)
{
    Kvrpcpb__RawPutResponse response = KVRPCPB__RAW_PUT_RESPONSE__INIT;
    struct rpc_call *call = rpc_call_of_op(op);
    if (result->code == 0)
        rpc_call_reply(call, &response.base);
    else
        fail_code(call, result->code);
}

static int put_check(const Kvrpcpb__RawPutRequest *request, struct err *e)
{
    int rc = check_key(request->cf, &request->key, e);
    if (rc == 0 && request->value.len > COMMAND_CONTENT_MAX)
        rc = err_set(e, KE_INVALID, "a value of %zu bytes; one put takes at most %u",
                     request->value.len, COMMAND_CONTENT_MAX);
    return rc;
}

static void put_serve(struct rpc_call *call)
{
    const Kvrpcpb__RawPutRequest *request = (const void *)call->request;
    struct err e;
    if (put_check(request, &e) != 0) {
        rpc_call_fail(call, &e);
        return;
    }
    Kvrpcpb__RawPutResponse response = KVRPCPB__RAW_PUT_RESPONSE__INIT;
    struct region_error space;
    response.region_error = check_context(call, request->context, &space);
    if (response.region_error != NULL) {
        rpc_call_reply(call, &response.base);
        return;
    }
    struct command *cmd = command_new();
    command_put(cmd, find_family(request->cf), request->key.data, request->key.len,
                request->value.data, request->value.len);
    store_propose(rpc_call_config(call)->store, &cmd, &call->op);
}

/* ---- RawDelete ---- */

static void delete_done(struct op *op, const struct op_result *result)
{
    Kvrpcpb__RawDeleteResponse response = KVRPCPB__RAW_DELETE_RESPONSE__INIT;
    struct rpc_call *call = rpc_call_of_op(op);
    if (result->code == 0)
        rpc_call_reply(call, &response.base);
    else
        fail_code(call, result->code);
}

static void delete_serve(struct rpc_call *call)
{
    const Kvrpcpb__RawDeleteRequest *request = (const void *)call->request;
    struct err e;
    if (check_key(request->cf, &request->key, &e) != 0) {
        rpc_call_fail(call, &e);
        return;
    }
    Kvrpcpb__RawDeleteResponse response = KVRPCPB__RAW_DELETE_RESPONSE__INIT;
    struct region_error space;
    response.region_error = check_context(call, request->context, &space);
    if (response.region_error != NULL) {
        rpc_call_reply(call, &response.base);
        return;
    }
    struct command *cmd = command_new();
    command_delete(cmd, find_family(request->cf), request->key.data, request->key.len);
    store_propose(rpc_call_config(call)->store, &cmd, &call->op);
}

/* ---- RawScan ---- */

/* A reply that grows pair by pair: packed messages behind one another are one
 * message, their repeated fields joined. */
struct scan_reply {
    ProtobufCBuffer base;
    uint8_t *bytes; /* owned */
    size_t size;
    size_t capacity;
    bool too_large;
};

static void scan_append(ProtobufCBuffer *base, size_t size, const uint8_t *data)
{
    struct scan_reply *reply = (struct scan_reply *)(void *)base;
    if (reply->size + size > reply->capacity) {
        reply->capacity = 2 * (reply->size + size);
        reply->bytes = mem_realloc(reply->bytes, reply->capacity);
    }
    memcpy(reply->bytes + reply->size, data, size);
    reply->size += size;
}

/* The generated structs have no const; packing does not write. */
static ProtobufCBinaryData binary(const void *data, size_t size)
{
    union {
        const void *in;
        uint8_t *out;
    } pointer = {.in = data};
    return (ProtobufCBinaryData){.data = pointer.out, .len = size};
}

static int scan_each(void *ctx, const void *key, size_t key_size, const void *value,
                     size_t value_size)
{
    struct scan_reply *reply = ctx;
    Kvrpcpb__KvPair pair = KVRPCPB__KV_PAIR__INIT;
    pair.key = binary(key, key_size);
    pair.value = binary(value, value_size);
    Kvrpcpb__KvPair *pairs[] = {&pair};
    Kvrpcpb__RawScanResponse response = KVRPCPB__RAW_SCAN_RESPONSE__INIT;
    response.kvs = pairs;
    response.n_kvs = 1;
    reply->too_large =
        reply->size + protobuf_c_message_get_packed_size(&response.base) > REPLY_BYTES_MAX;
    if (reply->too_large)
        return false;
    protobuf_c_message_pack_to_buffer(&response.base, &reply->base);
    return true;
}

static void scan_resumed(struct rpc_call *call)
{
    const Kvrpcpb__RawScanRequest *request = (const void *)call->request;
    struct scan_reply reply = {.base.append = scan_append, .bytes = mem_alloc(0)};
    int rc = tree_scan(call->view, find_family(request->cf), request->start_key.data,
                       request->start_key.len, request->limit, REPLY_BYTES_MAX, scan_each, &reply);
    if (reply.too_large || rc == KE_TOO_LARGE)
        fail_too_large(call, "scan with a lower limit");
    else if (rc != 0)
        fail_code(call, rc);
    else
        rpc_call_reply_packed(call, &reply.bytes, reply.size);
    free(reply.bytes);
}

static void scan_done(struct op *op, const struct op_result *result)
{
    struct rpc_call *call = rpc_call_of_op(op);
    if (result->code != 0) {
        fail_code(call, result->code);
        return;
    }
    take_view(call);
    rpc_call_resume(call, scan_resumed);
}

static void scan_serve(struct rpc_call *call)
{
    const Kvrpcpb__RawScanRequest *request = (const void *)call->request;
    struct err e;
    if (check_family(request->cf, &e) != 0) {
        rpc_call_fail(call, &e);
        return;
    }
    Kvrpcpb__RawScanResponse response = KVRPCPB__RAW_SCAN_RESPONSE__INIT;
    struct region_error space;
    response.region_error = check_context(call, request->context, &space);
    if (response.region_error != NULL)
        rpc_call_reply(call, &response.base);
    else
        store_barrier(rpc_call_config(call)->store, &call->op);
}

/* ---- the methods ---- */

const struct rpc_method service_raw_get = {
    .name = "/tinykvpb.TinyKv/RawGet",
    .request = &kvrpcpb__raw_get_request__descriptor,
    .serve = get_serve,
    .done = get_done,
};

const struct rpc_method service_raw_put = {
    .name = "/tinykvpb.TinyKv/RawPut",
    .request = &kvrpcpb__raw_put_request__descriptor,
    .serve = put_serve,
    .done = put_done,
};

const struct rpc_method service_raw_delete = {
    .name = "/tinykvpb.TinyKv/RawDelete",
    .request = &kvrpcpb__raw_delete_request__descriptor,
    .serve = delete_serve,
    .done = delete_done,
};

const struct rpc_method service_raw_scan = {
    .name = "/tinykvpb.TinyKv/RawScan",
    .request = &kvrpcpb__raw_scan_request__descriptor,
    .serve = scan_serve,
    .done = scan_done,
};
