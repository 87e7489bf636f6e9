/* SPDX-License-Identifier: BSD-3-Clause */
/* libgodwit: the client of a Godwit cluster, a partitioned in-memory key-value server.
 *
 *     #include <godwit.h>                         cc app.c $(pkg-config --cflags --libs godwit)
 *
 *     struct godwit *client;
 *     struct godwit_result result;
 *
 *     if (godwit_open(&client, "10.77.0.2", NULL) != GODWIT_OK)
 *             return 1;
 *     godwit_set(client, "user:7", 6, "Ada", 3, GODWIT_NO_TTL, NULL);
 *     if (godwit_get(client, "user:7", 6, &result) == GODWIT_OK)
 *             printf("%.*s\n", (int)result.value_size, (const char *)result.value);
 *     godwit_close(client);
 *
 * Keys are 1..GODWIT_KEY_SIZE_MAX bytes, values 0..value_size_max bytes (see godwit_info), both of
 * any bytes; sizes are in bytes. Times are in milliseconds. Each item has a version, a number that
 * differs after each write; godwit_cas() compares it.
 *
 * Outcomes. Every call tells one of three things, and never guesses:
 *   - what the server answered (GODWIT_OK, GODWIT_NOT_FOUND, ...);
 *   - that the operation was certainly not executed, and why (GODWIT_NO_SERVER, ...);
 *   - GODWIT_UNKNOWN: a write was sent and no answer came within the time. It may or may not have
 *     been executed. Lost datagrams are sent again until then, and the server executes such a
 *     repetition once.
 *
 * Thread safety: a handle is used by one thread at a time; different handles are independent. The
 * library starts no threads, keeps no global state, and touches no signals. A handle must not be
 * used on both sides of fork().
 *
 * Order: operations that are in flight together (one batch, or several godwit_submit) may be
 * executed in any order. Whoever needs an order waits for one result before submitting the next.
 */
#ifndef GODWIT_H
#define GODWIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define GODWIT_API __attribute__((visibility("default")))
#else
#define GODWIT_API
#endif

#define GODWIT_PORT_DEFAULT 7700
#define GODWIT_KEY_SIZE_MAX 250
#define GODWIT_TIMEOUT_MS_MAX 25000
#define GODWIT_NO_TTL 0u            /* as a ttl_ms: the item never expires */
#define GODWIT_TTL_NEVER UINT64_MAX /* as a result's ttl_ms: it has no expiry */

enum godwit_status {
	GODWIT_OK = 0,

	/* Answers of the server: the item is unchanged. */
	GODWIT_NOT_FOUND = 1,        /* no such key, or expired */
	GODWIT_EXISTS_ALREADY = 2,   /* add: the key is present */
	GODWIT_VERSION_MISMATCH = 3, /* cas, delete: result.version is the item's */
	GODWIT_NOT_A_NUMBER = 4,     /* increment: no decimal 64-bit number, or an overflow */
	GODWIT_TOO_LARGE = 5,        /* the value is, or would become, too large: see godwit_info */
	GODWIT_NO_SPACE = 6,         /* the server's memory is full */
	GODWIT_BAD_REQUEST = 7,      /* the server could not parse the request */
	GODWIT_UNSUPPORTED = 8,      /* the server does not know this operation */
	GODWIT_NOT_OWNER = 9,        /* no node was found that owns the key, until the time-out */
	GODWIT_RETRY = 10,           /* the server asked to wait, until the time-out */
	GODWIT_UNAVAILABLE = 11,     /* no node may serve the key's partition at present */

	/* Judged by the library. */
	GODWIT_UNKNOWN = 64,          /* a write was sent, no answer came: see "Outcomes" above */
	GODWIT_TIMEOUT = 65,          /* no answer came, but it was a read, or was not sent yet */
	GODWIT_NO_SERVER = 66,        /* the server could not be reached; nothing was sent */
	GODWIT_INVALID_ARGUMENT = 67, /* a bad key, address, ...; a blocking call in a callback */
	GODWIT_NO_MEMORY = 68,        /* the process's memory, not the server's */
	GODWIT_BUSY = 69,             /* submit: pending_max operations are pending */
	GODWIT_SYSTEM_ERROR = 70,     /* a socket could not be opened or bound; errno tells why */
	GODWIT_CLOSED = 71,           /* the handle was closed; a read, or not sent yet */
	GODWIT_BUFFER_TOO_SMALL = 72, /* get_into: result.value_size tells the size needed */
	GODWIT_VERSION_UNKNOWN = 73,  /* the server speaks another protocol version */
};

