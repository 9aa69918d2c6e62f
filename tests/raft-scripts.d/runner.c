#include "runner.h"

#include <string.h>

static size_t line_length(const char *at)
{
    size_t length = strcspn(at, "\n");
    return length + (at[length] == '\n');
}

static void report_lines(struct text *report, char mark, const char *from, const char *end)
{
    while (from < end) {
        size_t length = strcspn(from, "\n");
        text_add(report, "%c%.*s\n", mark, (int)length, from);
        from += length + (from[length] == '\n');
    }
}

// What both begin and end with is context; the lines between differ.
static void report_difference(struct text *report, const char *expected, const char *actual)
{
    while (*expected != '\0' && line_length(expected) == line_length(actual) &&
           memcmp(expected, actual, line_length(expected)) == 0) {
        text_add(report, " %.*s", (int)line_length(expected), expected);
        size_t length = line_length(expected);
        expected += length;
        actual += length;
    }
    const char *expected_end = expected + strlen(expected);
    const char *actual_end = actual + strlen(actual);
    for (;;) {
        const char *e = expected_end;
        const char *a = actual_end;
        do {
            e--;
        } while (e > expected && e[-1] != '\n');
        do {
            a--;
        } while (a > actual && a[-1] != '\n');
        if (e < expected || a < actual || expected_end - e != actual_end - a ||
            memcmp(e, a, (size_t)(expected_end - e)) != 0) {
            break;
        }
        expected_end = e;
        actual_end = a;
    }
    report_lines(report, '-', expected, expected_end);
    report_lines(report, '+', actual, actual_end);
    report_lines(report, ' ', expected_end, expected_end + strlen(expected_end));
}

struct script_result run_script(const char *content, const char *name, struct text *report,
                                void (*look)(struct cluster *c))
{
    struct script_result result = {.steps = 0};
    struct script_reader reader = {.at = content};
    struct script_step step;
    struct cluster *cluster = cluster_new();
    struct changes *changes = changes_new();
    while (script_next(&reader, &step)) {
        struct text answer = {.at = NULL};
        if (!cluster_handle(cluster, &step, &answer) && !changes_handle(changes, &step, &answer) &&
            !quorum_handle(&step, &answer)) {
            text_add(&answer, "unknown command");
        }
        if (answer.length > 0 && answer.at[answer.length - 1] != '\n') {
            text_add(&answer, "\n");
        }
        result.steps++;
        if (look != NULL) {
            look(cluster);
        }
        if (strcmp(text_get(&answer), text_get(&step.expected)) != 0) {
            result.differing++;
            if (report != NULL) {
                text_add(report, "%s:%d: %s: - expected, + answered\n", name, step.line,
                         step.command);
                report_difference(report, text_get(&step.expected), text_get(&answer));
            }
        }
        text_free(&answer);
        script_step_release(&step);
    }
    cluster_free(cluster);
    changes_free(changes);
    script_reader_release(&reader);
    return result;
}
