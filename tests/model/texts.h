/* The texts of a window - contents, targets, values - by number, so that states are
 * small and compare fast. Equal texts have equal numbers; 0 is "no text".
 */
#ifndef KEELFS_TESTS_MODEL_TEXTS_H
#define KEELFS_TESTS_MODEL_TEXTS_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of one: no file of a window grows past that. */
#define TEXT_MAX  512
#define TEXTS_MAX 4096

struct text {
    uint16_t size;
    char bytes[TEXT_MAX];
};

struct texts {
    struct text *texts; /* grown as needed */
    size_t count;
    size_t capacity;
};

void texts_release(struct texts *texts);
/* Forgets all but keeps the memory. */
void texts_clear(struct texts *texts);

/* Its number. The size is at most TEXT_MAX. 0 also when there are too many. */
uint16_t texts_add(struct texts *texts, const void *bytes, size_t size);
const struct text *texts_get(const struct texts *texts, uint16_t number);

#endif
