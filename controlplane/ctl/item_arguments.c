/* SPDX-License-Identifier: BSD-3-Clause */
/* The options of the item commands: one table. */
#include "controlplane/ctl/item_arguments.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/ctl/global_options.h"

bool item_number_read(const char *text, int64_t *number)
{
	char *end;
	long long read;

	errno = 0;
	read = strtoll(text, &end, 10);
	*number = read;
	return errno == 0 && end != text && *end == '\0' &&
	       (*text == '-' || (*text >= '0' && *text <= '9'));
}

bool item_version_read(const char *text, uint64_t *version)
{
	char *end;

	errno = 0;
	*version = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0' && *text >= '0' && *text <= '9' && *version != 0;
}

bool item_ttl_read(const char *text, uint32_t *ttl_ms)
{
	*ttl_ms = 0;
	return strcmp(text, "never") == 0 || (duration_parse(text, ttl_ms) == 0 && *ttl_ms > 0);
}

static bool apply_ttl(struct item_arguments *arguments, const char *value)
{
	return item_ttl_read(value, &arguments->ttl_ms);
}

static bool apply_raw(struct item_arguments *arguments, const char *value)
{
	(void)value;
	arguments->is_raw = true;
	return true;
}

static bool apply_initial(struct item_arguments *arguments, const char *value)
{
	arguments->has_initial = true;
	return item_number_read(value, &arguments->initial);
}

static bool apply_version(struct item_arguments *arguments, const char *value)
{
	return item_version_read(value, &arguments->version);
}

struct item_option_row {
	const char *name;
	const char *argument; /* NULL = none */
	enum item_option option;
	bool (*apply)(struct item_arguments *arguments, const char *value);
};

static const struct item_option_row rows[] = {
	{ "--ttl", "a time such as 250ms, 10s, 5m, 1h, or never", ITEM_OPTION_TTL, apply_ttl },
	{ "--raw", NULL, ITEM_OPTION_RAW, apply_raw },
	{ "--initial", "a number", ITEM_OPTION_INITIAL, apply_initial },
	{ "--version", "a version, as get prints it with -o json", ITEM_OPTION_VERSION,
	  apply_version },
};

static const struct item_option_row *find_row(const char *word, unsigned int allowed)
{
	size_t size = strcspn(word, "=");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if ((rows[i].option & allowed) && strlen(rows[i].name) == size &&
		    strncmp(rows[i].name, word, size) == 0)
			return &rows[i];
	return NULL;
}

/* Reads the option argv[*at], and its value, to which '*at' moves on. */
static enum ctl_exit read_option(struct ctl *ctl, int argc, char **argv, int *at,
				 unsigned int allowed, struct item_arguments *arguments)
{
	const struct item_option_row *row = find_row(argv[*at], allowed);
	const char *equals = strchr(argv[*at], '=');
	const char *value = equals ? equals + 1 : NULL;

	if (!row)
		return command_usage(ctl, argv[0], "%s has no option %s", argv[0], argv[*at]);
	if (!row->argument && value)
		return command_usage(ctl, argv[0], "%s takes no value", row->name);
	if (row->argument && !value && *at + 1 < argc)
		value = argv[++*at];
	if (row->argument && !value)
		return command_usage(ctl, argv[0], "%s needs %s", row->name, row->argument);
	if (!row->apply(arguments, value))
		return command_usage(ctl, argv[0], "%s %s: expected %s", row->name, value,
				     row->argument);
	return CTL_OK;
}

enum ctl_exit item_arguments_read(struct ctl *ctl, int argc, char **argv, unsigned int allowed,
				  struct item_arguments *arguments)
{
	bool is_words_only = false;

	*arguments = (struct item_arguments){ .word_count = 0 };
	for (int i = 1; i < argc; i++) {
		if (!is_words_only && strcmp(argv[i], "--") == 0) {
			is_words_only = true;
		} else if (!is_words_only && strncmp(argv[i], "--", 2) == 0) {
			enum ctl_exit code = read_option(ctl, argc, argv, &i, allowed, arguments);

			if (code != CTL_OK)
				return code;
		} else if (arguments->word_count == ITEM_WORD_MAX) {
			return command_usage(ctl, argv[0], "unexpected argument '%s'", argv[i]);
		} else {
			arguments->words[arguments->word_count++] = argv[i];
		}
	}
	return CTL_OK;
}
