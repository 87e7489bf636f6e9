/* SPDX-License-Identifier: BSD-3-Clause */
/* Device names and arguments by kind. */
#include "dataplane/port_device.h"

#include <errno.h>
#include <limits.h>
#include <rte_eal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "dataplane/port_kernel.h"
#include "dataplane/port_xdp.h"

/* Where a description is built, and where it complains. */
struct describe {
	struct port_device *device;
	const struct port_options *options;
	const struct port_needs *needs;
	const struct failure *failure;
};

__attribute__((format(printf, 2, 3))) static void set_args(const struct describe *d,
							   const char *format, ...)
{
	char *at = d->device->args;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(at, sizeof(d->device->args), format, args);
	va_end(args);
	if (d->options->device_args[0] != '\0' && n >= 0 && (size_t)n < sizeof(d->device->args))
		snprintf(at + n, sizeof(d->device->args) - (size_t)n, ",%s",
			 d->options->device_args);
}

static void set_name(const struct describe *d, const char *driver)
{
	d->device->bus = "vdev";
	snprintf(d->device->name, sizeof(d->device->name), "%s_%s", driver, d->needs->name);
}

/* DPDK 22.11 copies the descriptors of a tap's queues, both ways, into a message with room for 8, and
 * does not count them.
 */
#define TAP_QUEUES_MAX (RTE_MP_MAX_FD_NUM / 2)

static int describe_tap(const struct describe *d)
{
	const char *name = d->options->device;
	int result;

	if (strlen(name) >= 16)
		return failure_set(d->failure, -EINVAL,
				   "interface name '%s' is too long: 15 characters at most", name);
	if (port_kernel_has_interface(name))
		return failure_set(d->failure, -EEXIST,
				   "interface %s exists already: remove it (ip link delete %s) or "
				   "choose another name",
				   name, name);
	result = port_kernel_check_tap();
	if (result == -ENOENT || result == -ENODEV)
		return failure_set(
			d->failure, result,
			"this kernel offers no /dev/net/tun: load it with 'modprobe tun'");
	if (result < 0)
		return failure_set(
			d->failure, result,
			"cannot create a tap interface (%s): run as root or with CAP_NET_ADMIN",
			strerror(-result));
	d->device->queues_max = TAP_QUEUES_MAX;
	set_name(d, "net_tap");
	set_args(d, "iface=%s", name);
	return 0;
}

/* What af_packet and af_xdp need: an interface and the privilege to open a packet socket on it. */
static int check_interface(const struct describe *d)
{
	const char *name = d->options->device;
	int result = port_kernel_check_packet_socket();
	int mtu;

	if (result < 0)
		return failure_set(
			d->failure, result,
			"cannot open a packet socket (%s): run as root or with CAP_NET_RAW",
			strerror(-result));
	mtu = port_kernel_mtu(name);
	if (mtu < 0)
		return failure_set(d->failure, mtu,
				   "no network interface '%s': 'ip link' lists those there are",
				   name);
	d->device->mtu = (uint16_t)RTE_MIN((unsigned)mtu, PORT_MTU_MAX);
	d->device->has_mac = true;
	d->device->rx_partial_checksums = true;
	return 0;
}

static int describe_af_packet(const struct describe *d)
{
	int result = check_interface(d);

	if (result < 0)
		return result;
	set_name(d, "net_af_packet");
	set_args(d, "iface=%s,qpairs=%u,qdisc_bypass=1", d->options->device, d->needs->queues);
	return 0;
}

/* What a queue that is not taken receives would go to the kernel. Workers without a queue are handed
 * their packets.
 */
static int describe_af_xdp(const struct describe *d)
{
	const char *name = d->options->device;
	struct port_kernel_queues queues;
	int result = check_interface(d);
	uint32_t taken;

	if (result < 0)
		return result;
	queues = port_kernel_queues(name);
	taken = queues.combined == 0 ? 1 : RTE_MIN(queues.combined, d->needs->queues);
	if (queues.combined + queues.receive > taken)
		return failure_set(d->failure, -EINVAL,
				   "interface %s receives on %u queues, of which %u would be "
				   "served: run 'ethtool -L %s %s %u'",
				   name, queues.combined + queues.receive, taken, name,
				   queues.combined == 0 ? "tx 1 rx" : "combined", taken);
	port_xdp_catch_log();
	set_name(d, "net_af_xdp");
	set_args(d, "iface=%s,start_queue=0,queue_count=%u", name, taken);
	return 0;
}

/* Removes a socket file nobody listens on, as a killed server leaves it; refuses one in use. Asks with
 * a socket of another type: a live server shows as EPROTOTYPE and sees no connection. One that came
 * and went at once would make DPDK's memif panic in that server (its interrupt thread waits on a
 * descriptor closed meanwhile).
 */
