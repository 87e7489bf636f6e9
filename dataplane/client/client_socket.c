/* SPDX-License-Identifier: BSD-3-Clause */
/* sendmmsg and recvmmsg over one non-blocking UDP socket. */
#include "dataplane/client/client_socket.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Fragments are of no use, a Godwit node drops them: the kernel shall refuse too long datagrams. */
static int configure(int fd, const struct client_address *local, uint32_t buffer_bytes)
{
	int bytes = buffer_bytes > INT32_MAX ? INT32_MAX : (int)buffer_bytes;
	int discover = IP_PMTUDISC_DO;
	struct sockaddr_in name;

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &discover, sizeof(discover)) < 0)
		return -1;
	if (!local)
		return 0;
	client_address_to_socket(*local, &name);
	return bind(fd, (const struct sockaddr *)&name, sizeof(name));
}

enum godwit_status client_socket_open(struct client_socket *sock,
				      const struct client_address *local, uint32_t buffer_bytes)
{
	*sock = (struct client_socket){ .fd = -1 };
	sock->buffers = malloc((size_t)CLIENT_SOCKET_BURST * CLIENT_DATAGRAM_SIZE_MAX);
	if (!sock->buffers)
		return GODWIT_NO_MEMORY;
	sock->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (sock->fd < 0 || configure(sock->fd, local, buffer_bytes) < 0) {
		int error = errno;

		client_socket_close(sock);
		errno = error;
		return GODWIT_SYSTEM_ERROR;
	}
	return GODWIT_OK;
}

void client_socket_close(struct client_socket *sock)
{
	if (sock->buffers && sock->fd >= 0)
		close(sock->fd);
	free(sock->buffers);
	*sock = (struct client_socket){ .fd = -1 };
}

int client_socket_send(struct client_socket *sock, const struct client_datagram *datagrams,
		       size_t count)
{
	struct mmsghdr messages[CLIENT_SOCKET_BURST];
	struct sockaddr_in names[CLIENT_SOCKET_BURST];
	struct iovec vectors[CLIENT_SOCKET_BURST];
	int sent;

	if (count > CLIENT_SOCKET_BURST)
		count = CLIENT_SOCKET_BURST;
	for (size_t i = 0; i < count; i++) {
		client_address_to_socket(datagrams[i].address, &names[i]);
		vectors[i] =
			(struct iovec){ (void *)(uintptr_t)datagrams[i].bytes, datagrams[i].size };
		messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_name = &names[i],
							     .msg_namelen = sizeof(names[i]),
							     .msg_iov = &vectors[i],
							     .msg_iovlen = 1 } };
	}
	do
		sent = sendmmsg(sock->fd, messages, (unsigned int)count, 0);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

size_t client_socket_receive(struct client_socket *sock, struct client_datagram *datagrams)
{
	struct mmsghdr messages[CLIENT_SOCKET_BURST];
	struct sockaddr_in names[CLIENT_SOCKET_BURST];
	struct iovec vectors[CLIENT_SOCKET_BURST];
	int received;

	for (size_t i = 0; i < CLIENT_SOCKET_BURST; i++) {
		vectors[i] = (struct iovec){ sock->buffers + i * CLIENT_DATAGRAM_SIZE_MAX,
					     CLIENT_DATAGRAM_SIZE_MAX };
		messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_name = &names[i],
							     .msg_namelen = sizeof(names[i]),
							     .msg_iov = &vectors[i],
							     .msg_iovlen = 1 } };
	}
	received = recvmmsg(sock->fd, messages, CLIENT_SOCKET_BURST, MSG_DONTWAIT, NULL);
	for (int i = 0; i < received; i++) {
		bool is_cut = messages[i].msg_hdr.msg_flags & MSG_TRUNC;

		datagrams[i] = (struct client_datagram){ client_address_of_socket(&names[i]),
							 vectors[i].iov_base,
							 is_cut ? 0 : messages[i].msg_len };
	}
	return received < 0 ? 0 : (size_t)received;
}
