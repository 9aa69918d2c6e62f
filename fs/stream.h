/* Text that is read like a file while it grows: bytes [base, end) of it are kept.
 *
 * Programs go back a little: head(1) and the shell's `read` take a block and then
 * seek to behind the line they wanted. So the last STREAM_REREAD_MAX bytes that were
 * read stay; what lies before them may go.
 *
 * Pure; whoever embeds it guards it. All zeros is an empty stream.
 */
#ifndef KEELFS_FS_STREAM_H
#define KEELFS_FS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STREAM_REREAD_MAX (64u << 10)

struct stream {
    char *bytes;
    size_t size;
    size_t capacity;
    uint64_t base; /* the offset of the first byte that is kept */
    uint64_t read; /* the end of what was read */
};

void stream_release(struct stream *stream);

/* Adds at the end, and lets go of what was read long ago. */
void stream_add(struct stream *stream, const char *text, size_t size);
/* Takes `text`, malloc'ed, as all there is. */
void stream_take(struct stream *stream, char *text, size_t size);

/* Bytes that nobody has read. */
size_t stream_unread(const struct stream *stream);

/* Up to `size` bytes at `offset`: `*ret_text` is valid until the next change, and
 * `*ret_size` is 0 at the end. False: they are not kept any more. */
bool stream_read(struct stream *stream, uint64_t offset, size_t size, const char **ret_text,
                 size_t *ret_size);

#endif
