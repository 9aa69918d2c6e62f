#include "tools/keelctl.h"

#include "raftstore/command.h"
#include "raftstore/memory.h"

#include "kvrpcpb.pb-c.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_STEP (64u << 10)
/* Pairs asked for at a time; fewer where their values are large. */
#define SCAN_PAGE 256

/* The generated structs have no const; packing does not write. */
static char *text_of(const char *text)
{
    union {
        const char *in;
        char *out;
    } pointer = {.in = text};
    return pointer.out;
}

static ProtobufCBinaryData bytes_of(char *text)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)text, .len = strlen(text)};
}

/* What a response may say instead of its result. */
static int check_response(const struct keelctl *ctl, const Errorpb__Error *region_error,
                          const char *error)
{
    if (region_error != NULL)
        return keelctl_fail(KEELCTL_REFUSED, "%s: %s", ctl->command, region_error->message);
    if (error[0] != '\0')
        return keelctl_fail(KEELCTL_REFUSED, "%s: %s", ctl->command, error);
    return KEELCTL_OK;
}

/* ---- get ---- */

static int print_value(const struct keelctl *ctl, const Kvrpcpb__RawGetResponse *response)
{
    if (response->not_found)
        return keelctl_fail(KEELCTL_NOT_FOUND, "get: no such key: %s", ctl->args[0]);
    if (!ctl->json) {
        /* An empty value has no bytes to point to. */
        if (response->value.len > 0)
            (void)fwrite(response->value.data, 1, response->value.len, stdout);
        return KEELCTL_OK;
    }
    cJSON *object = cJSON_CreateObject();
    keelctl_json_add_bytes(object, "key", ctl->args[0], strlen(ctl->args[0]));
    keelctl_json_add_bytes(object, "value", response->value.data, response->value.len);
    return keelctl_json_print(object, true, "\n");
}

int keelctl_get(const struct keelctl *ctl)
{
    Kvrpcpb__RawGetRequest request = KVRPCPB__RAW_GET_REQUEST__INIT;
    request.key = bytes_of(ctl->args[0]);
    request.cf = text_of(ctl->cf);
    struct keelctl_call call = {
        .method = "/tinykvpb.TinyKv/RawGet",
        .request = &request.base,
        .response = &kvrpcpb__raw_get_response__descriptor,
        .read_only = true,
    };
    ProtobufCMessage *reply;
    int status = keelctl_call(ctl, &call, &reply);
    if (status != KEELCTL_OK)
        return status;
    const Kvrpcpb__RawGetResponse *response = (const void *)reply;
    status = check_response(ctl, response->region_error, response->error);
    if (status == KEELCTL_OK)
        status = print_value(ctl, response);
    protobuf_c_message_free_unpacked(reply, NULL);
    return status;
}

/* ---- put ---- */

static int read_stdin(uint8_t **ret_value, size_t *ret_size)
{
    uint8_t *value = NULL;
    size_t size = 0, room = 0, got;
    do {
        if (size + READ_STEP > room) {
            room = 2 * (size + READ_STEP);
            value = mem_realloc(value, room);
        }
        got = fread(value + size, 1, READ_STEP, stdin);
        size += got;
    } while (got > 0 && size <= COMMAND_CONTENT_MAX);
    int status = KEELCTL_OK;
    if (ferror(stdin))
        status = keelctl_fail(KEELCTL_USAGE, "put: cannot read the value from stdin: %s",
                              strerror(errno));
    *ret_value = value;
    *ret_size = size;
    return status;
}

static int put_value(const struct keelctl *ctl, uint8_t *value, size_t size)
{
    if (size > COMMAND_CONTENT_MAX)
        return keelctl_fail(KEELCTL_REFUSED,
                            "put: the value has more than %u bytes; copy it onto a mount instead",
                            COMMAND_CONTENT_MAX);
    Kvrpcpb__RawPutRequest request = KVRPCPB__RAW_PUT_REQUEST__INIT;
    request.key = bytes_of(ctl->args[0]);
    request.value = (ProtobufCBinaryData){.data = value, .len = size};
    request.cf = text_of(ctl->cf);
    struct keelctl_call call = {
        .method = "/tinykvpb.TinyKv/RawPut",
        .request = &request.base,
        .response = &kvrpcpb__raw_put_response__descriptor,
    };
    ProtobufCMessage *reply;
    int status = keelctl_call(ctl, &call, &reply);
    if (status != KEELCTL_OK)
        return status;
    const Kvrpcpb__RawPutResponse *response = (const void *)reply;
    status = check_response(ctl, response->region_error, response->error);
    protobuf_c_message_free_unpacked(reply, NULL);
    return status;
}

