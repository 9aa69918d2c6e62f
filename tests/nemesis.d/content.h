/* What is written to keys, as text in histories and as bytes in the store.
 *
 * A value is named PROCESS.NUMBER.FILLER, and is these words, a colon and as many
 * bytes of filler: whatever is not whole is nobody's value. An empty value is
 * empty. A log is a line a token. Bytes that nobody wrote become words that nobody
 * wrote, whatever they are.
 */
#ifndef KEELFS_TESTS_NEMESIS_D_CONTENT_H
#define KEELFS_TESTS_NEMESIS_D_CONTENT_H

#include <stddef.h>
#include <stdint.h>

#define CONTENT_NAME_MAX   64
#define CONTENT_FILLER_MAX (256u << 10)

void content_name(char name[CONTENT_NAME_MAX], uint32_t process, uint64_t number, uint32_t filler);

/* malloc'ed. */
uint8_t *content_of_value(const char *name, size_t *ret_size);
char *content_to_value(const uint8_t *data, size_t size);
char *content_to_tokens(const uint8_t *data, size_t size);

#endif
