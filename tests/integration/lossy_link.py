# SPDX-License-Identifier: BSD-3-Clause
"""A bad cable between two interfaces: loses, doubles and delays frames, so that they overtake each other. Usage: lossy_link.py
DEVICE DEVICE LOSS DOUBLE DELAY, three shares of 1; runs until SIGTERM, then prints what it did. ARP passes unharmed."""

import heapq
import random
import select
import signal
import socket
import sys
import time

ARP = b"\x08\x06"
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
DELAY_S_MAX = 0.03


def open_device(name):
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    raw.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    raw.setsockopt(socket.SOL_SOCKET, 33, 1 << 23)  # SO_RCVBUFFORCE
    raw.bind((name, 0))
    raw.setblocking(False)
    return raw


class Cable:
    def __init__(self, devices, loss, double, delay):
        self.ends = [open_device(name) for name in devices]
        self.loss, self.double, self.delay = loss, double, delay
        self.rng = random.Random(7)
        self.late = []  # heap of (when, number, end, frame)
        self.count = {"frames": 0, "lost": 0, "doubled": 0, "delayed": 0}

    def take(self, end, frame):
        """A frame came in at one end."""
        self.count["frames"] += 1
        copies = 1
        if frame[12:14] != ARP:
            if self.rng.random() < self.loss:
                self.count["lost"] += 1
                return
            if self.rng.random() < self.double:
                self.count["doubled"] += 1
                copies = 2
        for _ in range(copies):
            if frame[12:14] != ARP and self.rng.random() < self.delay:
                self.count["delayed"] += 1
                when = time.monotonic() + self.rng.random() * DELAY_S_MAX
                heapq.heappush(self.late, (when, self.count["delayed"], 1 - end, frame))
            else:
                self.put(1 - end, frame)

    def put(self, end, frame):
        try:
            self.ends[end].send(frame)
        except OSError:
            self.count["lost"] += 1  # a full queue

    def turn(self):
        pause = max(0, min(0.1, self.late[0][0] - time.monotonic())) if self.late else 0.1
        readable, _, _ = select.select(self.ends, [], [], pause)
        for raw in readable:
            for _ in range(64):
                try:
                    self.take(self.ends.index(raw), raw.recv(65536))
                except BlockingIOError:
                    break
        while self.late and self.late[0][0] <= time.monotonic():
            _, _, end, frame = heapq.heappop(self.late)
            self.put(end, frame)


def main():
    cable = Cable(sys.argv[1:3], *map(float, sys.argv[3:6]))
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    print("ready", flush=True)
    while not stopped:
        cable.turn()
    print(" ".join(f"{name}={number}" for name, number in cable.count.items()), flush=True)


main()
