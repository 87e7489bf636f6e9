/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests passed on between two nodes over real sockets of the loopback interface. */
#include "controlplane/admin_relay.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

#define LOOPBACK 0x7f000001u
#define WAIT_MS 10000u

static struct event_base *base;
static struct world world;

/* One node, and what its handlers saw. */
struct end {
	struct log log;
	struct bus_transport *transport;
	struct admin_relay *relay;
	struct node node;
	enum bus_refusal admission;
	uint32_t calls;
	char rest[32];
	json_int_t number;
	struct admin_reply *kept;
};

/* What came back. */
struct outcome {
	uint32_t calls;
	int status;
	json_t *body;
};

static void introduce(void *context, struct bus_peer *self)
{
	const struct end *end = context;

	*self = (struct bus_peer){ .id = end->node.id,
				   .generation = 7,
				   .control = end->node.control };
	strcpy(self->name, end->node.name);
}

static enum bus_refusal admit(void *context, const struct bus_open *open, char *detail)
{
	const struct end *end = context;

	(void)open;
	(void)detail;
	return end->admission;
}

static void on_datagram(void *context, const struct node_address *from, const uint8_t *bytes,
			size_t size)
{
	(void)context;
	(void)from;
	(void)bytes;
	(void)size;
}

/* ---- routes ---- */

static void handle_double(void *context, const struct admin_request *request,
			  struct admin_reply *reply)
{
	struct end *end = context;

	end->calls++;
	end->number = json_integer_value(json_object_get(request->body, "n"));
	reply->status = 202;
	reply->json = json_pack("{sI}", "n", 2 * end->number);
}

static void handle_rest(void *context, const struct admin_request *request,
			struct admin_reply *reply)
{
	struct end *end = context;

	end->calls++;
	snprintf(end->rest, sizeof(end->rest), "%s", request->rest);
	admin_reply_error(reply, 409, "partition %s is busy", request->rest);
}

static void handle_later(void *context, const struct admin_request *request,
			 struct admin_reply *reply)
{
	struct end *end = context;

	(void)request;
	end->calls++;
	end->kept = reply;
	reply->is_deferred = true;
}

static const struct admin_route routes[] = {
	{ ADMIN_POST, "/double", handle_double },
	{ ADMIN_DELETE, "/rest/*", handle_rest },
	{ ADMIN_GET, "/later", handle_later },
	{ ADMIN_GET, NULL, NULL },
};

/* ---- the frame of a test ---- */

static void end_init(struct end *end, uint64_t id)
{
	struct bus_transport_options options = { .base = base,
						 .world = &world,
						 .log = &end->log,
						 .cluster_name = "c",
						 .listen_ipv4 = LOOPBACK,
						 .introduce = introduce,
						 .admit = admit,
						 .datagram = on_datagram,
						 .context = end };
	char error[256];

	memset(end, 0, sizeof(*end));
	end->node.id = id;
	snprintf(end->node.name, sizeof(end->node.name), "n%u", (unsigned)id);
	end->log = (struct log){ stderr, LOG_LEVEL_ERROR, &world };
	CU_ASSERT_EQUAL_FATAL(bus_transport_create(&end->transport, &options, error, sizeof(error)),
			      0);
	end->node.control = node_address_ipv4(LOOPBACK, bus_transport_port(end->transport));
	CU_ASSERT_EQUAL_FATAL(
		admin_relay_create(&end->relay, &(struct admin_relay_options){ base, end->transport,
									       routes, end }),
		0);
}

static void end_fini(struct end *end)
{
	admin_relay_destroy(end->relay);
	bus_transport_destroy(end->transport);
}

static void on_done(void *context, int status, const json_t *body)
{
	struct outcome *outcome = context;

	outcome->calls++;
	outcome->status = status;
	outcome->body = json_deep_copy(body);
}

static void outcome_fini(struct outcome *outcome)
{
	json_decref(outcome->body);
	memset(outcome, 0, sizeof(*outcome));
}

static const char *message(const struct outcome *outcome)
{
	const char *text = json_string_value(
		json_object_get(json_object_get(outcome->body, "error"), "message"));

	return text ? text : "";
}

