/* Text in generated messages: their structs have no const, and packing does not
 * write. */
#ifndef KEELFS_RAFTSTORE_SERVICE_TEXT_H
#define KEELFS_RAFTSTORE_SERVICE_TEXT_H

static inline char *service_text(const char *text)
{
    union {
        const char *in;
        char *out;
    } pointer = {.in = text};
    return pointer.out;
}

#endif
