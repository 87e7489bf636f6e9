/* SPDX-License-Identifier: BSD-3-Clause */
/* Ports of each kind that a test machine can have: what they carry, and how they refuse. */
#include <net/if.h>
#include <rte_ether.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "dataplane/port.h"
#include "tests/unit/unit.h"

#define ERROR_SIZE 256u

static struct port_options memif_options(bool server)
{
	struct port_options options = { .kind = PORT_MEMIF, .memif_server = server };

	options.ipv4 = server ? 0x0a630001 : 0x0a630002;
	options.ipv4_prefix = 24;
	snprintf(options.device, sizeof(options.device), "/tmp/unit-port-%d.sock", (int)getpid());
	return options;
}

static struct port *open_port(const struct port_options *options, const char *name, uint16_t queues)
{
	struct port_needs needs = {
		.name = name, .queues = queues, .mbuf_private_size = 64, .mbufs_held = 256
	};
	struct port *port = NULL;
	char error[ERROR_SIZE] = "";

	if (port_open(&port, options, &needs, error, sizeof(error)) < 0) {
		printf("port_open: %s\n", error);
		return NULL;
	}
	return port;
}

static bool wait_for_links(const struct port *a, const struct port *b, int queues)
{
	for (int i = 0; i < 500 && port_links_up(a) + port_links_up(b) < 2 * queues; i++)
		usleep(10000);
	return port_links_up(a) == queues && port_links_up(b) == queues;
}

/* Sends one frame of 'size' bytes of 'fill' and checks that it arrives whole on the same queue of
 * the other side.
 */
static void check_frame_crosses(struct port *from, struct port *to, uint16_t queue, uint16_t size,
				uint8_t fill)
{
	struct rte_mbuf *sent = rte_pktmbuf_alloc(from->pool);
	struct rte_mbuf *received = NULL;
	uint8_t expected[2048];

	CU_ASSERT_PTR_NOT_NULL_FATAL(sent);
	/* a memif client gives the server buffers when it first polls */
	CU_ASSERT_EQUAL(port_receive(to, queue, &received, 1), 0);
	memset(rte_pktmbuf_append(sent, size), fill, size);
	memset(expected, fill, size);
	CU_ASSERT_EQUAL_FATAL(port_transmit(from, queue, &sent, 1), 1);
	for (int i = 0; i < 1000 && !received; i++) {
		if (port_receive(to, queue, &received, 1) == 0)
			usleep(100);
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(received);
	CU_ASSERT_EQUAL(received->pkt_len, size);
	CU_ASSERT_EQUAL(memcmp(rte_pktmbuf_mtod(received, void *), expected, size), 0);
	rte_pktmbuf_free(received);
}

static void memif_carries_frames_on_each_queue(void)
{
	struct port_options server_options = memif_options(true);
	struct port_options client_options = memif_options(false);
	struct port *server = open_port(&server_options, "ps", 2);
	struct port *client = open_port(&client_options, "pc", 2);

	CU_ASSERT_PTR_NOT_NULL_FATAL(server);
	CU_ASSERT_PTR_NOT_NULL_FATAL(client);
	CU_ASSERT_EQUAL(server->queues, 2);
	CU_ASSERT_EQUAL(server->mtu, 1500);
	CU_ASSERT_EQUAL(rte_pktmbuf_priv_size(server->pool), 64);
	CU_ASSERT_EQUAL(memcmp(server->mac, "\x02\x47\x0a\x63\x00\x01", 6), 0);
	CU_ASSERT_FALSE(server->rx_partial_checksums);
	CU_ASSERT_TRUE_FATAL(wait_for_links(server, client, 2));
	for (uint16_t queue = 0; queue < 2; queue++) {
		check_frame_crosses(client, server, queue, 60, (uint8_t)(0x10 + queue));
		check_frame_crosses(server, client, queue, 1514, (uint8_t)(0x20 + queue));
	}
	port_close(client);
	port_close(server);
	port_close(NULL);
}

static void memif_server_replaces_a_stale_socket_only(void)
{
	struct port_options options = memif_options(true);
	struct port_needs needs = { .name = "ps", .queues = 1 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char error[ERROR_SIZE] = "";
	struct port *port = NULL;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	memcpy(address.sun_path, options.device, sizeof(address.sun_path));
	unlink(options.device);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	CU_ASSERT_EQUAL_FATAL(listen(fd, 1), 0);
	CU_ASSERT_EQUAL(port_open(&port, &options, &needs, error, sizeof(error)), -EADDRINUSE);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "another process serves memif"));
	close(fd);
	CU_ASSERT_EQUAL(access(options.device, F_OK), 0);
	port = open_port(&options, "ps", 1);
	CU_ASSERT_PTR_NOT_NULL(port);
	port_close(port);
}

static void a_name_is_used_once_in_a_process(void)
{
	struct port_options options = memif_options(true);
	struct port_needs needs = { .name = "ps", .queues = 1 };
	char error[ERROR_SIZE] = "";
	struct port *second = NULL;
	struct port *first = open_port(&options, "ps", 1);

	CU_ASSERT_PTR_NOT_NULL_FATAL(first);
	strcat(options.device, "2");
	CU_ASSERT_EQUAL(port_open(&second, &options, &needs, error, sizeof(error)), -EEXIST);
	CU_ASSERT_PTR_NULL(second);
	port_close(first);
}