static int clear_socket(const struct describe *d, const struct sockaddr_un *address)
{
	struct stat stat;
	int result = 0;
	int fd;

	if (lstat(address->sun_path, &stat) < 0)
		return 0;
	if (!S_ISSOCK(stat.st_mode))
		return failure_set(d->failure, -EEXIST,
				   "%s exists and is no socket: choose another path",
				   address->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return failure_set(d->failure, -errno, "cannot open a socket: %s", strerror(errno));
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
	    errno == EPROTOTYPE)
		result = failure_set(
			d->failure, -EADDRINUSE,
			"another process serves memif on %s: stop it or choose another path",
			address->sun_path);
	else if (errno == ECONNREFUSED && unlink(address->sun_path) < 0)
		result = failure_set(d->failure, -errno, "cannot remove the stale socket %s: %s",
				     address->sun_path, strerror(errno));
	close(fd);
	return result;
}

/* Whether the server will be able to create its socket, by doing so: DPDK would only say "invalid
 * argument".
 */
static int try_socket(const struct describe *d, const struct sockaddr_un *address)
{
	int result = 0;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return failure_set(d->failure, -errno, "cannot open a socket: %s", strerror(errno));
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
		unlink(address->sun_path);
	else if (errno == ENOENT || errno == ENOTDIR)
		result = failure_set(d->failure, -errno,
				     "cannot create memif socket %s: there is no such folder; "
				     "create it or choose another path",
				     address->sun_path);
	else
		result = failure_set(d->failure, -errno,
				     "cannot create memif socket %s (%s): choose a path in a "
				     "folder this user may write to",
				     address->sun_path, strerror(errno));
	close(fd);
	return result;
}

/* The exponent of the largest power of two that is no more than 'size'. */
static unsigned log2_floor(unsigned size)
{
	return 31u - (unsigned)__builtin_clz(size);
}

static int describe_memif(const struct describe *d)
{
	const char *path = d->options->device;
	unsigned ring = d->options->ring_size ? d->options->ring_size : PORT_RING_SIZE_DEFAULT;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int result;

	if (strlen(path) >= sizeof(address.sun_path))
		return failure_set(d->failure, -ENAMETOOLONG,
				   "memif socket path '%s' is too long: %zu characters at most",
				   path, sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (d->options->memif_server) {
		result = clear_socket(d, &address);
		if (result == 0)
			result = try_socket(d, &address);
		if (result < 0)
			return result;
	}
	set_name(d, "net_memif");
	d->device->is_per_queue = true;
	set_args(d, "role=%s,socket=%s,socket-abstract=no,rsize=%u",
		 d->options->memif_server ? "server" : "client", path, log2_floor(ring));
	return 0;
}

/* The kernel driver a PCI device is bound to, "" = none. */
static void pci_driver(const char *address, char *driver, size_t driver_size)
{
	char path[PATH_MAX];
	char target[PATH_MAX];
	const char *last;
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", address);
	n = readlink(path, target, sizeof(target) - 1);
	target[n < 0 ? 0 : n] = '\0';
	last = strrchr(target, '/');
	snprintf(driver, driver_size, "%s", last ? last + 1 : "");
}

static int describe_pci(const struct describe *d)
{
	const char *address = d->options->device;
	char path[PATH_MAX];
	char driver[64];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", address);
	if (access(path, F_OK) < 0)
		return failure_set(d->failure, -ENODEV,
				   "no PCI device %s: 'dpdk-devbind.py --status' lists those there "
				   "are (form 0000:01:00.0)",
				   address);
	pci_driver(address, driver, sizeof(driver));
	/* mlx drivers share the NIC with the kernel; every other one must have let go of it */
	if (strncmp(driver, "vfio-", 5) != 0 && strncmp(driver, "uio_", 4) != 0 &&
	    strcmp(driver, "igb_uio") != 0 && strncmp(driver, "mlx", 3) != 0)
		return failure_set(d->failure, -EBUSY,
				   "PCI device %s is bound to '%s': bind it to vfio-pci with "
				   "'scripts/godwit-setup bind %s'",
				   address, driver[0] ? driver : "no driver", address);
	d->device->bus = "pci";
	d->device->has_mac = true;
	snprintf(d->device->name, sizeof(d->device->name), "%s", address);
	snprintf(d->device->args, sizeof(d->device->args), "%s", d->options->device_args);
	return 0;
}

int port_device_describe(struct port_device *device, const struct port_options *options,
			 const struct port_needs *needs, const struct failure *failure)
{
	static int (*const describe_kind[])(const struct describe *) = {
		[PORT_TAP] = describe_tap,       [PORT_AF_PACKET] = describe_af_packet,
		[PORT_AF_XDP] = describe_af_xdp, [PORT_MEMIF] = describe_memif,
		[PORT_PCI] = describe_pci,
	};
	struct describe describe = { device, options, needs, failure };

	memset(device, 0, sizeof(*device));
	return describe_kind[options->kind](&describe);
}
