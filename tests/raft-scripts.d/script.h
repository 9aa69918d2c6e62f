#ifndef KEEL_TESTS_RAFT_SCRIPTS_D_SCRIPT_H
#define KEEL_TESTS_RAFT_SCRIPTS_D_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

// A datadriven script: a list of steps, each a command line, lines of input,
// "----", and the answer expected, up to an empty line.
//
//     command arg key=value key=(value, value)
//     input
//     ----
//     answer
//
// An answer with empty lines in it stands between doubled separators.

#define SCRIPT_ARGS_MAX   64
#define SCRIPT_VALUES_MAX 64

struct script_arg {
    char *key;
    char *values[SCRIPT_VALUES_MAX];
    size_t value_count;
};

struct script_step {
    int line; // of the command
    char *command;
    struct script_arg args[SCRIPT_ARGS_MAX];
    size_t arg_count;
    struct text input;
    struct text expected;
};

struct script_reader {
    const char *at; // the rest of the script, NUL-terminated
    int line;
    struct text line_buffer;
};

// false at the end. The step is to be released whenever true came back.
bool script_next(struct script_reader *r, struct script_step *step);
void script_step_release(struct script_step *step);
void script_reader_release(struct script_reader *r);

// The key's argument, or NULL.
const struct script_arg *script_arg(const struct script_step *step, const char *key);
// A decimal number, or `otherwise` when it is none.
uint64_t script_number(const char *text, uint64_t otherwise);

#endif
