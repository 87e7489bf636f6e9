/* SPDX-License-Identifier: BSD-3-Clause */
/* Prints results of item commands. */
#include "controlplane/ctl/item_view.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#include "controlplane/ctl/printable.h"
#include "controlplane/ctl/table.h"

struct status_row {
	enum godwit_status status;
	enum ctl_exit code;
	const char *word;
};

static const struct status_row statuses[] = {
	{ GODWIT_OK, CTL_OK, "ok" },
	{ GODWIT_NOT_FOUND, CTL_NO, "not_found" },
	{ GODWIT_EXISTS_ALREADY, CTL_NO, "exists_already" },
	{ GODWIT_VERSION_MISMATCH, CTL_NO, "version_mismatch" },
	{ GODWIT_NOT_A_NUMBER, CTL_ERROR, "not_a_number" },
	{ GODWIT_TOO_LARGE, CTL_ERROR, "too_large" },
	{ GODWIT_NO_SPACE, CTL_ERROR, "no_space" },
	{ GODWIT_BAD_REQUEST, CTL_ERROR, "bad_request" },
	{ GODWIT_UNSUPPORTED, CTL_ERROR, "unsupported" },
	{ GODWIT_NOT_OWNER, CTL_ERROR, "not_owner" },
	{ GODWIT_RETRY, CTL_ERROR, "retry" },
	{ GODWIT_UNAVAILABLE, CTL_ERROR, "unavailable" },
	{ GODWIT_UNKNOWN, CTL_UNKNOWN, "unknown" },
	{ GODWIT_TIMEOUT, CTL_UNREACHABLE, "timeout" },
	{ GODWIT_NO_SERVER, CTL_UNREACHABLE, "no_server" },
	{ GODWIT_INVALID_ARGUMENT, CTL_USAGE, "invalid_argument" },
};

static const struct status_row *find_status(enum godwit_status status)
{
	static const struct status_row other = { GODWIT_SYSTEM_ERROR, CTL_ERROR, "error" };

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].status == status)
			return &statuses[i];
	return &other;
}

enum ctl_exit item_view_exit(enum godwit_status status)
{
	return find_status(status)->code;
}

const char *item_view_word(enum godwit_status status)
{
	return find_status(status)->word;
}

static bool is_utf8(const void *bytes, size_t size)
{
	json_t *string = json_stringn(bytes, size);

	json_decref(string);
	return string != NULL;
}

/* ---- JSON ---- */

static json_t *hex_of(const void *bytes, size_t size)
{
	char *text = malloc(2 * size + 1);
	json_t *string;

	if (!text)
		return NULL;
	for (size_t i = 0; i < size; i++)
		sprintf(text + 2 * i, "%02x", ((const unsigned char *)bytes)[i]);
	string = json_stringn(text, 2 * size);
	free(text);
	return string;
}

/* As "NAME" when the bytes are UTF-8, else as "NAME_hex". */
static void set_bytes(json_t *object, const char *name, const void *bytes, size_t size)
{
	char name_hex[32];

	snprintf(name_hex, sizeof(name_hex), "%s_hex", name);
	if (is_utf8(bytes, size))
		json_object_set_new(object, name, json_stringn(bytes, size));
	else
		json_object_set_new(object, name_hex, hex_of(bytes, size));
}

static void print_json(struct ctl *ctl, json_t *object)
{
	json_dumpf(object, ctl->out, JSON_INDENT(2));
	fputc('\n', ctl->out);
	json_decref(object);
}

static void print_result_json(struct ctl *ctl, const struct godwit_operation *operation,
			      const struct godwit_result *result)
{
	json_t *object = json_object();

	set_bytes(object, "key", operation->key, operation->key_size);
	json_object_set_new(object, "status", json_string(item_view_word(result->status)));
	if (result->version)
		json_object_set_new(object, "version", json_integer((json_int_t)result->version));
	if (result->value)
		set_bytes(object, "value", result->value, result->value_size);
	if (result->status == GODWIT_OK && operation->opcode == GODWIT_OP_INCREMENT)
		json_object_set_new(object, "number", json_integer(result->number));
	if (result->status == GODWIT_OK && operation->opcode == GODWIT_OP_TTL)
		json_object_set_new(object, "ttl_ms",
				    result->ttl_ms == GODWIT_TTL_NEVER
					    ? json_null()
					    : json_integer((json_int_t)result->ttl_ms));
	print_json(ctl, object);
}

/* ---- text ---- */

static void print_value(struct ctl *ctl, const struct godwit_result *result, bool is_raw)
{
	if (is_raw) {
		fwrite(result->value, 1, result->value_size, ctl->out);
		return;
	}
	printable_write(result->value, result->value_size, "\n\t", ctl->out);
	fputc('\n', ctl->out);
}

