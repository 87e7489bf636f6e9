#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The data-plane protocol, spoken by a client in another language over kernel sockets; what each case does is in protocol.py.
# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

# protocol CASE [ARGUMENT...]: in network a.
protocol() {
	in_net a python3 "$TOP/tests/integration/protocol.py" "$@"
}

# case_of CASE [ARGUMENT...] -- [godwitd's arguments]: against a node of its own.
case_of() {
	local arguments=()
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		arguments+=("$1")
		shift
	done
	shift || true
	net_create a
	node_start a "$@"
	protocol "${arguments[@]}" >"$WORK/output" 2>&1 || fail "protocol.py ${arguments[*]}"
	node_stop a
}

test_every_operation_and_status() {
	case_of operations
}

test_many_operations_in_a_datagram() {
	case_of batches
}

test_a_retransmitted_write_is_applied_once() {
	case_of writes_once
}

test_sessions_prove_the_address() {
	case_of sessions
}

test_sessions_end_with_their_node() {
	net_create a
	node_start a
	protocol before_restart "$WORK/session"
	node_kill a
	node_start a
	protocol after_restart "$WORK/session"
	node_stop a
}

test_every_worker_answers_for_every_key() {
	case_of workers 6 -- --set data.workers=6
}

test_a_datagram_of_two_workers_is_told_apart() {
	case_of mixed_owners -- --set data.workers=2
}

test_a_node_on_a_veth_pair_serves_another_namespace() {
	net_create n
	net_create a
	link_create n eth0 a eth0
	in_net a ip address add 10.77.0.1/24 dev eth0
	in_net n ip link set eth0 promisc on
	node_start n --set data.port.kind=af_packet --set data.port.device=eth0 \
		--set admin.listen=127.0.0.1:7780
	in_net a ping -c 2 -i 0.2 -W 2 "$NODE_ADDRESS" >/dev/null || fail "no answer to ping"
	protocol batches >"$WORK/output" 2>&1 || fail "protocol.py batches"
	protocol sessions >"$WORK/output" 2>&1 || fail "protocol.py sessions"
	node_stop n
}

run_tests
