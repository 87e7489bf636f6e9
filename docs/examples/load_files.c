/* SPDX-License-Identifier: BSD-3-Clause */
/* Stores the pieces of real files as items, or reads every piece back and compares it byte by byte.
 *
 *     load_files store  ADDRESS BYTES_MAX FOLDER...
 *     load_files verify ADDRESS BYTES_MAX FOLDER...
 *
 * A file is cut into pieces of 1 to 1,200 bytes, their length drawn from a generator seeded by the offset, so that both
 * runs cut alike. The key is "PATH#OFFSET". Stops after BYTES_MAX bytes of values. Exits 0 only if every item was
 * stored, or was there with the right value.
 */
#include <ftw.h>
#include <godwit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PIECE_SIZE_MAX 1200u
#define BATCH_MAX 256u
#define FILE_SIZE_MAX (4u << 20)

struct loader {
	struct godwit *client;
	bool is_store;
	size_t bytes_left;
	size_t items;
	size_t bytes;
	size_t failed;
	size_t batch_count;
	struct godwit_operation batch[BATCH_MAX];
	char keys[BATCH_MAX][GODWIT_KEY_SIZE_MAX + 1];
};

/* Compares what came back with what was asked; prints the first differences. */
static void check(struct loader *loader, const struct godwit_operation *operation, const void *expected,
		  size_t expected_size, const struct godwit_result *result)
{
	if (result->status == GODWIT_OK &&
	    (loader->is_store || (result->value_size == expected_size &&
				  memcmp(result->value, expected, expected_size) == 0)))
		return;
	if (loader->failed++ < 10)
		fprintf(stderr, "load_files: %.*s: %s\n", (int)operation->key_size,
			(const char *)operation->key,
			result->status == GODWIT_OK ? "another value came back" :
						      godwit_status_text(result->status));
}

static void execute(struct loader *loader)
{
	struct godwit_result results[BATCH_MAX];
	struct godwit_operation sent[BATCH_MAX];

	memcpy(sent, loader->batch, loader->batch_count * sizeof(*sent));
	for (size_t i = 0; i < loader->batch_count && !loader->is_store; i++) {
		sent[i].opcode = GODWIT_OP_GET;
		sent[i].value = NULL;
		sent[i].value_size = 0;
	}
	godwit_execute(loader->client, sent, loader->batch_count, results);
	for (size_t i = 0; i < loader->batch_count; i++)
		check(loader, &sent[i], loader->batch[i].value, loader->batch[i].value_size, &results[i]);
	loader->items += loader->batch_count;
	loader->batch_count = 0;
}

/* Adds one piece to the batch. The bytes must stay until execute(). */
static void add_piece(struct loader *loader, const char *path, size_t offset, const char *bytes, size_t size)
{
	char *key = loader->keys[loader->batch_count];
	int key_size = snprintf(key, sizeof(loader->keys[0]), "%s#%zu", path, offset);

	if (key_size > GODWIT_KEY_SIZE_MAX)
		return; /* a path this long is not worth a second scheme of keys */
	loader->batch[loader->batch_count++] = (struct godwit_operation){
		.opcode = GODWIT_OP_SET,
		.key = key,
		.key_size = (size_t)key_size,
		.value = bytes,
		.value_size = size,
	};
	loader->bytes += size;
	if (loader->batch_count == BATCH_MAX)
		execute(loader);
}

/* 1..PIECE_SIZE_MAX, the same for the same offset. */
static size_t piece_size(size_t offset)
{
	return 1 + (offset * UINT64_C(0x9e3779b97f4a7c15) >> 32) % PIECE_SIZE_MAX;
}

static void load_bytes(struct loader *loader, const char *path, const char *bytes, size_t size)
{
	size_t offset = 0;

	while (offset < size && loader->bytes_left > 0) {
		size_t piece = piece_size(offset);

		if (piece > size - offset)
			piece = size - offset;
		if (piece > loader->bytes_left)
			piece = loader->bytes_left;
		add_piece(loader, path, offset, bytes + offset, piece);
		loader->bytes_left -= piece;
		offset += piece;
	}
	if (loader->batch_count > 0)
		execute(loader);
}

static void load_file(struct loader *loader, const char *path)
{
	FILE *file = fopen(path, "rb");
	char *bytes = malloc(FILE_SIZE_MAX);

	if (file && bytes)
		load_bytes(loader, path, bytes, fread(bytes, 1, FILE_SIZE_MAX, file));
	free(bytes);
	if (file)
		fclose(file);
}

/* nftw() passes no context: the one loader of this program. */
static struct loader loader;

static int visit(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
	(void)stat;
	(void)ftw;
	if (type == FTW_F)
		load_file(&loader, path);
	return loader.bytes_left == 0;
}

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	struct godwit_options options = GODWIT_OPTIONS_INIT;
	enum godwit_status status;
	double start;

	if (argc < 5 || (strcmp(argv[1], "store") != 0 && strcmp(argv[1], "verify") != 0)) {
		fprintf(stderr, "usage: load_files store|verify ADDRESS BYTES_MAX FOLDER...\n");
		return 2;
	}
	options.timeout_ms = 5000;
	status = godwit_open(&loader.client, argv[2], &options);
	if (status != GODWIT_OK) {
		fprintf(stderr, "load_files: %s: %s\n", argv[2], godwit_status_text(status));
		return 1;
	}
	loader.is_store = strcmp(argv[1], "store") == 0;
	loader.bytes_left = strtoul(argv[3], NULL, 10);
	start = seconds_now();
	for (int i = 4; i < argc && loader.bytes_left > 0; i++)
		nftw(argv[i], visit, 16, FTW_PHYS);
	godwit_close(loader.client);
	printf("%s %zu items, %zu bytes of values, %zu failed, in %.2f s\n",
	       loader.is_store ? "stored" : "verified", loader.items, loader.bytes, loader.failed,
	       seconds_now() - start);
	return loader.failed == 0 && loader.items > 0 ? 0 : 1;
}
