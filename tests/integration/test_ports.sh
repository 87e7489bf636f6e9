#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A node on each kind of port that any machine has, one worker and several, against clients of the kernel and of memif.
# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"
BENCH=${BENCH:-$BUILD/godwit-bench}

# A node in network a, clients in network b:
#
#	+-- a -----------------+            +-- b -----------------+
#	|  godwitd 10.78.0.1   |            |  kernel 10.78.0.2    |
#	|       veth godwit-a -+------------+- veth godwit-b       |
#	|  admin 127.0.0.1     |            |  godwitctl           |
#	+----------------------+            +----------------------+
#
# Transmit checksums stay as the kernel likes them: unfinished.
veth_networks() {
	net_create a
	net_create b
	ip -n "$(net_name a)" link add godwit-a type veth peer name godwit-b netns "$(net_name b)"
	ip -n "$(net_name a)" link set godwit-a up
	ip -n "$(net_name b)" link set godwit-b up
	ip -n "$(net_name b)" address add 10.78.0.2/24 dev godwit-b
}

VETH_NODE=(--set data.address=10.78.0.1/24 --set data.port.device=godwit-a)

client() {
	in_net b "$GODWITCTL" --timeout 5s -s 10.78.0.1 "$@"
}

# expect_items: clients in b can do what clients do.
expect_items() {
	local i
	in_net b ping -c 2 -i 0.2 -W 2 10.78.0.1 >/dev/null || fail "no answer to ping"
	for i in 1 2 3 4 5 6 7 8; do
		client set "key$i" "value $i" >/dev/null
	done
	for i in 1 2 3 4 5 6 7 8; do
		expect_equal "key$i" "$(client get "key$i")" "value $i"
	done
	expect_equal "a number" "$(client increment n 5 --initial 7)" 7
	expect_equal "a number" "$(client increment n 5)" 12
}

# expect_load WORKERS ARGUMENT...: the load generator's keys come back with their values.
expect_load() {
	local workers=$1
	shift
	"$@" --load 2000 --keys 2000 --workload a --ops 4 --warmup 0 --duration 1 --verify --quiet \
		>"$WORK/bench" 2>&1 || fail "godwit-bench: $(cat "$WORK/bench")"
	expect_match "godwit-bench" "$(cat "$WORK/bench")" "result +valid"
	expect_equal "workers that executed" "$(ctl a -o json status |
		python3 -c 'import json, sys; print(len(json.load(sys.stdin)["workers"]))')" "$workers"
}

test_kernel_clients_reach_a_packet_socket() {
	veth_networks
	node_start a --set data.port.kind=af_packet "${VETH_NODE[@]}"
	expect_items
	expect_load 1 in_net b "$BENCH" --server 10.78.0.1 --outstanding 16
	expect_equal "frames with a wrong checksum" "$(counter a drop_udp_bad_checksum)" 0
	node_stop a
	# the interface was not ours and is still there
	ip -n "$(net_name a)" link show godwit-a >/dev/null || fail "the node took its interface with it"
}

test_two_workers_share_a_packet_socket() {
	veth_networks
	node_start a --set data.port.kind=af_packet "${VETH_NODE[@]}" --set data.workers=2
	expect_items
	expect_load 2 in_net b "$BENCH" --server 10.78.0.1 --outstanding 16
	node_stop a
}

test_kernel_clients_reach_an_xdp_socket() {
	veth_networks
	node_launch a --set data.port.kind=af_xdp "${VETH_NODE[@]}"
	wait_until $READY_S_MAX xdp_node_is_ready
	expect_items
	! logged a '^libbpf\|^libxdp' || fail "libraries write past the log"
	node_stop a
}

# Not every kernel and container lets a process load the program that AF_XDP needs.
xdp_node_is_ready() {
	grep -q ' node: ready ' "$(node_log a)" && return 0
	kill -0 "$(node_pid a)" 2>/dev/null || skip "no AF_XDP here: $(tail -n 1 "$(node_log a)")"
	return 1
}

test_two_workers_share_a_tap() {
	net_create a
	node_start a --set data.workers=2
	in_net a ping -c 2 -i 0.2 -W 2 $NODE_ADDRESS >/dev/null || fail "no answer to ping"
	expect_load 2 in_net a "$BENCH" --server $NODE_ADDRESS --outstanding 16
	node_stop a
}

# memif_node WORKERS: a node at the end of a socket.
memif_node() {
	net_create a
	node_start a --set data.port.kind=memif --set "data.port.device=$WORK/memif.sock" --set "data.workers=$1"
}

# expect_memif_load WORKERS [ARGUMENT...]
expect_memif_load() {
	local workers=$1
	shift
	expect_load "$workers" "$BENCH" --port "memif:$WORK/memif.sock" --ip 10.77.0.9/24 \
		--server $NODE_ADDRESS --outstanding 64 "$@"
}

test_a_memif_client_may_come_and_go() {
	memif_node 1
	expect_memif_load 1
	expect_memif_load 1 --checksum
	# one that is killed in the middle
	"$BENCH" --port "memif:$WORK/memif.sock" --ip 10.77.0.9/24 --server $NODE_ADDRESS --load 1000 \
		--keys 1000 --quiet --duration 30 >"$WORK/killed" 2>&1 &
	echo $! >>"$WORK/pids"
	wait_until 20 counter_is_over a op_get 10000
	kill -s KILL $!
	wait $! 2>/dev/null || true
	expect_memif_load 1
	expect_equal "frames without room" "$(counter a drop_mailbox_full)" 0
	node_stop a
	[ ! -e "$WORK/memif.sock" ] || fail "the socket is still there"
}

counter_is_over() {
	[ "$(counter "$1" "$2")" -gt "$3" ]
}

test_two_workers_share_a_memif() {
	memif_node 2
	expect_memif_load 2
	node_stop a
}

test_a_killed_node_starts_again_on_its_socket() {
	memif_node 1
	node_kill a
	[ -e "$WORK/memif.sock" ] || fail "a killed node cannot remove its socket"
	node_start a --set data.port.kind=memif --set "data.port.device=$WORK/memif.sock"
	expect_memif_load 1
	node_stop a
}

test_ports_that_cannot_be_opened_are_named() {
	net_create a
	expect_equal "exit code" "$(code_of in_net a "$GODWITD" "${NODE_DEFAULTS[@]}" \
		--set data.port.kind=af_packet --set data.port.device=nothing)" 1
	expect_match "without interface" "$(cat "$WORK/output")" "no network interface 'nothing'"
	ip -n "$(net_name a)" link add godwit0 type veth peer name other
	expect_equal "exit code" "$(code_of in_net a "$GODWITD" "${NODE_DEFAULTS[@]}")" 1
	expect_match "interface taken" "$(cat "$WORK/output")" "interface godwit0 exists already: remove it"
	expect_equal "exit code" "$(code_of in_net a "$GODWITD" "${NODE_DEFAULTS[@]}" \
		--set data.port.kind=pci --set data.port.device=ffff:1f:00.0)" 1
	expect_match "without device" "$(cat "$WORK/output")" "no PCI device ffff:1f:00.0"
}

run_tests
