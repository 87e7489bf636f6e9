/* SPDX-License-Identifier: BSD-3-Clause */
/* Options from a YAML file: its nodes with their lines, walked along the table's sections. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "controlplane/options.h"

#define KEY_SIZE 128u
#define LIST_SIZE 640u /* a list as one text */

/* One file being read. */
struct reading {
	struct options *options;
	const char *path;
	FILE *errors;
	yaml_document_t *document;
	uint32_t mistakes;
};

__attribute__((format(printf, 4, 5))) static void mistake(struct reading *reading, size_t line,
							  const char *key, const char *format, ...)
{
	va_list arguments;

	fprintf(reading->errors, "%s:%zu: %s%s", reading->path, line, key, *key ? ": " : "");
	va_start(arguments, format);
	vfprintf(reading->errors, format, arguments);
	va_end(arguments);
	fputc('\n', reading->errors);
	reading->mistakes++;
}

static size_t line_of(const yaml_node_t *node)
{
	return node->start_mark.line + 1;
}

static const char *scalar_text(const yaml_node_t *node)
{
	return (const char *)node->data.scalar.value;
}

/* A list [1, 2-3] is the same as the text "1,2-3". False when an entry is no scalar, or the text
 * gets too long.
 */
static bool join_list(const struct reading *reading, const yaml_node_t *node, char *text,
		      size_t text_size)
{
	const yaml_node_item_t *item = node->data.sequence.items.start;
	size_t used = 0;

	text[0] = '\0';
	for (; item < node->data.sequence.items.top; item++) {
		const yaml_node_t *entry = yaml_document_get_node(reading->document, *item);

		if (!entry || entry->type != YAML_SCALAR_NODE)
			return false;
		used += (size_t)snprintf(text + used, text_size - used, "%s%s", used ? "," : "",
					 scalar_text(entry));
		if (used >= text_size)
			return false;
	}
	return true;
}

static void read_option(struct reading *reading, const char *key, size_t line,
			const yaml_node_t *node)
{
	struct option_origin before = options_origin(reading->options, key);
	char expected[OPTION_EXPECTED_SIZE], list[LIST_SIZE];
	const char *text = list;

	if (before.source == reading->path) {
		mistake(reading, line, key, "given twice, first in line %u", before.line);
		return;
	}
	if (node->type == YAML_SCALAR_NODE) {
		text = scalar_text(node);
	} else if (node->type == YAML_MAPPING_NODE ||
		   !join_list(reading, node, list, sizeof(list))) {
		mistake(reading, line, key, "expected %s, not a %s",
			options_expected(key, expected),
			node->type == YAML_MAPPING_NODE ? "section" : "list like this");
		return;
	}
	if (options_set(reading->options, key, text,
			(struct option_origin){ reading->path, (uint32_t)line },
			reading->errors) != 0)
		reading->mistakes++;
}

static void read_section(struct reading *reading, const char *section, const yaml_node_t *node);

static void read_pair(struct reading *reading, const char *section, const yaml_node_t *name,
		      const yaml_node_t *value)
{
	char key[KEY_SIZE];

	if (name->type != YAML_SCALAR_NODE) {
		mistake(reading, line_of(name), section, "expected a name before the colon");
		return;
	}
	snprintf(key, sizeof(key), "%s%s%.64s", section, *section ? "." : "", scalar_text(name));
	if (options_has_key(key)) {
		read_option(reading, key, line_of(name), value);
	} else if (!options_has_section(key)) {
		mistake(reading, line_of(name), key,
			"unknown key; godwitd --help-config lists those there are");
	} else if (value->type == YAML_MAPPING_NODE) {
		read_section(reading, key, value);
	} else if (value->type != YAML_SCALAR_NODE || *scalar_text(value)) {
		mistake(reading, line_of(name), key, "is a section: expected keys under it");
	}
}

/* The recursion is as deep as the table's longest key, whatever the file. */
static void read_section(struct reading *reading, const char *section, const yaml_node_t *node)
{
	const yaml_node_pair_t *pair = node->data.mapping.pairs.start;

	for (; pair < node->data.mapping.pairs.top; pair++)
		read_pair(reading, section, yaml_document_get_node(reading->document, pair->key),
			  yaml_document_get_node(reading->document, pair->value));
}

static void read_document(struct reading *reading)
{
	const yaml_node_t *root = yaml_document_get_root_node(reading->document);

	if (root->type == YAML_MAPPING_NODE)
		read_section(reading, "", root);
	else if (root->type != YAML_SCALAR_NODE || *scalar_text(root))
		mistake(reading, line_of(root), "", "expected sections such as 'data:'");
}

/* Loads the next document; false at the end of the file or after a mistake was reported. */
static bool load_document(struct reading *reading, yaml_parser_t *parser)
{
	if (!yaml_parser_load(parser, reading->document)) {
		size_t line = parser->problem_mark.line ? parser->problem_mark.line
							: parser->context_mark.line;

		mistake(reading, line + 1, "", "no valid YAML: %s",
			parser->problem ? parser->problem : "out of memory");
		return false;
	}
	if (yaml_document_get_root_node(reading->document))
		return true;
	yaml_document_delete(reading->document);
	return false;
}

static void read_file(struct reading *reading, FILE *file)
{
	yaml_parser_t parser;

	if (!yaml_parser_initialize(&parser)) {
		mistake(reading, 1, "", "out of memory");
		return;
	}
	yaml_parser_set_input_file(&parser, file);
	for (int documents = 0; load_document(reading, &parser); documents++) {
		if (documents == 0)
			read_document(reading);
		else
			mistake(reading, line_of(yaml_document_get_root_node(reading->document)),
				"", "expected the end of the file, not a second document");
		yaml_document_delete(reading->document);
	}
	yaml_parser_delete(&parser);
}

int options_load(struct options *options, const char *path, FILE *errors)
{
	yaml_document_t document;
	struct reading reading = { options, path, errors, &document, 0 };
	FILE *file = fopen(path, "re");
	int first = file ? getc(file) : EOF; /* a directory opens, but cannot be read */

	if (!file || (first == EOF && ferror(file))) {
		int error = errno;

		fprintf(errors, "%s: cannot read it: %s\n", path, strerror(error));
		if (file)
			fclose(file);
		return -error;
	}
	ungetc(first, file);
	read_file(&reading, file);
	fclose(file);
	return reading.mistakes ? -EINVAL : 0;
}
