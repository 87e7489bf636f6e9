/* SPDX-License-Identifier: BSD-3-Clause */
/* Text tables: rows are kept as strings until they are printed. */
#include "controlplane/ctl/table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/ctl/printable.h"

struct table_row {
	struct table_row *next;
	char cells[]; /* column_count NUL-terminated strings, one behind the other */
};

struct table {
	uint32_t column_count;
	size_t widths[TABLE_COLUMN_MAX];
	bool is_flush_right[TABLE_COLUMN_MAX];
	struct table_row *first, **end; /* the first row holds the heads */
};

/* Of the 'width' bytes of a cell those that are shown: whole characters. */
static size_t cell_cut(const char *text, size_t width)
{
	if (width < TABLE_CELL_SIZE)
		return width;
	width = TABLE_CELL_SIZE - 1;
	while (width > 0 && (text[width] & 0xc0) == 0x80)
		width--;
	return width;
}

/* Appends a row of 'size' bytes of printable cells separated by tabs. */
static int row_add(struct table *table, const char *text, size_t size)
{
	struct table_row *row = calloc(1, sizeof(*row) + size + table->column_count + 1);
	char *at;

	if (!row)
		return -ENOMEM;
	at = row->cells;
	for (uint32_t column = 0; column < table->column_count; column++) {
		size_t width = strcspn(text, "\t");
		size_t copied = cell_cut(text, width);

		memcpy(at, text, copied);
		at += copied + 1;
		if (copied > table->widths[column])
			table->widths[column] = copied;
		text += width + (text[width] == '\t');
	}
	*table->end = row;
	table->end = &row->next;
	return 0;
}

struct table *table_create(const char *const *heads, uint32_t column_count)
{
	char text[TABLE_COLUMN_MAX * 32] = "";
	struct table *table;

	if (column_count == 0 || column_count > TABLE_COLUMN_MAX)
		return NULL;
	table = calloc(1, sizeof(*table));
	if (!table)
		return NULL;
	table->column_count = column_count;
	table->end = &table->first;
	for (uint32_t column = 0; column < column_count; column++) {
		size_t used = strlen(text);

		table->is_flush_right[column] = heads[column][0] == '>';
		snprintf(text + used, sizeof(text) - used, "%s%.30s", column ? "\t" : "",
			 heads[column] + table->is_flush_right[column]);
	}
	if (row_add(table, text, strlen(text)) != 0) {
		table_destroy(table);
		return NULL;
	}
	return table;
}

void table_destroy(struct table *table)
{
	if (!table)
		return;
	for (struct table_row *row = table->first, *next; row; row = next) {
		next = row->next;
		free(row);
	}
	free(table);
}

/* Appends a row of what may be anybody's text. */
static int row_add_printable(struct table *table, const char *text, size_t size)
{
	char *printable;
	size_t printable_size;
	FILE *out = open_memstream(&printable, &printable_size);
	int result = -ENOMEM;

	if (!out)
		return -ENOMEM;
	printable_write(text, size, "\t", out);
	if (fclose(out) == 0)
		result = row_add(table, printable, printable_size);
	free(printable);
	return result;
}

int table_add(struct table *table, const char *format, ...)
{
	va_list arguments;
	char *text;
	int size, result;

	va_start(arguments, format);
	size = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (size < 0)
		return -ENOMEM;
	result = row_add_printable(table, text, (size_t)size);
	free(text);
	return result;
}

static void row_print(const struct table *table, const struct table_row *row, FILE *out)
{
	const char *cell = row->cells;
	size_t owed = 0; /* spaces before the next cell that is not empty */

	for (uint32_t column = 0; column < table->column_count; column++) {
		size_t size = strlen(cell);
		size_t fill = table->widths[column] - size;

		if (table->is_flush_right[column])
			owed += fill;
		if (size > 0) {
			fprintf(out, "%*s%s", (int)owed, "", cell);
			owed = 0;
		}
		owed += 2 + (table->is_flush_right[column] ? 0 : fill);
		cell += size + 1;
	}
	fputc('\n', out);
}

void table_print(const struct table *table, FILE *out)
{
	for (const struct table_row *row = table->first; row; row = row->next)
		row_print(table, row, out);
}

static const char *scaled(char *text, double number, double step, const char *const *units,
			  size_t unit_count)
{
	size_t unit = 0;

	while (number >= step && unit + 1 < unit_count) {
		number /= step;
		unit++;
	}
	snprintf(text, TABLE_NUMBER_SIZE, unit ? "%.1f%s" : "%.0f%s", number, units[unit]);
	return text;
}

const char *table_count(char text[TABLE_NUMBER_SIZE], double count)
{
	static const char *const units[] = { "", "K", "M", "G", "T" };

	return scaled(text, count, 1000, units, sizeof(units) / sizeof(units[0]));
}

const char *table_bytes(char text[TABLE_NUMBER_SIZE], double bytes)
{
	static const char *const units[] = { " B", " KiB", " MiB", " GiB", " TiB" };

	return scaled(text, bytes, 1024, units, sizeof(units) / sizeof(units[0]));
}

const char *table_duration(char text[TABLE_NUMBER_SIZE], uint64_t ms)
{
	uint64_t s = ms / 1000;

	if (ms < 1000)
		snprintf(text, TABLE_NUMBER_SIZE, "%" PRIu64 "ms", ms);
	else if (s < 60)
		snprintf(text, TABLE_NUMBER_SIZE, "%" PRIu64 "s", s);
	else if (s < 3600)
		snprintf(text, TABLE_NUMBER_SIZE, "%" PRIu64 "m %02" PRIu64 "s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(text, TABLE_NUMBER_SIZE, "%" PRIu64 "h %02" PRIu64 "m", s / 3600,
			 s / 60 % 60);
	else
		snprintf(text, TABLE_NUMBER_SIZE, "%" PRIu64 "d %" PRIu64 "h", s / 86400,
			 s / 3600 % 24);
	return text;
}
