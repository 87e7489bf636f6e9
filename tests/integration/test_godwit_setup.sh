#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# scripts/godwit-setup on a machine that is made up: a tree of files for /sys, and tools that write down how they are called.
#
#	0000:01:00.0  ixgbe       eth0   under bond0, under vlan bond0.7
#	0000:02:00.0  i40e        eth1
#	0000:03:00.0  virtio-pci  eth2   (a level deeper, as virtio is)
#	0000:04:00.0  nvme        no network device
# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

SETUP=$TOP/scripts/godwit-setup

# device ADDRESS CLASS DRIVER [INTERFACE [SUBFOLDER]]
device() {
	local folder=$SYS/devices/pci0000:00/$1
	mkdir -p "$folder" "$SYS/bus/pci/devices" "$SYS/bus/pci/drivers/$3" "$SYS/class/net"
	echo "$2" >"$folder/class"
	echo "pci:$1" >"$folder/modalias"
	ln -s "$folder" "$SYS/bus/pci/devices/$1"
	ln -s "$SYS/bus/pci/drivers/$3" "$folder/driver"
	[ -n "${4:-}" ] || return 0
	mkdir -p "$folder/${5:-}/net/$4"
	ln -s "$folder/${5:-}/net/$4" "$SYS/class/net/$4"
}

# upper LOWER UPPER: UPPER stands on LOWER.
upper() {
	mkdir -p "$SYS/devices/virtual/net/$2"
	ln -s "$SYS/devices/virtual/net/$2" "$SYS/class/net/$2"
	ln -s "$SYS/class/net/$2" "$SYS/class/net/$1/upper_$2"
}

# tool NAME SCRIPT: a tool that adds its arguments to $WORK/calls, then does what SCRIPT says.
tool() {
	printf '#!/bin/sh\necho "%s $*" >>"%s"\n%s\n' "$1" "$WORK/calls" "$2" >"$WORK/$1"
	chmod +x "$WORK/$1"
}

machine() {
	SYS=$WORK/sys
	device 0000:01:00.0 0x020000 ixgbe eth0
	device 0000:02:00.0 0x020000 i40e eth1
	device 0000:03:00.0 0x020000 virtio-pci eth2 virtio1
	device 0000:04:00.0 0x010802 nvme
	upper eth0 bond0
	upper bond0 bond0.7
	mkdir -p "$SYS/kernel/iommu_groups/0" "$SYS/kernel/mm/hugepages/hugepages-2048kB" \
		"$SYS/module/vfio/parameters"
	echo 0 >"$SYS/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
	echo 0 >"$SYS/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"
	: >"$WORK/calls"
	routes ""
	# As the real one does, it changes which driver the device's link points to.
	tool devbind "[ \"\$1\" = -b ] || exit 1
		mkdir -p $SYS/bus/pci/drivers/\$2
		ln -sfn $SYS/bus/pci/drivers/\$2 $SYS/devices/pci0000:00/\$3/driver"
	tool modprobe "[ \"\$1\" != -R ] || echo i40e"
	export GODWIT_SYSFS=$SYS GODWIT_IP=$WORK/ip GODWIT_DEVBIND=$WORK/devbind \
		GODWIT_MODPROBE=$WORK/modprobe GODWIT_STATE=$WORK/state
}

# routes LINE: what `ip -4 route show table all default` prints.
routes() {
	tool ip "[ \"\$1\" != -4 ] || echo '$1'"
}

# refused CODE REGEX ARGUMENT...: one line, and no device was touched.
refused() {
	local code=$1 regex=$2
	shift 2
	expect_equal "exit code of $*" "$(code_of "$SETUP" "$@")" "$code"
	expect_match "message of $*" "$(cat "$WORK/output")" "^godwit-setup: $regex"
	expect_equal "lines of $*" "$(wc -l <"$WORK/output")" 1
	! grep -q '^devbind' "$WORK/calls" || fail "$*: called $(grep '^devbind' "$WORK/calls")"
}

driver() {
	basename "$(readlink "$SYS/bus/pci/devices/$1/driver")"
}

test_a_nic_is_bound_and_given_back() {
	machine
	routes "default via 10.0.0.1 dev bond0 proto dhcp"
	expect_equal "bind" "$("$SETUP" bind 0000:02:00.0)" "0000:02:00.0 bound to vfio-pci (was i40e)"
	expect_equal "driver" "$(driver 0000:02:00.0)" vfio-pci
	expect_match "calls" "$(cat "$WORK/calls")" 'modprobe vfio-pci'
	expect_match "again" "$("$SETUP" bind 0000:02:00.0)" 'bound to vfio-pci already'
	expect_equal "unbind" "$("$SETUP" unbind 0000:02:00.0)" "0000:02:00.0 given back to i40e"
	expect_equal "driver" "$(driver 0000:02:00.0)" i40e
	refused_after_calls
}

# What was unbound cannot be unbound again.
refused_after_calls() {
	: >"$WORK/calls"
	refused 1 "0000:02:00.0 is bound to 'i40e', not to vfio-pci" unbind 0000:02:00.0
}

test_unbinding_finds_the_driver_without_a_record() {
	machine
	"$SETUP" bind 0000:02:00.0 >/dev/null
	rm -r "$WORK/state"
	expect_equal "unbind" "$("$SETUP" unbind 0000:02:00.0)" "0000:02:00.0 given back to i40e"
	expect_match "calls" "$(cat "$WORK/calls")" 'modprobe -R pci:0000:02:00.0'
}