static void tap_creates_its_interface(void)
{
	struct port_options options = { .kind = PORT_TAP,
					.ipv4 = 0x0a630101,
					.host_ipv4 = 0x0a630102,
					.ipv4_prefix = 24,
					.mtu = 1400 };
	struct port_needs needs = { .name = "pt", .queues = 2 };
	char error[ERROR_SIZE] = "";
	struct port *second = NULL;
	struct port *port;

	if (geteuid() != 0 || access("/dev/net/tun", F_OK) != 0) {
		CU_PASS("no tap interfaces here");
		return;
	}
	snprintf(options.device, sizeof(options.device), "dct%d", (int)getpid() % 100000);
	port = open_port(&options, "pt", 2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(port);
	CU_ASSERT_EQUAL(port->queues, 2);
	CU_ASSERT_EQUAL(port->mtu, 1400);
	CU_ASSERT_EQUAL(memcmp(port->mac, "\x02\x47\x0a\x63\x01\x01", 6), 0);
	CU_ASSERT_NOT_EQUAL(if_nametoindex(options.device), 0);
	CU_ASSERT_EQUAL(port_open(&second, &options, &needs, error, sizeof(error)), -EEXIST);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "exists already"));
	port_close(port);
	CU_ASSERT_EQUAL(if_nametoindex(options.device), 0);
}

/* Each side polls its own queues; those the other side does not have are silent, whatever crosses the others. */
static void memif_sides_may_have_different_queues(void)
{
	struct port_options server_options = memif_options(true);
	struct port_options client_options = memif_options(false);
	struct port *server = open_port(&server_options, "ps", 3);
	struct port *client = open_port(&client_options, "pc", 1);
	struct rte_mbuf *mbuf;

	CU_ASSERT_PTR_NOT_NULL_FATAL(server);
	CU_ASSERT_PTR_NOT_NULL_FATAL(client);
	CU_ASSERT_TRUE(server->answers_by_same_queue);
	for (int i = 0; i < 500 && port_links_up(server) + port_links_up(client) < 2; i++)
		usleep(10000);
	CU_ASSERT_EQUAL(port_links_up(server), 1);
	CU_ASSERT_EQUAL(port_links_up(client), 1);
	for (int round = 0; round < 20; round++) {
		check_frame_crosses(client, server, 0, 100, (uint8_t)round);
		CU_ASSERT_EQUAL(port_receive(server, 1, &mbuf, 1), 0);
		CU_ASSERT_EQUAL(port_receive(server, 2, &mbuf, 1), 0);
		check_frame_crosses(server, client, 0, 100, (uint8_t)round);
	}
	mbuf = rte_pktmbuf_alloc(server->pool);
	rte_pktmbuf_append(mbuf, 100);
	CU_ASSERT_EQUAL(port_transmit(server, 1, &mbuf, 1), 0);
	rte_pktmbuf_free(mbuf);
	port_close(server);
	port_close(client);
}

static void what_cannot_be_opened_is_said_in_one_line(void)
{
	static const struct {
		enum port_kind kind;
		const char *device;
		uint16_t mtu;
		const char *error;
	} cases[] = {
		{ PORT_AF_PACKET, "dc-nothing", 0, "no network interface 'dc-nothing'" },
		{ PORT_AF_XDP, "dc-nothing", 0, "no network interface 'dc-nothing'" },
		{ PORT_TAP, "a-name-of-sixteen", 0, "too long" },
		{ PORT_PCI, "ffff:ff:1f.7", 0, "no PCI device ffff:ff:1f.7" },
		{ PORT_MEMIF, NULL, 9000, "cannot carry an MTU of 9000" },
		{ PORT_MEMIF, NULL, 100, "too small" },
		{ PORT_MEMIF, "/dev/null", 0, "is no socket" },
		{ PORT_MEMIF, "/nonexistent/memif", 0, "there is no such folder; create it" },
		{ PORT_MEMIF, "/dev/null/memif", 0, "there is no such folder; create it" },
		{ PORT_MEMIF, "/sys/memif", 0, "choose a path in a folder this user may write" },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct port_options options = { .kind = cases[i].kind,
						.mtu = cases[i].mtu,
						.memif_server = true };
		struct port_needs needs = { .name = "px", .queues = 1 };
		struct port *port = NULL;
		char error[ERROR_SIZE] = "";

		if (cases[i].device)
			snprintf(options.device, sizeof(options.device), "%s", cases[i].device);
		else
			options = memif_options(true), options.mtu = cases[i].mtu;
		CU_ASSERT_TRUE(port_open(&port, &options, &needs, error, sizeof(error)) < 0);
		CU_ASSERT_PTR_NULL(port);
		CU_ASSERT_PTR_NOT_NULL(strstr(error, cases[i].error));
		CU_ASSERT_PTR_NULL(strchr(error, '\n'));
		if (!strstr(error, cases[i].error))
			printf("case %zu: %s\n", i, error);
	}
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(memif_carries_frames_on_each_queue),
		UNIT_TEST(memif_sides_may_have_different_queues),
		UNIT_TEST(memif_server_replaces_a_stale_socket_only),
		UNIT_TEST(a_name_is_used_once_in_a_process),
		UNIT_TEST(tap_creates_its_interface),
		UNIT_TEST(what_cannot_be_opened_is_said_in_one_line),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("port", tests);
}
