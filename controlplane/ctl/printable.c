/* SPDX-License-Identifier: BSD-3-Clause */
/* Text is printed character by character of UTF-8, each whole or as escapes. */
#include "controlplane/ctl/printable.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of a character that begins with 'lead'; 0 = none does. */
static size_t size_by_lead(unsigned char lead)
{
	if (lead < 0x80)
		return 1;
	if (lead < 0xc2 || lead > 0xf4)
		return 0;
	return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/* Whether the second byte makes a character in a longer form than it needs, half of a pair, or beyond Unicode. */
static bool is_out_of_range(const unsigned char *at)
{
	switch (at[0]) {
	case 0xe0:
		return at[1] < 0xa0;
	case 0xed:
		return at[1] >= 0xa0;
	case 0xf0:
		return at[1] < 0x90;
	case 0xf4:
		return at[1] >= 0x90;
	default:
		return false;
	}
}

/* Bytes of the character of UTF-8 at 'at'; 0 = it is none. */
static size_t character_size(const unsigned char *at, size_t size)
{
	size_t needed = size_by_lead(*at);

	if (needed == 0 || needed > size || (needed > 1 && is_out_of_range(at)))
		return 0;
	for (size_t i = 1; i < needed; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	}
	return needed;
}

/* C0, DEL, or C1 in two bytes. */
static bool is_control(const unsigned char *at)
{
	return *at < 0x20 || *at == 0x7f || (*at == 0xc2 && at[1] < 0xa0);
}

void printable_write(const void *bytes, size_t size, const char *kept, FILE *out)
{
	const unsigned char *at = bytes, *end = at + size;

	while (at < end) {
		size_t taken = character_size(at, (size_t)(end - at));
		bool is_kept =
			taken > 0 && (!is_control(at) || (*at && *at < 0x80 && strchr(kept, *at)));

		taken = taken ? taken : 1;
		if (is_kept)
			fwrite(at, 1, taken, out);
		else
			for (size_t i = 0; i < taken; i++)
				fprintf(out, "\\x%02x", at[i]);
		at += taken;
	}
}

void printable_vprint(FILE *out, const char *format, va_list arguments)
{
	char *text;
	int size = vasprintf(&text, format, arguments);

	if (size < 0)
		return;
	printable_write(text, (size_t)size, "", out);
	free(text);
}

void printable_print(FILE *out, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	printable_vprint(out, format, arguments);
	va_end(arguments);
}

void printable_line(FILE *out, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	printable_vprint(out, format, arguments);
	va_end(arguments);
	fputc('\n', out);
}
