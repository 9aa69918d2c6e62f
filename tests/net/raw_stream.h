/* A call of TinyKv/Raft (or any method) step by step, for what no well-behaved
 * peer does. */
#ifndef KEELFS_TESTS_NET_RAW_STREAM_H
#define KEELFS_TESTS_NET_RAW_STREAM_H

#include <stdbool.h>
#include <stddef.h>

/* A NULL text is not sent. */
struct raw_identity {
    const char *cluster;
    const char *store;
    const char *to;
    const char *data;
    const char *address;
};

#define RAW_STREAM_WORDS_MAX 512

struct raw_stream;

/* `identity` NULL: nothing of it is sent. The call has a deadline that no test meets. */
struct raw_stream *raw_stream_open(const char *address, const char *method,
                                   const struct raw_identity *identity);
/* The same without a deadline. */
struct raw_stream *raw_stream_open_endless(const char *address, const char *method,
                                           const struct raw_identity *identity);
/* False when the stream is broken. */
bool raw_stream_send(struct raw_stream *stream, const void *bytes, size_t size);
void raw_stream_half_close(struct raw_stream *stream);
/* Waits for the status, and frees. `words` has RAW_STREAM_WORDS_MAX bytes. */
int raw_stream_end(struct raw_stream *stream, char *words);
/* The same; `*ret_code` is the KE_* code of a refusal, or 0. */
int raw_stream_end_code(struct raw_stream *stream, char *words, int *ret_code);
/* Cancels, and frees. */
void raw_stream_cancel(struct raw_stream *stream);

#endif
