#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Thousands of malformed, truncated, oversized, duplicated, replayed, spoofed and foreign frames: each raises the one counter that
# docs/protocol.md names, gets the answer it should or none, and nobody unproven gets more bytes than it sent. The cases are in
# bad_input.py, what must happen is in fate.py.
# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

# bad_input WORKERS CASE... [-- godwitd's arguments]: against a node of its own; nobody else sends to it.
bad_input() {
	local workers=$1 cases=()
	shift
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		cases+=("$1")
		shift
	done
	shift || true
	net_create a
	in_net a sh -c 'for f in all default; do echo 1 >/proc/sys/net/ipv6/conf/$f/disable_ipv6; done' 2>/dev/null
	node_start a --set "data.workers=$workers" "$@"
	in_net a python3 "$TOP/tests/integration/bad_input.py" godwit0 "$workers" "${cases[@]}" \
		>"$WORK/output" 2>&1 || fail "bad_input.py $workers ${cases[*]}"
	node_stop a
}

test_frames_of_every_layer_have_the_fate_the_protocol_names() {
	bad_input 1 link_layer network_layer without_session every_reason
}

test_sessions_are_not_forged_and_requests_not_misread() {
	bad_input 1 hellos in_session replays forgotten
}

test_mixed_damage_and_a_flood() {
	bad_input 1 mixed limited
}

test_a_full_session_table_keeps_what_it_granted() {
	bad_input 1 full_table -- --set data.sessions=16
}

test_frames_larger_than_buffers() {
	bad_input 1 jumbo
}

test_two_workers_judge_alike() {
	bad_input 2 link_layer network_layer without_session hellos mixed
}

run_tests
