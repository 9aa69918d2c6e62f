#include "tools/keelctl_table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void keelctl_table_init(struct keelctl_table *table, const char *const *header, size_t columns)
{
    assert(columns > 0 && columns <= KEELCTL_COLUMNS_MAX);
    table->column_count = columns;
    table->row_count = 0;
    keelctl_table_add_row(table);
    for (size_t i = 0; i < columns; i++)
        keelctl_table_set(table, i, "%s", header[i]);
}

void keelctl_table_add_row(struct keelctl_table *table)
{
    assert(table->row_count < KEELCTL_ROWS_MAX);
    memset(table->cells[table->row_count], 0, sizeof(table->cells[0]));
    table->row_count++;
}

void keelctl_table_set(struct keelctl_table *table, size_t column, const char *format, ...)
{
    assert(column < table->column_count);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(table->cells[table->row_count - 1][column], KEELCTL_CELL_MAX, format, args);
    va_end(args);
}

void keelctl_table_print(const struct keelctl_table *table)
{
    size_t widths[KEELCTL_COLUMNS_MAX] = {0};
    size_t last = table->column_count - 1;
    for (size_t row = 0; row < table->row_count; row++) {
        for (size_t i = 0; i < last; i++) {
            size_t length = strlen(table->cells[row][i]);
            widths[i] = length > widths[i] ? length : widths[i];
        }
    }
    for (size_t row = 0; row < table->row_count; row++) {
        for (size_t i = 0; i < last; i++)
            printf("%-*s  ", (int)widths[i], table->cells[row][i]);
        printf("%s\n", table->cells[row][last]);
    }
}
