# SPDX-License-Identifier: BSD-3-Clause
"""Stops one thread of a process, as a debugger or a CPU that is taken away would. Usage: hold_thread.py PID NAME; holds the
first thread whose name starts with NAME until standard input ends."""

import ctypes
import os
import sys

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000


def thread_named(pid, name):
    for thread in sorted(os.listdir(f"/proc/{pid}/task"), key=int):
        with open(f"/proc/{pid}/task/{thread}/comm", encoding="ascii") as file:
            if file.read().startswith(name):
                return int(thread)
    raise SystemExit(f"no thread {name} in {pid}")


def ptrace(request, thread):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    if libc.ptrace(request, thread, None, None) != 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x}")


held = thread_named(int(sys.argv[1]), sys.argv[2])
ptrace(PTRACE_SEIZE, held)
ptrace(PTRACE_INTERRUPT, held)
os.waitpid(held, WALL)
print("holding", held, flush=True)
sys.stdin.read()
try:
    ptrace(PTRACE_DETACH, held)
except ProcessLookupError:
    pass  # the process ended meanwhile
