#include "raftstore/rpc_status.h"

#include "raftstore/err.h"

#include <grpc/status.h>
#include <stddef.h>

/* After DEADLINE_EXCEEDED, CANCELLED, UNAVAILABLE and INTERNAL a command may have
 * been applied or may yet be; all others mean that nothing was changed. */
static const struct {
    int code;
    grpc_status_code status;
} statuses[] = {
    /* Of codes that share a status, a client sees the first. */
    {KE_OK, GRPC_STATUS_OK},
    {KE_NOT_FOUND, GRPC_STATUS_NOT_FOUND},
    {KE_EXISTS, GRPC_STATUS_ALREADY_EXISTS},
    {KE_INVALID, GRPC_STATUS_INVALID_ARGUMENT},
    {KE_NAME_TOO_LONG, GRPC_STATUS_INVALID_ARGUMENT},
    {KE_TOO_LARGE, GRPC_STATUS_OUT_OF_RANGE},
    {KE_BUSY, GRPC_STATUS_RESOURCE_EXHAUSTED},
    {KE_NO_SPACE, GRPC_STATUS_RESOURCE_EXHAUSTED},
    {KE_QUOTA, GRPC_STATUS_RESOURCE_EXHAUSTED},
    {KE_TIMEOUT, GRPC_STATUS_DEADLINE_EXCEEDED},
    {KE_CANCELLED, GRPC_STATUS_CANCELLED},
    {KE_CONDITION, GRPC_STATUS_FAILED_PRECONDITION},
    {KE_NOT_DIR, GRPC_STATUS_FAILED_PRECONDITION},
    {KE_IS_DIR, GRPC_STATUS_FAILED_PRECONDITION},
    {KE_NOT_EMPTY, GRPC_STATUS_FAILED_PRECONDITION},
    {KE_NOT_REGULAR, GRPC_STATUS_FAILED_PRECONDITION},
    {KE_TOO_MANY_LINKS, GRPC_STATUS_FAILED_PRECONDITION},
    {KE_NO_XATTR, GRPC_STATUS_FAILED_PRECONDITION},
    {KE_CROSS, GRPC_STATUS_FAILED_PRECONDITION},
    {KE_MISMATCH, GRPC_STATUS_FAILED_PRECONDITION},
    {KE_REMOVED, GRPC_STATUS_FAILED_PRECONDITION},
    {KE_WIPED, GRPC_STATUS_FAILED_PRECONDITION},
    {KE_NOT_LEADER, GRPC_STATUS_FAILED_PRECONDITION},
    {KE_STALE, GRPC_STATUS_ABORTED},
    {KE_SHUTDOWN, GRPC_STATUS_UNAVAILABLE},
    {KE_IO, GRPC_STATUS_INTERNAL},
    {KE_CORRUPT, GRPC_STATUS_DATA_LOSS},
    {KE_NOT_SUPPORTED, GRPC_STATUS_UNIMPLEMENTED},
};

#define STATUS_COUNT (sizeof(statuses) / sizeof(statuses[0]))

int rpc_status_from_code(int code)
{
    for (size_t i = 0; i < STATUS_COUNT; i++) {
        if (statuses[i].code == code)
            return (int)statuses[i].status;
    }
    return GRPC_STATUS_INTERNAL;
}

int rpc_status_to_code(int status)
{
    for (size_t i = 0; i < STATUS_COUNT; i++) {
        if ((int)statuses[i].status == status)
            return statuses[i].code;
    }
    return KE_IO;
}
