/* SPDX-License-Identifier: BSD-3-Clause */
/* Stores a value, reads it, changes it only if nobody else did, and counts. Usage: hello ADDRESS */
#include <godwit.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int fail(const char *what, enum godwit_status status)
{
	fprintf(stderr, "hello: %s: %s\n", what, godwit_status_text(status));
	return 1;
}

int main(int argc, char **argv)
{
	const char *name = "user:7", *visits = "visits";
	struct godwit *client;
	struct godwit_result result;
	enum godwit_status status;

	status = godwit_open(&client, argc > 1 ? argv[1] : "127.0.0.1", NULL);
	if (status != GODWIT_OK)
		return fail("open", status);

	status = godwit_set(client, name, strlen(name), "Ada", 3, GODWIT_NO_TTL, NULL);
	if (status != GODWIT_OK)
		return fail("set", status);
	status = godwit_get(client, name, strlen(name), &result);
	if (status != GODWIT_OK)
		return fail("get", status);
	printf("%s is %.*s\n", name, (int)result.value_size, (const char *)result.value);

	status = godwit_cas(client, name, strlen(name), result.version, "Ada Lovelace", 12,
			    GODWIT_NO_TTL, NULL);
	if (status == GODWIT_VERSION_MISMATCH)
		printf("%s was changed meanwhile\n", name);
	else if (status != GODWIT_OK)
		return fail("cas", status);

	/* An absent counter is stored as 1, and expires after an hour. */
	status = godwit_increment_initial(client, visits, strlen(visits), 1, 1, 3600 * 1000,
					  &result);
	if (status == GODWIT_UNKNOWN)
		printf("counted or not: the server stopped answering\n");
	else if (status != GODWIT_OK)
		return fail("increment", status);
	else
		printf("%s: %" PRId64 "\n", visits, result.number);

	godwit_close(client);
	return 0;
}