/* A constant English sentence fragment, e.g. "not found"; never NULL. */
GODWIT_API const char *godwit_status_text(enum godwit_status status);

/* The library's version, e.g. "0.1.0". */
GODWIT_API const char *godwit_version(void);

/* ---- opening and closing ---- */

struct godwit; /* a handle: one client of one cluster */

/* Every field that is 0 or NULL takes its default. Made by
 *     struct godwit_options options = GODWIT_OPTIONS_INIT;
 */
struct godwit_options {
	size_t struct_size; /* set by GODWIT_OPTIONS_INIT */

	/* An operation is resolved in this time; GODWIT_TIMEOUT_MS_MAX at most. Default 1000. */
	uint32_t timeout_ms;

	/* How long godwit_open() waits for a server. Default 3000. */
	uint32_t connect_timeout_ms;

	/* A datagram without an answer is sent again after this time, after twice the time when it
	 * is lost again, up to 8 times the time. Default 20.
	 */
	uint32_t retry_interval_ms;

	/* Datagrams in flight to each server port, 1..256. Default 64. */
	uint32_t in_flight_max;

	/* Operations accepted and not yet resolved. Default 65536. */
	uint32_t pending_max;

	/* The kernel's buffer for each direction, as far as it allows. Default 4 MiB. */
	uint32_t socket_buffer_bytes;

	/* godwit_open() returns at once; operations wait for the first server. Default false. */
	bool no_wait;

	/* "10.77.0.1" or "10.77.0.1:5000" to send from. Default: the kernel's choice. */
	const char *local_address;
};
/* clang-format off */
#define GODWIT_OPTIONS_INIT { sizeof(struct godwit_options), 0, 0, 0, 0, 0, 0, false, NULL }
/* clang-format on */

/* Opens a handle on the cluster that one of 'seeds' belongs to: "ADDRESS[:PORT]", or a list of
 * such, separated by commas. ADDRESS is an IPv4 address or a name; PORT is the first port of the
 * node, default GODWIT_PORT_DEFAULT. 'options' may be NULL.
 *
 * GODWIT_OK: '*client' is to be closed by godwit_close(). Else it is NULL: GODWIT_INVALID_ARGUMENT
 * (seeds or options), GODWIT_NO_SERVER (none answered in connect_timeout_ms),
 * GODWIT_VERSION_UNKNOWN, GODWIT_SYSTEM_ERROR, GODWIT_NO_MEMORY.
 */
GODWIT_API enum godwit_status godwit_open(struct godwit **client, const char *seeds,
					  const struct godwit_options *options);

/* Closes the handle. Pending operations are completed, their callbacks called: writes that were
 * sent with GODWIT_UNKNOWN, all others with GODWIT_CLOSED. Accepts NULL. Not to be called from a
 * callback.
 */
GODWIT_API void godwit_close(struct godwit *client);

/* ---- operations ---- */

enum godwit_opcode {
	GODWIT_OP_GET = 1,
	GODWIT_OP_SET = 2,            /* stores value, whatever was there */
	GODWIT_OP_DELETE = 3,         /* with 'version' not 0: only that version */
	GODWIT_OP_ADD = 4,            /* stores value if the key is absent */
	GODWIT_OP_REPLACE = 5,        /* stores value if the key is present */
	GODWIT_OP_CAS = 6,            /* stores value if the item's version is 'version' */
	GODWIT_OP_INCREMENT = 7,      /* adds delta to a decimal number */
	GODWIT_OP_APPEND = 8,         /* adds value's bytes at the end of a present item */
	GODWIT_OP_TOUCH = 9,          /* sets the expiry */
	GODWIT_OP_GET_AND_TOUCH = 10, /* both */
	GODWIT_OP_EXISTS = 11,        /* the version, without the value */
	GODWIT_OP_TTL = 12,           /* the time left */
};

/* One operation as the batch and asynchronous calls take it; fields that the opcode does not use
 * stay 0.
 */
struct godwit_operation {
	enum godwit_opcode opcode;
	const void *key;
	size_t key_size;   /* 1..GODWIT_KEY_SIZE_MAX */
	const void *value; /* SET ADD REPLACE CAS APPEND; may be NULL when value_size is 0 */
	size_t value_size;
	uint64_t version; /* CAS; DELETE (0 = any) */

	/* SET ADD REPLACE CAS TOUCH GET_AND_TOUCH, and INCREMENT when it stores 'initial': time to
	 * live from now on, GODWIT_NO_TTL = for ever.
	 */
	uint32_t ttl_ms;

