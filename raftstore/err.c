#include "raftstore/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *ke_text(int code)
{
    switch (code) {
    case KE_OK:
        return "success";
#define KE_CASE(name, value, text)                                                                 \
    case value:                                                                                    \
        return text;
        KE_ERRORS(KE_CASE)
#undef KE_CASE
    default:
        return "unknown error";
    }
}

int err_set(struct err *e, int code, const char *format, ...)
{
    if (e != NULL) {
        va_list args;

        va_start(args, format);
        (void)vsnprintf(e->text, sizeof e->text, format, args);
        va_end(args);
        e->code = code;
    }
    return code;
}

int err_wrap(struct err *e, int code, const char *format, ...)
{
    char inner[ERR_TEXT_MAX];
    va_list args;
    size_t used;

    if (e == NULL) {
        return code;
    }
    memcpy(inner, e->text, sizeof inner);
    va_start(args, format);
    (void)vsnprintf(e->text, sizeof e->text, format, args);
    va_end(args);
    used = strlen(e->text);
    /* Too long for both: what went wrong is cut, not where. */
    (void)snprintf(e->text + used, sizeof e->text - used, ": %s", inner);
    return e->code;
}
