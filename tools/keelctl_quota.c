/* keelctl quota: what the volume holds and may hold. */
#include "tools/keelctl.h"

#include "keelfspb.pb-c.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int ask(const struct keelctl *ctl, const Keelfspb__QuotaRequest *request,
               ProtobufCMessage **ret_reply)
{
    struct keelctl_call call = {
        .method = "/keelfspb.KeelFs/Quota",
        .request = &request->base,
        .response = &keelfspb__quota_response__descriptor,
        .read_only = !request->set,
    };
    return keelctl_call(ctl, &call, ret_reply);
}

/* `units` are letters of which each is 1024 times the one before. */
static int parse_limit(const char *name, const char *text, const char *units, uint64_t *ret_limit)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    bool valid = errno == 0 && text[0] >= '0' && text[0] <= '9';
    const char *unit = *end != '\0' ? strchr(units, *end) : NULL;
    unsigned shift = unit != NULL ? 10 * (unsigned)(unit - units + 1) : 0;
    valid = valid && (*end == '\0' || (unit != NULL && end[1] == '\0'));
    if (!valid || value > UINT64_MAX >> shift)
        return keelctl_fail(KEELCTL_USAGE, "%s '%s' is not a number%s", name, text,
                            units[0] != '\0' ? ", with K, M, G or T behind it or nothing" : "");
    *ret_limit = (uint64_t)value << shift;
    return KEELCTL_OK;
}

static void print_line(const char *what, uint64_t used, uint64_t limit)
{
    if (limit == 0)
        (void)printf("%-6s %" PRIu64 ", no limit\n", what, used);
    else
        (void)printf("%-6s %" PRIu64 " of %" PRIu64 "\n", what, used, limit);
}

static int print_quota(const struct keelctl *ctl, const Keelfspb__QuotaResponse *quota)
{
    if (!ctl->json) {
        print_line("bytes", quota->bytes, quota->quota_bytes);
        print_line("files", quota->files, quota->quota_files);
        return KEELCTL_OK;
    }
    cJSON *object = cJSON_CreateObject();
    keelctl_json_add_number(object, "bytes", quota->bytes);
    keelctl_json_add_number(object, "files", quota->files);
    keelctl_json_add_number(object, "quota_bytes", quota->quota_bytes);
    keelctl_json_add_number(object, "quota_files", quota->quota_files);
    return keelctl_json_print(object, false, "\n");
}

/* The limit that is not given stays as it is. */
static int keep_other_limit(const struct keelctl *ctl, Keelfspb__QuotaRequest *request)
{
    const Keelfspb__QuotaRequest look = KEELFSPB__QUOTA_REQUEST__INIT;
    ProtobufCMessage *reply;
    int status = ask(ctl, &look, &reply);
    if (status != KEELCTL_OK)
        return status;
    const Keelfspb__QuotaResponse *quota = (const void *)reply;
    if (ctl->bytes == NULL)
        request->bytes = quota->quota_bytes;
    if (ctl->files == NULL)
        request->files = quota->quota_files;
    protobuf_c_message_free_unpacked(reply, NULL);
    return KEELCTL_OK;
}

int keelctl_quota(const struct keelctl *ctl)
{
    Keelfspb__QuotaRequest request = KEELFSPB__QUOTA_REQUEST__INIT;
    ProtobufCMessage *reply;
    int status = KEELCTL_OK;
    request.set = ctl->bytes != NULL || ctl->files != NULL;
    if (ctl->bytes != NULL)
        status = parse_limit("--bytes", ctl->bytes, "KMGT", &request.bytes);
    if (status == KEELCTL_OK && ctl->files != NULL)
        status = parse_limit("--files", ctl->files, "", &request.files);
    if (status == KEELCTL_OK && request.set && (ctl->bytes == NULL || ctl->files == NULL))
        status = keep_other_limit(ctl, &request);
    if (status == KEELCTL_OK)
        status = ask(ctl, &request, &reply);
    if (status != KEELCTL_OK)
        return status;
    status = print_quota(ctl, (const void *)reply);
    protobuf_c_message_free_unpacked(reply, NULL);
    return status;
}