	/* INCREMENT: 'delta' may be negative. An absent key is GODWIT_NOT_FOUND, or is stored as
	 * 'initial' (without adding delta) if has_initial.
	 */
	bool has_initial;
	int64_t delta;
	int64_t initial;
};

struct godwit_result {
	enum godwit_status status;
	const void *value; /* GET, GET_AND_TOUCH; else NULL. Library memory, see each call */
	size_t value_size;
	uint64_t version; /* the item's; after a write the new one; 0 when there is none */
	int64_t number;   /* INCREMENT: the new number */
	uint64_t ttl_ms;  /* TTL: the time left, or GODWIT_TTL_NEVER */
};

/* ---- blocking calls ----
 *
 * Each waits until its operation is resolved, at most timeout_ms, and returns its status. 'result'
 * may be NULL; else it is filled, whatever the status. result->value stays valid until the next
 * blocking call on the handle, or godwit_close(). Callbacks of asynchronous operations may be
 * called meanwhile.
 */

GODWIT_API enum godwit_status godwit_get(struct godwit *client, const void *key, size_t key_size,
					 struct godwit_result *result);
/* Likewise into the caller's 'buffer'; result->value is 'buffer'. GODWIT_BUFFER_TOO_SMALL: nothing
 * was copied.
 */
GODWIT_API enum godwit_status godwit_get_into(struct godwit *client, const void *key,
					      size_t key_size, void *buffer, size_t buffer_size,
					      struct godwit_result *result);
GODWIT_API enum godwit_status godwit_set(struct godwit *client, const void *key, size_t key_size,
					 const void *value, size_t value_size, uint32_t ttl_ms,
					 struct godwit_result *result);
GODWIT_API enum godwit_status godwit_add(struct godwit *client, const void *key, size_t key_size,
					 const void *value, size_t value_size, uint32_t ttl_ms,
					 struct godwit_result *result);
GODWIT_API enum godwit_status godwit_replace(struct godwit *client, const void *key,
					     size_t key_size, const void *value, size_t value_size,
					     uint32_t ttl_ms, struct godwit_result *result);
GODWIT_API enum godwit_status godwit_cas(struct godwit *client, const void *key, size_t key_size,
					 uint64_t version, const void *value, size_t value_size,
					 uint32_t ttl_ms, struct godwit_result *result);
/* 'version' 0 deletes any version, else only that one. */
GODWIT_API enum godwit_status godwit_delete(struct godwit *client, const void *key, size_t key_size,
					    uint64_t version, struct godwit_result *result);
/* result->number is the new number. GODWIT_NOT_FOUND when the key is absent. */
GODWIT_API enum godwit_status godwit_increment(struct godwit *client, const void *key,
					       size_t key_size, int64_t delta,
					       struct godwit_result *result);
/* Likewise, but an absent key is stored as 'initial' with 'ttl_ms'. An existing item keeps its
 * expiry.
 */
GODWIT_API enum godwit_status godwit_increment_initial(struct godwit *client, const void *key,
						       size_t key_size, int64_t delta,
						       int64_t initial, uint32_t ttl_ms,
						       struct godwit_result *result);
GODWIT_API enum godwit_status godwit_append(struct godwit *client, const void *key, size_t key_size,
					    const void *value, size_t value_size,
					    struct godwit_result *result);
GODWIT_API enum godwit_status godwit_touch(struct godwit *client, const void *key, size_t key_size,
					   uint32_t ttl_ms, struct godwit_result *result);
GODWIT_API enum godwit_status godwit_get_and_touch(struct godwit *client, const void *key,
						   size_t key_size, uint32_t ttl_ms,
						   struct godwit_result *result);
GODWIT_API enum godwit_status godwit_exists(struct godwit *client, const void *key, size_t key_size,
					    struct godwit_result *result);
GODWIT_API enum godwit_status godwit_ttl(struct godwit *client, const void *key, size_t key_size,
					 struct godwit_result *result);

/* ---- batches ----
 *
 * Operations travel in as few datagrams as they fit, grouped by the server port that serves their
 * keys. results[i] belongs to operation i. Each has an outcome of its own: a batch is not atomic.
 * All results' values stay valid until the next blocking call on the handle. Returns how many
 * results are GODWIT_OK.
 */

GODWIT_API size_t godwit_execute(struct godwit *client, const struct godwit_operation *operations,
				 size_t count, struct godwit_result *results);

struct godwit_key {
	const void *key;
	size_t key_size;
};
GODWIT_API size_t godwit_get_many(struct godwit *client, const struct godwit_key *keys,
				  size_t count, struct godwit_result *results);

