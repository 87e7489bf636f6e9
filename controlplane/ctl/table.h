/* SPDX-License-Identifier: BSD-3-Clause */
/* Text tables with aligned columns, and numbers as people read them. */
#ifndef CONTROLPLANE_CTL_TABLE_H
#define CONTROLPLANE_CTL_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TABLE_COLUMN_MAX 16u
#define TABLE_CELL_SIZE 256u

/* Rows of text cells, printed when all widths are known. */
struct table;

/* 'heads' are 'column_count' (at most TABLE_COLUMN_MAX) titles; one that starts with '>' makes its
 * column flush right. NULL when out of memory.
 */
struct table *table_create(const char *const *heads, uint32_t column_count);
void table_destroy(struct table *table);

/* Appends a row; one format and its arguments for all cells, which are separated by tabs. Missing
 * cells are empty. Control characters are printed as \xNN (printable.h); a tab in an argument begins a cell, too. A cell
 * is cut at TABLE_CELL_SIZE - 1 bytes. 0, or -ENOMEM.
 */
int table_add(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints heads and rows, two spaces between columns, none at the end of a line. */
void table_print(const struct table *table, FILE *out);

#define TABLE_NUMBER_SIZE 32u

/* "17", "4.2K", "1.0M": a count in powers of 1000. Returns 'text'. */
const char *table_count(char text[TABLE_NUMBER_SIZE], double count);

/* "17 B", "4.2 KiB": bytes in powers of 1024. */
const char *table_bytes(char text[TABLE_NUMBER_SIZE], double bytes);

/* "350ms", "12s", "3m 05s", "2h 10m", "4d 3h". */
const char *table_duration(char text[TABLE_NUMBER_SIZE], uint64_t ms);

#endif