int keelctl_put(const struct keelctl *ctl)
{
    bool given = ctl->arg_count > 1;
    if (!given && isatty(STDIN_FILENO))
        return keelctl_fail(KEELCTL_USAGE, "put: no value given (with - it is read from stdin)");
    if (given && strcmp(ctl->args[1], "-") != 0)
        return put_value(ctl, (uint8_t *)ctl->args[1], strlen(ctl->args[1]));
    uint8_t *value;
    size_t size;
    int status = read_stdin(&value, &size);
    if (status == KEELCTL_OK)
        status = put_value(ctl, value, size);
    free(value);
    return status;
}

/* ---- del ---- */

int keelctl_del(const struct keelctl *ctl)
{
    Kvrpcpb__RawDeleteRequest request = KVRPCPB__RAW_DELETE_REQUEST__INIT;
    request.key = bytes_of(ctl->args[0]);
    request.cf = text_of(ctl->cf);
    struct keelctl_call call = {
        .method = "/tinykvpb.TinyKv/RawDelete",
        .request = &request.base,
        .response = &kvrpcpb__raw_delete_response__descriptor,
    };
    ProtobufCMessage *reply;
    int status = keelctl_call(ctl, &call, &reply);
    if (status != KEELCTL_OK)
        return status;
    const Kvrpcpb__RawDeleteResponse *response = (const void *)reply;
    status = check_response(ctl, response->region_error, response->error);
    protobuf_c_message_free_unpacked(reply, NULL);
    return status;
}

/* ---- scan ---- */

struct scan {
    const struct keelctl *ctl;
    uint8_t *start; /* of the next page */
    size_t start_size;
    uint32_t page;
    uint64_t printed;
    bool more;
};

static int print_pair(struct scan *scan, const Kvrpcpb__KvPair *pair)
{
    if (!scan->ctl->json) {
        keelctl_print_escaped(pair->key.data, pair->key.len);
        (void)putchar('\t');
        keelctl_print_escaped(pair->value.data, pair->value.len);
        (void)putchar('\n');
        return KEELCTL_OK;
    }
    cJSON *object = cJSON_CreateObject();
    keelctl_json_add_bytes(object, "key", pair->key.data, pair->key.len);
    keelctl_json_add_bytes(object, "value", pair->value.data, pair->value.len);
    (void)fputs(scan->printed > 0 ? ",\n" : "\n", stdout);
    return keelctl_json_print(object, true, "");
}

/* Prints a page; the next one starts right behind its last key. */
static int print_page(struct scan *scan, const Kvrpcpb__RawScanResponse *response)
{
    int status = check_response(scan->ctl, response->region_error, response->error);
    for (size_t i = 0; i < response->n_kvs && status == KEELCTL_OK; i++) {
        status = print_pair(scan, response->kvs[i]);
        scan->printed++;
    }
    scan->more = response->n_kvs == scan->page;
    if (!scan->more)
        return status;
    const ProtobufCBinaryData *last = &response->kvs[response->n_kvs - 1]->key;
    scan->start = mem_realloc(scan->start, last->len + 1);
    memcpy(scan->start, last->data, last->len);
    scan->start[last->len] = '\0';
    scan->start_size = last->len + 1;
    return status;
}

static int scan_page(struct scan *scan)
{
    Kvrpcpb__RawScanRequest request = KVRPCPB__RAW_SCAN_REQUEST__INIT;
    request.start_key = (ProtobufCBinaryData){.data = scan->start, .len = scan->start_size};
    request.cf = text_of(scan->ctl->cf);
    bool too_large = false;
    struct keelctl_call call = {
        .method = "/tinykvpb.TinyKv/RawScan",
        .request = &request.base,
        .response = &kvrpcpb__raw_scan_response__descriptor,
        .read_only = true,
    };
    ProtobufCMessage *reply;
    int status;
    do {
        scan->page = too_large ? scan->page / 2 : scan->page;
        /* A single pair that is too large is an error like any other. */
        call.ret_too_large = scan->page > 1 ? &too_large : NULL;
        too_large = false;
        uint64_t left = scan->ctl->limit - scan->printed;
        if (scan->ctl->limit != 0 && left < scan->page)
            scan->page = (uint32_t)left;
        request.limit = scan->page;
        status = keelctl_call(scan->ctl, &call, &reply);
    } while (too_large);
    if (status != KEELCTL_OK)
        return status;
    status = print_page(scan, (const void *)reply);
    protobuf_c_message_free_unpacked(reply, NULL);
    return status;
}

int keelctl_scan(const struct keelctl *ctl)
{
    struct scan scan = {.ctl = ctl, .page = SCAN_PAGE, .more = true};
    scan.start_size = ctl->arg_count > 0 ? strlen(ctl->args[0]) : 0;
    scan.start = mem_dup(ctl->arg_count > 0 ? ctl->args[0] : "", scan.start_size);
    int status = KEELCTL_OK;
    if (ctl->json)
        (void)putchar('[');
    while (status == KEELCTL_OK && scan.more && (ctl->limit == 0 || scan.printed < ctl->limit))
        status = scan_page(&scan);
    if (ctl->json && status == KEELCTL_OK)
        (void)fputs("\n]\n", stdout);
    free(scan.start);
    return status;
}
