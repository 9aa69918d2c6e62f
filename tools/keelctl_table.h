/* A table on stdout: a header, then a row a member; each column is as wide as its
 * widest cell. Plain data. */
#ifndef KEELFS_TOOLS_KEELCTL_TABLE_H
#define KEELFS_TOOLS_KEELCTL_TABLE_H

#include "raftstore/store.h"

#include <stddef.h>

#define KEELCTL_COLUMNS_MAX 6
#define KEELCTL_ROWS_MAX    (STORE_MEMBERS_MAX + 1) /* with the header */
#define KEELCTL_CELL_MAX    300

struct keelctl_table {
    size_t column_count;
    size_t row_count;
    char cells[KEELCTL_ROWS_MAX][KEELCTL_COLUMNS_MAX][KEELCTL_CELL_MAX];
};

void keelctl_table_init(struct keelctl_table *table, const char *const *header, size_t columns);
/* The next row, to be filled with keelctl_table_set(). At most STORE_MEMBERS_MAX. */
void keelctl_table_add_row(struct keelctl_table *table);
/* A cell of the last row; too long a text is cut. */
void keelctl_table_set(struct keelctl_table *table, size_t column, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void keelctl_table_print(const struct keelctl_table *table);

#endif
