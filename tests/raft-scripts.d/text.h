#ifndef KEEL_TESTS_RAFT_SCRIPTS_D_TEXT_H
#define KEEL_TESTS_RAFT_SCRIPTS_D_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

// A growing string. Out of memory ends the program: this is a test tool.

struct text {
    char *at; // NUL-terminated once anything was added
    size_t length;
    size_t capacity;
};

void *must(void *block); // aborts on NULL

void text_add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_add_bytes(struct text *t, const char *bytes, size_t length);
void text_clear(struct text *t);
void text_free(struct text *t);
const char *text_get(const struct text *t); // "" when empty

// Adds `from` line by line, two spaces before each, each line ended.
void text_add_indented(struct text *t, const struct text *from);

#endif
