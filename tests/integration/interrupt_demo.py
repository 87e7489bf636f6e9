# SPDX-License-Identifier: BSD-3-Clause
"""Interrupts scripts/demo and tells what it left behind; run by test_demo.sh in namespaces of its own.

    interrupt_demo.py SECTION SECONDS INT|TERM one|all

Starts scripts/demo, waits until it prints the heading of its SECTIONth section ("== ..."), SECONDS more, then signals the
script alone or, as a terminal does, all of its process group. Prints one line for each thing that is wrong.
"""

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

HEADING_S_MAX = 60
END_S_MAX = 10


def processes():
    """Other processes of this PID namespace, by number and command."""
    found = {}
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            state = (path / "stat").read_text().rsplit(")", 1)[1].split()[0]
            command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if int(path.name) != os.getpid() and state != "Z":
            found[path.name] = command
    return found


def files(*folders):
    return {str(path) for folder in folders for path in pathlib.Path(folder).rglob("*")}


def interfaces():
    return set(os.listdir("/sys/class/net"))


def traces():
    """What a demo could leave: all of it is its own, for nobody else runs in these namespaces."""
    return {
        "file": files(os.environ["TMPDIR"], "/run/netns", "/run/dpdk", "/dev/hugepages", "/dev/shm"),
        "interface": interfaces(),
        "process": {f"{pid} {command}" for pid, command in processes().items()},
    }


class Demo:
    def __init__(self):
        self.lines = []
        self.process = subprocess.Popen(
            ["scripts/demo"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def headings(self):
        return sum("== " in line for line in self.lines)

    def wait_for_heading(self, section):
        end = time.monotonic() + HEADING_S_MAX
        while self.headings() < section and time.monotonic() < end and self.process.poll() is None:
            time.sleep(0.02)
        return self.headings() >= section and self.process.poll() is None

    def signal(self, number, whom):
        if whom == "all":
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    def wait(self):
        try:
            return self.process.wait(END_S_MAX)
        except subprocess.TimeoutExpired:
            return None


def main():
    section, seconds, number, whom = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3], sys.argv[4]
    wrong = []
    before = traces()
    demo = Demo()
    if not demo.wait_for_heading(section):
        wrong.append(f"it never came to section {section}")
    time.sleep(seconds)
    begin = time.monotonic()
    demo.signal(getattr(signal, "SIG" + number), whom)
    code = demo.wait()
    if code is None:
        wrong.append(f"it still ran {END_S_MAX} s later")
    elif code != 128 + getattr(signal, "SIG" + number):
        wrong.append(f"exit code {code}")
    print(f"section {section} + {seconds} s, SIG{number} to {whom}: ended after {time.monotonic() - begin:.1f} s")
    for kind, left in traces().items():
        wrong += [f"left behind: {kind} {name}" for name in sorted(left - before[kind])]
    if wrong:
        print("".join(demo.lines[-20:]))
    print("\n".join(wrong), end="\n" if wrong else "")
    sys.exit(bool(wrong))


main()
