#include "fs/errno.h"

#include "raftstore/err.h"

#include <errno.h>

int errno_of(int code)
{
    switch ((enum ke_code)code) {
    case KE_OK:
        return 0;
    case KE_NOT_FOUND:
        return ENOENT;
    case KE_EXISTS:
        return EEXIST;
    case KE_NOT_DIR:
        return ENOTDIR;
    case KE_IS_DIR:
        return EISDIR;
    case KE_NOT_EMPTY:
        return ENOTEMPTY;
    case KE_INVALID:
        return EINVAL;
    case KE_NAME_TOO_LONG:
        return ENAMETOOLONG;
    case KE_TOO_LARGE:
        return EFBIG;
    case KE_NO_SPACE:
        return ENOSPC;
    case KE_TIMEOUT:
        return ETIMEDOUT;
    case KE_CANCELLED:
        return EINTR;
    case KE_BUSY:
        return ENOBUFS;
    case KE_STALE:
        return ESTALE;
    case KE_CONDITION:
        return EAGAIN;
    case KE_CROSS:
        return EXDEV;
    case KE_IO:
    case KE_CORRUPT:
        return EIO;
    case KE_SHUTDOWN:
        return ESHUTDOWN;
    case KE_MISMATCH:
    case KE_REMOVED:
    case KE_WIPED:
        return ENODEV;
    case KE_NOT_LEADER:
        return EAGAIN;
    case KE_NOT_SUPPORTED:
        return EOPNOTSUPP;
    case KE_TOO_MANY_LINKS:
        return EMLINK;
    case KE_NO_XATTR:
        return ENODATA;
    case KE_QUOTA:
        return EDQUOT;
    case KE_NOT_REGULAR:
        return EINVAL;
    }
    return EIO;
}