struct godwit_pair {
	const void *key;
	size_t key_size;
	const void *value;
	size_t value_size;
};
GODWIT_API size_t godwit_set_many(struct godwit *client, const struct godwit_pair *pairs,
				  size_t count, uint32_t ttl_ms, struct godwit_result *results);

/* ---- asynchronous calls ----
 *
 *     godwit_submit(client, &operation, on_result, context);          any number of times
 *     poll() until godwit_fd(client) is readable, at most godwit_timeout_ms(client)
 *     godwit_process(client);                                         calls the callbacks
 */

/* Called once for each accepted operation, out of godwit_process(), a blocking call, or
 * godwit_close(). 'result' and its value live until the callback returns. A callback may submit
 * more, but not block, process or close.
 */
typedef void godwit_callback(void *context, const struct godwit_result *result);

/* Accepts one operation; key and value are copied. Operations submitted one after the other share
 * datagrams: what does not fill one is sent by the next godwit_flush() or godwit_process().
 *
 * GODWIT_OK: 'callback' will be called. Else it will not, and nothing was sent:
 * GODWIT_INVALID_ARGUMENT, GODWIT_TOO_LARGE (over 64 KiB; lower limits are the server's, and
 * reported to the callback), GODWIT_BUSY, GODWIT_NO_MEMORY.
 */
GODWIT_API enum godwit_status godwit_submit(struct godwit *client,
					    const struct godwit_operation *operation,
					    godwit_callback *callback, void *context);

/* Sends what was submitted, as far as in_flight_max allows. */
GODWIT_API void godwit_flush(struct godwit *client);

/* Takes in what arrived, sends what is due, calls callbacks; never waits. Returns how many
 * operations were resolved.
 */
GODWIT_API size_t godwit_process(struct godwit *client);

/* The descriptor to poll for reading. Belongs to the handle: neither read nor close it. */
GODWIT_API int godwit_fd(const struct godwit *client);

/* Milliseconds until godwit_process() is to be called even if nothing arrives; -1 = no need. Fits
 * poll() and epoll_wait().
 */
GODWIT_API int godwit_timeout_ms(const struct godwit *client);

/* Operations accepted and not yet resolved. */
GODWIT_API size_t godwit_pending(const struct godwit *client);

/* ---- the cluster ---- */

/* Asks the node at 'address' ("ADDRESS[:PORT]"; NULL: the node that gave the map, or the first
 * seed) for a sign of life; needs no session. '*round_trip_us' (may be NULL) is the time of the
 * attempt that was answered, in microseconds. Blocking. GODWIT_OK, GODWIT_NO_SERVER,
 * GODWIT_INVALID_ARGUMENT.
 */
GODWIT_API enum godwit_status godwit_ping(struct godwit *client, const char *address,
					  uint64_t *round_trip_us);

#define GODWIT_ADDRESS_SIZE 24

struct godwit_info {
	char address[GODWIT_ADDRESS_SIZE]; /* of the node that gave the map, "10.77.0.2:7700" */
	uint32_t map_version;
	uint32_t partition_count;
	uint32_t node_count;
	uint32_t worker_count;    /* of that node */
	size_t value_size_max;    /* bytes of the largest value that can be read */
	size_t datagram_size_max; /* bytes of UDP payload; holds a key, its value and 44 more */
	uint64_t boot_id;         /* of that node; another one after a restart */
};

/* What the handle learned of its cluster; sends nothing. GODWIT_NO_SERVER before the first map. */
GODWIT_API enum godwit_status godwit_info(const struct godwit *client, struct godwit_info *info);

struct godwit_node {
	char address[GODWIT_ADDRESS_SIZE];
	uint32_t worker_count;
	uint32_t partition_count; /* that it owns */
};

/* Node 'index' (0..node_count-1) of the map. GODWIT_INVALID_ARGUMENT when there is none. */
GODWIT_API enum godwit_status godwit_node(const struct godwit *client, uint32_t index,
					  struct godwit_node *node);

/* What happened since the handle was opened. */
struct godwit_stats {
	uint64_t datagrams_sent;
	uint64_t datagrams_received;
	uint64_t operations;      /* resolved, whatever the outcome */
	uint64_t retransmissions; /* datagrams sent again */
	uint64_t replies_ignored; /* duplicate, late, malformed or foreign datagrams */
	uint64_t sessions_opened;
	uint64_t sessions_lost; /* forgotten by the server, e.g. by its restart */
	uint64_t maps_fetched;
	uint64_t redirects; /* operations sent on to another node */
};
GODWIT_API void godwit_stats(const struct godwit *client, struct godwit_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
