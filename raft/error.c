#include "raft/error.h"

const char *raft_error_text(int error)
{
    switch (error) {
    case 0:
        return "success";
#define X(name, value, text)                                                                       \
    case RAFT_E_##name:                                                                            \
        return text;
        RAFT_ERRORS(X)
#undef X
    default:
        return "unknown error";
    }
}
