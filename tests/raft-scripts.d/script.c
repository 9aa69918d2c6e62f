#include "script.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

// The next line, without its end, in r->line_buffer. false at the end.
static bool next_line(struct script_reader *r)
{
    if (*r->at == '\0') {
        return false;
    }
    size_t length = strcspn(r->at, "\n");
    text_clear(&r->line_buffer);
    text_add_bytes(&r->line_buffer, r->at, length);
    r->at += length + (r->at[length] == '\n');
    r->line++;
    return true;
}

static const char *current(const struct script_reader *r)
{
    return text_get(&r->line_buffer);
}

static bool is_blank(const char *line)
{
    return line[strspn(line, " \t\r")] == '\0';
}

static char *copy_range(const char *from, size_t length)
{
    return must(strndup(from, length));
}

// "(a, b c)" or "a" after the equals sign; returns where it ends.
static const char *read_values(const char *at, struct script_arg *arg)
{
    if (*at != '(') {
        size_t length = strcspn(at, " \t");
        arg->values[arg->value_count++] = copy_range(at, length);
        return at + length;
    }
    at++;
    while (*at != '\0' && *at != ')') {
        at += strspn(at, " \t,");
        size_t length = strcspn(at, " \t,)");
        if (length > 0 && arg->value_count < SCRIPT_VALUES_MAX) {
            arg->values[arg->value_count++] = copy_range(at, length);
        }
        at += length;
    }
    return *at == ')' ? at + 1 : at;
}

static void parse_command(const char *line, struct script_step *step)
{
    const char *at = line + strspn(line, " \t");
    size_t length = strcspn(at, " \t");
    step->command = copy_range(at, length);
    at += length;
    for (;;) {
        at += strspn(at, " \t");
        if (*at == '\0' || step->arg_count == SCRIPT_ARGS_MAX) {
            return;
        }
        struct script_arg *arg = &step->args[step->arg_count++];
        length = strcspn(at, " \t=");
        arg->key = copy_range(at, length);
        at += length;
        if (*at == '=') {
            at = read_values(at + 1, arg);
        }
    }
}

static void read_expected(struct script_reader *r, struct script_step *step)
{
    if (!next_line(r)) {
        return;
    }
    bool doubled = strcmp(current(r), "----") == 0;
    if (!doubled) {
        do {
            if (is_blank(current(r))) {
                return;
            }
            text_add(&step->expected, "%s\n", current(r));
        } while (next_line(r));
        return;
    }
    bool half = false;
    while (next_line(r)) {
        bool separator = strcmp(current(r), "----") == 0;
        if (separator && half) {
            return;
        }
        if (half) {
            text_add(&step->expected, "----\n");
        }
        half = separator;
        if (!separator) {
            text_add(&step->expected, "%s\n", current(r));
        }
    }
}

bool script_next(struct script_reader *r, struct script_step *step)
{
    memset(step, 0, sizeof(*step));
    do {
        if (!next_line(r)) {
            return false;
        }
    } while (is_blank(current(r)) || current(r)[0] == '#');
    step->line = r->line;
    struct text command = {.at = NULL};
    text_add(&command, "%s", current(r));
    while (command.length > 0 && command.at[command.length - 1] == '\\' && next_line(r)) {
        command.at[--command.length] = '\0';
        text_add(&command, "%s", current(r));
    }
    parse_command(text_get(&command), step);
    text_free(&command);
    while (next_line(r) && strcmp(current(r), "----") != 0) {
        text_add(&step->input, "%s\n", current(r));
    }
    read_expected(r, step);
    return true;
}

void script_step_release(struct script_step *step)
{
    free(step->command);
    for (size_t i = 0; i < step->arg_count; i++) {
        free(step->args[i].key);
        for (size_t j = 0; j < step->args[i].value_count; j++) {
            free(step->args[i].values[j]);
        }
    }
    text_free(&step->input);
    text_free(&step->expected);
}

void script_reader_release(struct script_reader *r)
{
    text_free(&r->line_buffer);
}

const struct script_arg *script_arg(const struct script_step *step, const char *key)
{
    for (size_t i = 0; i < step->arg_count; i++) {
        if (strcmp(step->args[i].key, key) == 0) {
            return &step->args[i];
        }
    }
    return NULL;
}

uint64_t script_number(const char *text, uint64_t otherwise)
{
    if (!isdigit((unsigned char)text[0])) {
        return otherwise;
    }
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    return *end == '\0' ? value : otherwise;
}
