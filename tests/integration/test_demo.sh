#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# An interrupted demo leaves nothing behind. It runs in namespaces of its own - processes, mounts, network - so that all there is
# at its end is its own; what is looked at is in interrupt_demo.py.
# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

# interrupt_demo SECTION SECONDS SIGNAL one|all
interrupt_demo() {
	mkdir "$WORK/tmp"
	# shellcheck disable=SC2016 # the inner shell expands them
	(cd "$TOP" && TMPDIR=$WORK/tmp BUILD=$BUILD unshare --mount --net --pid --fork --kill-child --mount-proc bash -euc '
		mkdir -p /run/netns /run/dpdk /dev/hugepages
		mount -t tmpfs tmpfs /run/netns
		mount -t tmpfs tmpfs /run/dpdk
		mount -t tmpfs tmpfs /dev/shm
		! grep -qw hugetlbfs /proc/filesystems || mount -t hugetlbfs hugetlbfs /dev/hugepages
		mount -t sysfs sysfs /sys
		ip link set lo up
		exec python3 tests/integration/interrupt_demo.py "$@"' - "$@") >"$WORK/output" 2>&1 ||
		fail "an interrupted demo ($*)"
}

test_terminated_at_its_start() {
	build_target examples
	interrupt_demo 1 0 TERM one
}

test_interrupted_while_a_node_starts() {
	build_target examples
	interrupt_demo 1 0.5 INT all
}

test_interrupted_while_data_is_loaded() {
	build_target examples
	interrupt_demo 2 1 INT one
}

test_terminated_under_load() {
	build_target examples
	interrupt_demo 3 3 TERM one
}

run_tests