static void print_ttl(struct ctl *ctl, const struct godwit_result *result)
{
	if (result->ttl_ms == GODWIT_TTL_NEVER)
		fputs("never expires\n", ctl->out);
	else
		fprintf(ctl->out, "%" PRIu64 "ms\n", result->ttl_ms);
}

static void print_result(struct ctl *ctl, const struct godwit_operation *operation,
			 const struct godwit_result *result, bool is_raw)
{
	if (result->value)
		print_value(ctl, result, is_raw);
	else if (operation->opcode == GODWIT_OP_INCREMENT)
		fprintf(ctl->out, "%" PRId64 "\n", result->number);
	else if (operation->opcode == GODWIT_OP_TTL)
		print_ttl(ctl, result);
	else if (operation->opcode == GODWIT_OP_DELETE)
		fputs("deleted\n", ctl->out);
	else
		fprintf(ctl->out, "version %" PRIu64 "\n", result->version);
}

static enum ctl_exit fail(struct ctl *ctl, const struct godwit_operation *operation,
			  const struct godwit_result *result)
{
	fputs("godwitctl: ", ctl->err);
	printable_write(operation->key, operation->key_size, "", ctl->err);
	fprintf(ctl->err, ": %s", godwit_status_text(result->status));
	if (result->status == GODWIT_VERSION_MISMATCH && result->version)
		fprintf(ctl->err, ": %" PRIu64, result->version);
	fputc('\n', ctl->err);
	return item_view_exit(result->status);
}

enum ctl_exit item_view_result(struct ctl *ctl, const struct godwit_operation *operation,
			       const struct godwit_result *result, bool is_raw)
{
	if (ctl->output == CTL_OUTPUT_JSON)
		print_result_json(ctl, operation, result);
	else if (result->status == GODWIT_OK)
		print_result(ctl, operation, result, is_raw);
	return result->status == GODWIT_OK ? CTL_OK : fail(ctl, operation, result);
}

/* ---- the cluster ---- */

static void print_info_json(struct ctl *ctl, const struct godwit *client,
			    const struct godwit_info *info)
{
	json_t *nodes = json_array();
	struct godwit_node node;
	char boot_id[17];

	for (uint32_t i = 0; godwit_node(client, i, &node) == GODWIT_OK; i++)
		json_array_append_new(nodes,
				      json_pack("{s:s, s:I, s:I}", "address", node.address,
						"workers", (json_int_t)node.worker_count,
						"partitions", (json_int_t)node.partition_count));
	snprintf(boot_id, sizeof(boot_id), "%016" PRIx64, info->boot_id);
	print_json(ctl, json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:o}", "address", info->address,
				  "boot_id", boot_id, "map_version", (json_int_t)info->map_version,
				  "partitions", (json_int_t)info->partition_count, "value_size_max",
				  (json_int_t)info->value_size_max, "datagram_size_max",
				  (json_int_t)info->datagram_size_max, "nodes", nodes));
}

static enum ctl_exit print_info(struct ctl *ctl, const struct godwit *client,
				const struct godwit_info *info)
{
	static const char *const heads[] = { "NODE", ">WORKERS", ">PARTITIONS" };
	struct table *table = table_create(heads, 3);
	struct godwit_node node;
	int error = table ? 0 : -1;

	for (uint32_t i = 0; error == 0 && godwit_node(client, i, &node) == GODWIT_OK; i++)
		error = table_add(table, "%s\t%u\t%u", node.address, node.worker_count,
				  node.partition_count);
	if (error == 0) {
		fprintf(ctl->out, "answered by     %s, boot %016" PRIx64 "\n", info->address,
			info->boot_id);
		fprintf(ctl->out, "partition map   version %u, %u partitions\n", info->map_version,
			info->partition_count);
		fprintf(ctl->out, "limits          values of %zu bytes, datagrams of %zu bytes\n\n",
			info->value_size_max, info->datagram_size_max);
		table_print(table, ctl->out);
	}
	table_destroy(table);
	return error == 0 ? CTL_OK : command_fail(ctl, CTL_ERROR, "out of memory");
}

void item_view_ping(struct ctl *ctl, uint64_t round_trip_us)
{
	if (ctl->output == CTL_OUTPUT_JSON)
		print_json(ctl, json_pack("{s:s, s:I}", "server", ctl->server, "round_trip_us",
					  (json_int_t)round_trip_us));
	else
		fprintf(ctl->out, "%s answers after %.3f ms\n", ctl->server,
			(double)round_trip_us / 1000);
}

enum ctl_exit item_view_info(struct ctl *ctl, const struct godwit *client)
{
	struct godwit_info info;

	godwit_info(client, &info);
	if (ctl->output != CTL_OUTPUT_JSON)
		return print_info(ctl, client, &info);
	print_info_json(ctl, client, &info);
	return CTL_OK;
}
