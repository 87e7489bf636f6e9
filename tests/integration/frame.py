# SPDX-License-Identifier: BSD-3-Clause
"""Ethernet frames byte by byte: ARP, IPv4, ICMP and UDP, right ones and, by one's own hand, wrong ones."""

import socket
import struct

ETHERNET_SIZE, IPV4_SIZE, UDP_SIZE = 14, 20, 8
AT_IPV4, AT_L4, AT_PAYLOAD = 14, 34, 42
IPV4, ARP, VLAN, QINQ, IPV6 = 0x0800, 0x0806, 0x8100, 0x88a8, 0x86dd
ICMP, UDP = 1, 17
BROADCAST = b"\xff" * 6
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
SO_RCVBUFFORCE = 33


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def word(data, at):
    return int.from_bytes(data[at:at + 2], "big")


def checksum(data):
    """The Internet checksum of some bytes; 0 when they hold a right one."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def udp_checksum(packet, size):
    """The sum over the pseudo header and 'size' bytes of UDP of an IPv4 packet without options."""
    return checksum(packet[12:20] + struct.pack(">HH", UDP, size) + packet[20:20 + size])


def ethernet(payload, destination, source, ethertype=IPV4):
    return destination + source + struct.pack(">H", ethertype) + payload


def ipv4(payload, source, destination, protocol=UDP, ttl=64, fragment=0x4000, options=b"", tos=0):
    words = 5 + len(options) // 4
    header = bytearray(struct.pack(">BBHHHBBH4s4s", 0x40 | words, tos, 20 + len(options) + len(payload), 1, fragment, ttl,
                                   protocol, 0, socket.inet_aton(source), socket.inet_aton(destination)) + options)
    header[10:12] = checksum(bytes(header)).to_bytes(2, "big")
    return bytes(header) + payload


def udp(payload, source, destination, source_port, port, with_checksum=True):
    """An IPv4 packet with a UDP datagram."""
    size = 8 + len(payload)
    packet = bytearray(ipv4(struct.pack(">HHHH", source_port, port, size, 0) + payload, source, destination))
    if with_checksum:
        packet[26:28] = (udp_checksum(bytes(packet), size) or 0xffff).to_bytes(2, "big")
    return bytes(packet)


def icmp_echo(payload, source, destination, kind=8, code=0):
    """An IPv4 packet with an ICMP message."""
    message = bytearray(struct.pack(">BBHHH", kind, code, 0, 1, 1) + payload)
    message[2:4] = checksum(bytes(message)).to_bytes(2, "big")
    return ipv4(bytes(message), source, destination, protocol=ICMP)


def arp(operation, sender_mac, sender, target, hardware=1, protocol=IPV4, sizes=0x0604, target_mac=bytes(6)):
    return struct.pack(">HHHH6s4s6s4s", hardware, protocol, sizes, operation, sender_mac, socket.inet_aton(sender),
                       target_mac, socket.inet_aton(target))


def repaired(frame):
    """The frame with its checksums made right, as far as it has any."""
    if len(frame) < AT_L4 or word(frame, 12) != IPV4:
        return frame
    fixed = bytearray(frame)
    fixed[24:26] = b"\0\0"
    fixed[24:26] = checksum(bytes(fixed[14:34])).to_bytes(2, "big")
    end = AT_IPV4 + word(frame, 16)
    size = word(frame, 38) if len(frame) >= AT_PAYLOAD else 0
    if fixed[23] == UDP and UDP_SIZE <= size <= len(frame) - AT_L4:
        fixed[40:42] = b"\0\0"
        fixed[40:42] = (udp_checksum(bytes(fixed[AT_IPV4:]), size) or 0xffff).to_bytes(2, "big")
    elif fixed[23] == ICMP and AT_L4 + 8 <= end <= len(frame):
        fixed[36:38] = b"\0\0"
        fixed[36:38] = checksum(bytes(fixed[AT_L4:end])).to_bytes(2, "big")
    return bytes(fixed)


class Wire:
    """A raw socket on an interface: whole frames out, whole frames in."""

    def __init__(self, device):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)
        self.socket.bind((device, 0))
        with open(f"/sys/class/net/{device}/address", encoding="ascii") as file:
            self.mac = mac(file.read().strip())

    def send(self, frame):
        self.socket.send(frame)

    def receive(self, timeout):
        """The next frame, or None."""
        self.socket.settimeout(timeout)
        try:
            return self.socket.recv(65536)
        except (BlockingIOError, socket.timeout):
            return None

    def resolve(self, source, address, seconds=5):
        """Asks for the MAC of an address."""
        question = ethernet(arp(1, self.mac, source, address), BROADCAST, self.mac, ARP)
        for _ in range(seconds * 10):
            self.send(question)
            while (answer := self.receive(0.1)) is not None:
                if word(answer, 12) == ARP and word(answer, 20) == 2 and answer[28:32] == socket.inet_aton(address):
                    return answer[22:28]
        raise AssertionError(f"{address} does not answer ARP")
