/* SPDX-License-Identifier: BSD-3-Clause */
/* Network interface ioctls. */
#include "dataplane/port_kernel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

bool port_kernel_has_interface(const char *name)
{
	return if_nametoindex(name) != 0;
}

/* One ioctl on a throw-away socket. */
static int interface_ioctl(unsigned long request, struct ifreq *ifreq)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int result;

	if (fd < 0)
		return -errno;
	result = ioctl(fd, request, ifreq) < 0 ? -errno : 0;
	close(fd);
	return result;
}

static void interface_name(struct ifreq *ifreq, const char *name)
{
	memset(ifreq, 0, sizeof(*ifreq));
	snprintf(ifreq->ifr_name, sizeof(ifreq->ifr_name), "%s", name);
}

int port_kernel_mtu(const char *name)
{
	struct ifreq ifreq;
	int result;

	interface_name(&ifreq, name);
	result = interface_ioctl(SIOCGIFMTU, &ifreq);
	return result < 0 ? result : ifreq.ifr_mtu;
}

struct port_kernel_queues port_kernel_queues(const char *name)
{
	struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };
	struct ifreq ifreq;

	interface_name(&ifreq, name);
	ifreq.ifr_data = (char *)&channels;
	if (interface_ioctl(SIOCETHTOOL, &ifreq) < 0)
		return (struct port_kernel_queues){ .receive = 1 };
	return (struct port_kernel_queues){ channels.combined_count, channels.rx_count };
}

static int set_ipv4(unsigned long request, const char *name, uint32_t ipv4)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(ipv4) };
	struct ifreq ifreq;

	interface_name(&ifreq, name);
	memcpy(&ifreq.ifr_addr, &address, sizeof(address));
	return interface_ioctl(request, &ifreq);
}

static int bring_up(const char *name)
{
	struct ifreq ifreq;
	int result;

	interface_name(&ifreq, name);
	result = interface_ioctl(SIOCGIFFLAGS, &ifreq);
	if (result < 0)
		return result;
	ifreq.ifr_flags |= IFF_UP | IFF_RUNNING;
	return interface_ioctl(SIOCSIFFLAGS, &ifreq);
}

int port_kernel_set_address(const char *name, uint32_t ipv4, uint8_t prefix)
{
	uint32_t mask = prefix == 0 ? 0 : UINT32_MAX << (32 - prefix);
	int result = set_ipv4(SIOCSIFADDR, name, ipv4);

	if (result == 0)
		result = set_ipv4(SIOCSIFNETMASK, name, mask);
	if (result == 0)
		result = bring_up(name);
	return result;
}

int port_kernel_check_tap(void)
{
	struct ifreq ifreq;
	int result = 0;
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	interface_name(&ifreq, "");
	ifreq.ifr_flags = IFF_TAP | IFF_NO_PI;
	if (ioctl(fd, TUNSETIFF, &ifreq) < 0)
		result = -errno;
	close(fd);
	return result;
}

int port_kernel_check_packet_socket(void)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}
