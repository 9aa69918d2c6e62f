#include "raftstore/rpc_identity.h"

#include "raftstore/members.h"
#include "raftstore/rpc_server_private.h"

#include <assert.h>
#include <grpc/slice.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Digits of a number of 64 bits, and a sign. */
#define NUMBER_TEXT_MAX 24

static grpc_metadata item(const char *key, const char *value)
{
    return (grpc_metadata){.key = grpc_slice_from_static_string(key),
                           .value = grpc_slice_from_copied_string(value)};
}

static grpc_metadata item_number(const char *key, uint64_t number)
{
    char text[NUMBER_TEXT_MAX];
    (void)snprintf(text, sizeof(text), "%" PRIu64, number);
    return item(key, text);
}

void rpc_identity_init(struct rpc_identity *identity, const struct transport_identity *from,
                       uint64_t to_store)
{
    *identity = (struct rpc_identity){{
        item_number(TRANSPORT_METADATA_CLUSTER, from->cluster_id),
        item_number(TRANSPORT_METADATA_STORE, from->store_id),
        item_number(TRANSPORT_METADATA_TO, to_store),
        item_number(TRANSPORT_METADATA_DATA, from->data_id),
        item(TRANSPORT_METADATA_ADDRESS, from->address),
        item(TRANSPORT_METADATA_ADVERTISED, from->advertised ? "1" : "0"),
    }};
}

void rpc_identity_release(struct rpc_identity *identity)
{
    for (size_t i = 0; i < RPC_IDENTITY_ITEMS; i++)
        grpc_slice_unref(identity->items[i].value);
}

grpc_metadata rpc_identity_code(int code)
{
    char text[NUMBER_TEXT_MAX];
    (void)snprintf(text, sizeof(text), "%d", code);
    return item(TRANSPORT_METADATA_CODE, text);
}

grpc_metadata rpc_identity_accepts(uint64_t store_id)
{
    return item_number(TRANSPORT_METADATA_STORE, store_id);
}

/* ---- reading ---- */

/* The text under `key`; false when it is missing or does not fit. */
static bool find_text(const grpc_metadata_array *metadata, const char *key, char *out, size_t size)
{
    for (size_t i = 0; i < metadata->count; i++) {
        if (grpc_slice_str_cmp(metadata->metadata[i].key, key) != 0)
            continue;
        grpc_slice value = metadata->metadata[i].value;
        size_t length = GRPC_SLICE_LENGTH(value);
        if (length >= size || !grpc_header_nonbin_value_is_legal(value))
            return false;
        memcpy(out, GRPC_SLICE_START_PTR(value), length);
        out[length] = '\0';
        return true;
    }
    return false;
}

/* Digits only: strtoull() would take a sign and blanks. */
static bool find_number(const grpc_metadata_array *metadata, const char *key, uint64_t *ret_number)
{
    char text[NUMBER_TEXT_MAX];
    if (!find_text(metadata, key, text, sizeof(text)) || text[0] == '\0')
        return false;
    if (strspn(text, "0123456789") != strlen(text))
        return false;
    *ret_number = strtoull(text, NULL, 10);
    return true;
}

int rpc_identity_refusal(const grpc_metadata_array *trailing)
{
    char text[NUMBER_TEXT_MAX];
    if (!find_text(trailing, TRANSPORT_METADATA_CODE, text, sizeof(text)))
        return 0;
    char *end;
    long code = strtol(text, &end, 10);
    return *end == '\0' && code >= KE_CODE_MIN && code < 0 ? (int)code : 0;
}

static int read_ids(const grpc_metadata_array *metadata, struct transport_identity *from,
                    uint64_t *ret_to, struct err *e)
{
    if (!find_number(metadata, TRANSPORT_METADATA_CLUSTER, &from->cluster_id) ||
        !find_number(metadata, TRANSPORT_METADATA_STORE, &from->store_id) ||
        !find_number(metadata, TRANSPORT_METADATA_TO, ret_to))
        return err_set(e, KE_MISMATCH,
                       "the stream does not name its cluster and stores (metadata %s, %s, %s)",
                       TRANSPORT_METADATA_CLUSTER, TRANSPORT_METADATA_STORE, TRANSPORT_METADATA_TO);
    return 0;
}

static int read_directory(const grpc_metadata_array *metadata, struct transport_identity *from,
                          struct err *e)
{
    if (!find_number(metadata, TRANSPORT_METADATA_DATA, &from->data_id) || from->data_id == 0)
        return err_set(e, KE_MISMATCH,
                       "store %" PRIu64 " does not name its data directory (metadata %s): it runs "
                       "another version of keelfs",
                       from->store_id, TRANSPORT_METADATA_DATA);
    if (!find_text(metadata, TRANSPORT_METADATA_ADDRESS, from->address, sizeof(from->address)))
        return err_set(e, KE_MISMATCH,
                       "store %" PRIu64 " does not say where it is reached (metadata %s): it runs "
                       "another version of keelfs",
                       from->store_id, TRANSPORT_METADATA_ADDRESS);
    char advertised[NUMBER_TEXT_MAX];
    from->advertised =
        find_text(metadata, TRANSPORT_METADATA_ADVERTISED, advertised, sizeof(advertised)) &&
        strcmp(advertised, "1") == 0;
    int rc = member_check_address(from->address, e);
    return rc != 0 ? err_wrap(e, rc, "store %" PRIu64, from->store_id) : 0;
}

int rpc_identity_check(const struct rpc_server *server, const grpc_metadata_array *metadata,
                       struct transport_identity *ret_from, struct err *e)
{
    const struct rpc_server_config *config = &server->config;
    struct transport_identity from = {0};
    uint64_t to = 0;
    int rc = read_ids(metadata, &from, &to, e);
    if (rc != 0)
        return rc;
    if (from.cluster_id != config->cluster_id)
        return err_set(e, KE_MISMATCH,
                       "wrong cluster id %016" PRIx64 ": this store belongs to cluster %016" PRIx64,
                       from.cluster_id, config->cluster_id);
    if (to != config->store_id)
        return err_set(e, KE_MISMATCH, "wrong store id %" PRIu64 ": this is store %" PRIu64, to,
                       config->store_id);
    if (from.store_id == config->store_id)
        return err_set(e, KE_MISMATCH,
                       "the sender calls itself store %" PRIu64 ", but so is this one called",
                       from.store_id);
    rc = read_directory(metadata, &from, e);
    if (rc == 0)
        *ret_from = from;
    return rc;
}

int rpc_identity_check_envelope(const struct rpc_server *server,
                                const struct transport_identity *from,
                                const struct wire_envelope *envelope, struct err *e)
{
    uint64_t own = server->config.store_id;
    if (envelope->from_store == from->store_id && envelope->to_store == own)
        return 0;
    return err_set(e, KE_MISMATCH,
                   "a message from store %" PRIu64 " to store %" PRIu64
                   " on the stream of store %" PRIu64 " to store %" PRIu64,
                   envelope->from_store, envelope->to_store, from->store_id, own);
}