/* Until '*count' is at least 1. */
static bool run_until(const uint32_t *count)
{
	uint64_t until_ms = world_now_ms(&world) + WAIT_MS;

	while (*count == 0) {
		const struct timeval slice = { 0, 10000 };

		if (world_now_ms(&world) > until_ms)
			return false;
		event_base_loopexit(base, &slice);
		event_base_loop(base, EVLOOP_ONCE);
	}
	return true;
}

/* ---- tests ---- */

static void a_request_is_answered_by_another_node(void)
{
	struct outcome outcome = { 0 };
	json_t *body = json_pack("{si}", "n", 21);
	struct end a, b;

	end_init(&a, 1);
	end_init(&b, 2);
	admin_relay_ask(a.relay, &b.node, ADMIN_POST, "/double", body, on_done, &outcome);
	CU_ASSERT_TRUE(run_until(&outcome.calls));
	CU_ASSERT_EQUAL(outcome.status, 202);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(outcome.body, "n")), 42);
	CU_ASSERT_EQUAL(a.calls, 0);
	CU_ASSERT_EQUAL(b.calls, 1);
	CU_ASSERT_EQUAL(outcome.calls, 1);
	outcome_fini(&outcome);
	json_decref(body);
	end_fini(&a);
	end_fini(&b);
}

static void an_error_comes_back_as_it_was_made(void)
{
	struct outcome outcome = { 0 };
	struct end a, b;

	end_init(&a, 1);
	end_init(&b, 2);
	admin_relay_ask(a.relay, &b.node, ADMIN_DELETE, "/rest/17", NULL, on_done, &outcome);
	CU_ASSERT_TRUE(run_until(&outcome.calls));
	CU_ASSERT_EQUAL(outcome.status, 409);
	CU_ASSERT_STRING_EQUAL(message(&outcome), "partition 17 is busy");
	CU_ASSERT_STRING_EQUAL(b.rest, "17");
	outcome_fini(&outcome);
	admin_relay_ask(a.relay, &b.node, ADMIN_GET, "/rest/17", NULL, on_done, &outcome);
	CU_ASSERT_TRUE(run_until(&outcome.calls));
	CU_ASSERT_EQUAL(outcome.status, 501);
	outcome_fini(&outcome);
	end_fini(&a);
	end_fini(&b);
}

static void an_answer_may_be_deferred_there(void)
{
	struct outcome outcome = { 0 };
	struct end a, b;

	end_init(&a, 1);
	end_init(&b, 2);
	admin_relay_ask(a.relay, &b.node, ADMIN_GET, "/later", NULL, on_done, &outcome);
	CU_ASSERT_TRUE_FATAL(run_until(&b.calls));
	CU_ASSERT_EQUAL(outcome.calls, 0);
	b.kept->json = json_pack("{sb}", "late", true);
	admin_reply_finish(b.kept);
	CU_ASSERT_TRUE(run_until(&outcome.calls));
	CU_ASSERT_EQUAL(outcome.status, 200);
	CU_ASSERT_TRUE(json_is_true(json_object_get(outcome.body, "late")));
	outcome_fini(&outcome);
	end_fini(&a);
	end_fini(&b);
}

static void a_node_that_is_not_there_is_named(void)
{
	struct outcome outcome = { 0 };
	struct node gone;
	struct end a, b;

	end_init(&a, 1);
	end_init(&b, 2);
	gone = b.node;
	end_fini(&b);
	admin_relay_ask(a.relay, &gone, ADMIN_GET, "/later", NULL, on_done, &outcome);
	CU_ASSERT_TRUE(run_until(&outcome.calls));
	CU_ASSERT_EQUAL(outcome.status, 503);
	CU_ASSERT_PTR_NOT_NULL(strstr(message(&outcome), "n2 cannot be asked: "));
	outcome_fini(&outcome);
	end_fini(&a);
}

static void a_node_that_refuses_is_named(void)
{
	struct outcome outcome = { 0 };
	struct end a, b;

	end_init(&a, 1);
	end_init(&b, 2);
	b.admission = BUS_REFUSED_NOT_MEMBER;
	admin_relay_ask(a.relay, &b.node, ADMIN_GET, "/later", NULL, on_done, &outcome);
	CU_ASSERT_TRUE(run_until(&outcome.calls));
	CU_ASSERT_EQUAL(outcome.status, 503);
	CU_ASSERT_PTR_NOT_NULL(strstr(message(&outcome), "n2 cannot be asked: "));
	CU_ASSERT_EQUAL(b.calls, 0);
	outcome_fini(&outcome);
	end_fini(&a);
	end_fini(&b);
}