test_the_default_route_is_never_cut() {
	local route
	machine
	for route in "default via 10.0.0.1 dev eth0" "default dev bond0 scope link" \
		"default proto static metric 100 dev bond0.7" \
		"default table 7 nexthop via 10.0.0.1 dev eth9 weight 1 nexthop via 10.0.0.2 dev eth0"; do
		routes "$route"
		refused 1 '0000:01:00.0 carries the default route \(interface eth0\)' bind 0000:01:00.0
		expect_equal "driver" "$(driver 0000:01:00.0)" ixgbe
	done
	routes "default via 10.0.0.1 dev eth2"
	refused 1 '0000:03:00.0 carries the default route \(interface eth2\)' bind 0000:03:00.0
	tool ip "[ \"\$1\" != -6 ] || echo 'default via fe80::1 dev eth1 proto ra'"
	refused 1 '0000:02:00.0 carries the default route \(interface eth1\)' bind 0000:02:00.0
	refused 1 '0000:02:00.0 carries the default route' --dry-run bind 0000:02:00.0
	tool ip 'exit 1'
	refused 1 'cannot read the routes' bind 0000:02:00.0
}

test_what_is_no_nic_is_refused() {
	machine
	refused 1 'PCI device 0000:04:00.0 is no network device' bind 0000:04:00.0
	refused 1 'no PCI device 0000:09:00.0' bind 0000:09:00.0
	refused 2 "expected a PCI address such as 0000:01:00.0, not 'eth1'" bind eth1
	refused 2 "expected a PCI address such as 0000:01:00.0, not ''" bind
	refused 2 "expected a PCI address .*, not '../../../etc'" bind ../../../etc
}

test_without_iommu_it_says_what_to_do() {
	machine
	rmdir "$SYS/kernel/iommu_groups/0"
	refused 1 'no IOMMU: switch it on' bind 0000:02:00.0
	"$SETUP" --no-iommu bind 0000:02:00.0 >/dev/null
	expect_equal "unsafe mode" \
		"$(cat "$SYS/module/vfio/parameters/enable_unsafe_noiommu_mode")" Y
	expect_equal "driver" "$(driver 0000:02:00.0)" vfio-pci
}

test_tools_that_fail_are_reported() {
	machine
	tool modprobe 'exit 1'
	refused 1 'cannot load the module vfio-pci' bind 0000:02:00.0
	tool modprobe ''
	tool devbind 'exit 1'
	expect_equal "exit code" "$(code_of "$SETUP" bind 0000:02:00.0)" 1
	expect_match "message" "$(cat "$WORK/output")" 'could not bind 0000:02:00.0'
}

test_a_dry_run_does_nothing() {
	machine
	local before
	before=$(find "$SYS" "$WORK/state" -printf '%p %l\n' 2>/dev/null | sort)
	expect_match "output" "$("$SETUP" --dry-run bind 0000:02:00.0)" \
		'would run: .*/devbind -b vfio-pci 0000:02:00.0'
	expect_match "output" "$("$SETUP" --dry-run hugepages 64)" 'would write: 64 to '
	expect_equal "files" "$(find "$SYS" "$WORK/state" -printf '%p %l\n' 2>/dev/null | sort)" \
		"$before"
	! grep -q '^devbind\|^modprobe' "$WORK/calls" || fail "a tool was called"
	expect_equal "huge pages" "$(cat "$SYS/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")" 0
}

test_huge_pages_are_reserved() {
	machine
	expect_equal "output" "$("$SETUP" --size 2M hugepages 64)" "64 huge pages reserved, 0 free"
	expect_equal "file" "$(cat "$SYS/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")" 64
	refused 2 "hugepages: expected a number, not 'many'" hugepages many
	refused 2 "hugepages: expected a number, not ''" hugepages
	refused 1 "this kernel has no huge pages of 1G" --size 1G hugepages 1
	refused 2 "--size: expected 2M or 1G, not '4M'" --size 4M hugepages 1
}

test_fewer_huge_pages_than_asked_for_are_told() {
	machine
	# A file that takes the number and gives back another, as the kernel does when memory is short.
	rm "$SYS/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
	mkfifo "$SYS/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
	{
		cat "$SYS/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages" >/dev/null
		echo 17 >"$SYS/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
	} &
	echo $! >>"$WORK/pids"
	refused 1 "the kernel gave 17 of 64 huge pages" hugepages 64
}

test_status_lists_pages_iommu_and_nics() {
	machine
	routes "default via 10.0.0.1 dev bond0.7"
	local status
	status=$("$SETUP" status)
	expect_match "status" "$status" 'huge pages +2048kB +0 reserved, 0 free'
	expect_match "status" "$status" 'IOMMU +on'
	expect_match "status" "$status" 'vfio-pci +not loaded'
	expect_match "status" "$status" 'NIC +0000:01:00.0 driver ixgbe +eth0 +carries the default route'
	expect_match "status" "$status" 'NIC +0000:03:00.0 driver virtio-pci +eth2'
	! grep -q 0000:04:00.0 <<<"$status" || fail "a disk is listed as NIC"
}

test_wrong_usage_is_told() {
	machine
	refused 2 "unknown command 'bnid'" bnid 0000:02:00.0
	refused 2 "unknown option '--force'" --force bind 0000:02:00.0
	refused 2 "unexpected argument '0000:01:00.0'" bind 0000:02:00.0 0000:01:00.0
	expect_equal "exit code without command" "$(code_of "$SETUP")" 2
	expect_match "help" "$("$SETUP" --help)" 'hugepages N'
}

run_tests