static void silence_is_told_apart_from_refusal(void)
{
	struct outcome outcome = { 0 };
	struct end a, b;
	uint64_t before_ms;

	end_init(&a, 1);
	end_init(&b, 2);
	before_ms = world_now_ms(&world);
	admin_relay_ask(a.relay, &b.node, ADMIN_GET, "/later", NULL, on_done, &outcome);
	CU_ASSERT_TRUE(run_until(&outcome.calls));
	CU_ASSERT(world_now_ms(&world) - before_ms >= ADMIN_RELAY_MS - 10);
	CU_ASSERT_EQUAL(outcome.status, 504);
	CU_ASSERT_PTR_NOT_NULL(strstr(message(&outcome), "n2 has been asked, and gave no answer"));
	/* what was made too late is dropped */
	b.kept->json = json_object();
	admin_reply_finish(b.kept);
	CU_ASSERT_EQUAL(outcome.calls, 1);
	outcome_fini(&outcome);
	end_fini(&a);
	end_fini(&b);
}

static void a_relay_that_ends_tells_who_waits(void)
{
	struct outcome outcome = { 0 };
	struct end a, b;

	end_init(&a, 1);
	end_init(&b, 2);
	admin_relay_ask(a.relay, &b.node, ADMIN_GET, "/later", NULL, on_done, &outcome);
	CU_ASSERT_TRUE_FATAL(run_until(&b.calls));
	end_fini(&a);
	CU_ASSERT_EQUAL(outcome.calls, 1);
	CU_ASSERT_EQUAL(outcome.status, 504);
	end_fini(&b);
	/* a handler may come late even for its own relay */
	b.kept->json = json_object();
	admin_reply_finish(b.kept);
	outcome_fini(&outcome);
}

static void requests_at_once_are_bounded(void)
{
	struct outcome outcomes[ADMIN_RELAY_COUNT_MAX + 1] = { 0 };
	struct end a, b;

	end_init(&a, 1);
	end_init(&b, 2);
	for (uint32_t i = 0; i <= ADMIN_RELAY_COUNT_MAX; i++)
		admin_relay_ask(a.relay, &b.node, ADMIN_POST, "/double", NULL, on_done,
				&outcomes[i]);
	CU_ASSERT_EQUAL(outcomes[ADMIN_RELAY_COUNT_MAX].status, 503);
	CU_ASSERT_STRING_EQUAL(message(&outcomes[ADMIN_RELAY_COUNT_MAX]),
			       "too many requests are under way: try again");
	for (uint32_t i = 0; i <= ADMIN_RELAY_COUNT_MAX; i++) {
		CU_ASSERT_TRUE(run_until(&outcomes[i].calls));
		outcome_fini(&outcomes[i]);
	}
	/* and those that are over make room */
	admin_relay_ask(a.relay, &b.node, ADMIN_POST, "/double", NULL, on_done, &outcomes[0]);
	CU_ASSERT_TRUE(run_until(&outcomes[0].calls));
	CU_ASSERT_PTR_NULL(strstr(message(&outcomes[0]), "too many requests"));
	outcome_fini(&outcomes[0]);
	end_fini(&a);
	end_fini(&b);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(a_request_is_answered_by_another_node),
		UNIT_TEST(an_error_comes_back_as_it_was_made),
		UNIT_TEST(an_answer_may_be_deferred_there),
		UNIT_TEST(a_node_that_is_not_there_is_named),
		UNIT_TEST(a_node_that_refuses_is_named),
		UNIT_TEST(silence_is_told_apart_from_refusal),
		UNIT_TEST(a_relay_that_ends_tells_who_waits),
		UNIT_TEST(requests_at_once_are_bounded),
		{ NULL, NULL },
	};
	int result;

	world_os_init(&world);
	base = event_base_new();
	result = unit_run("admin_relay", tests);
	event_base_free(base);
	return result;
}
