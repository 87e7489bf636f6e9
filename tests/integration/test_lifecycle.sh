#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A node starts, tells what it does, and ends: in order, at once, or killed.
# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

test_starts_without_configuration_and_answers_ping() {
	net_create a
	NODE_DEFAULTS=()
	node_start a
	in_net a ping -c 3 -i 0.2 -W 2 "$NODE_ADDRESS" >/dev/null || fail "no answer to ping"
	expect_match "address of the kernel's side" "$(in_net a ip -4 -br address show godwit0)" \
		"$HOST_ADDRESS/24"
	node_stop a
	! in_net a ip link show godwit0 >/dev/null 2>&1 || fail "the interface is left behind"
	expect_match "log" "$(cat "$(node_log a)")" 'info node: stopped'
}

test_sigterm_and_sigint_end_with_0_within_5_seconds() {
	local signal start
	net_create a
	for signal in TERM INT; do
		node_start a
		start=$SECONDS
		node_signal a "$signal"
		node_end a
		expect_equal "exit code after SIG$signal" "$NODE_CODE" 0
		expect_at_most "seconds" $((SECONDS - start)) 6
	done
}

test_a_node_under_load_drains_and_loses_no_answer() {
	local start client code=0
	net_create a
	node_start a --set data.workers=2
	ip netns exec "$(net_name a)" python3 "$TOP/tests/integration/protocol.py" count_until_silence \
		"$WORK/ready" >"$WORK/output" 2>&1 &
	client=$!
	echo $client >>"$WORK/pids"
	wait_until 30 [ -e "$WORK/ready" ]
	start=$SECONDS
	node_stop a
	expect_at_most "seconds" $((SECONDS - start)) 6
	wait $client || code=$?
	sed -i "/^$client\$/d" "$WORK/pids"
	expect_equal "exit code of the client" $code 0
}

test_a_killed_node_on_an_interface_starts_again() {
	local i
	net_create n
	net_create a
	link_create n eth0 a eth0
	in_net a ip address add "$HOST_ADDRESS/24" dev eth0
	for i in 1 2 3; do
		node_start n --set data.port.kind=af_packet --set data.port.device=eth0
		in_net a ping -c 1 -W 2 "$NODE_ADDRESS" >/dev/null || fail "no answer to ping, start $i"
		node_kill n
	done
	node_start n --set data.port.kind=af_packet --set data.port.device=eth0
	node_stop n
	in_net n ip link show eth0 >/dev/null || fail "the interface is gone"
}

test_a_killed_node_starts_again_without_cleaning() {
	net_create a
	local i
	for i in 1 2 3; do
		node_start a
		in_net a ping -c 1 -W 2 "$NODE_ADDRESS" >/dev/null || fail "no answer to ping, start $i"
		node_kill a
		expect_equal "exit code" "$NODE_CODE" 137
	done
	node_start a
	node_stop a
}

test_a_killed_memif_server_starts_again_on_the_same_socket() {
	net_create a
	local memif=(--set data.port.kind=memif --set "data.port.device=$WORK/memif.sock")
	node_start a "${memif[@]}"
	node_kill a
	[ -S "$WORK/memif.sock" ] || fail "no socket was left: this tests nothing"
	node_start a "${memif[@]}"
	node_stop a
}

test_nothing_is_left_in_the_runtime_directories() {
	net_create a
	local name=left-$$
	node_start a --set node.name="$name"
	[ -d "$WORK/dpdk/godwit-$name" ] || fail "no runtime directory: this tests nothing"
	node_kill a
	expect_equal "what kill -9 leaves" "$(find "$WORK/dpdk" ! -type d)" ""
	node_start a --set node.name="$name"
	node_stop a
	expect_equal "what SIGTERM leaves" "$(ls -A "$WORK/dpdk")" ""
	expect_equal "what is elsewhere" "$(find /var/run/dpdk /dev/hugepages /dev/shm -path "*$name*" 2>/dev/null || true)" ""
}

test_telemetry_answers_and_starts_again_after_a_kill() {
	local pages
	net_create a
	for pages in auto off auto; do
		node_start a --set dpdk.telemetry=on \
			--set storage.huge_pages=$pages --set log.level=debug
		expect_match "telemetry" "$(python3 -c 'import socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
    client.settimeout(10)
    client.connect(sys.argv[1])
    client.recv(16384)
    client.send(b"/ethdev/list")
    print(client.recv(16384).decode())' "$WORK/dpdk/godwit-godwit/dpdk_telemetry.v2")" '/ethdev/list":\[0\]'
		node_kill a
	done
}

test_three_nodes_share_a_machine() {
	local i
	net_create a
	for i in 0 1 2; do
		node_start a/$i --set node.name=n$i --set data.port.device=godwit$i \
			--set data.address=10.7$i.0.2/24 --set admin.listen=127.0.0.1:778$i
	done
	for i in 0 1 2; do
		in_net a ping -c 1 -W 2 10.7$i.0.2 >/dev/null || fail "no answer from node $i"
		expect_match "status" "$(ctl a --admin 127.0.0.1:778$i status)" "node +n$i, ready"
	done
	for i in 0 1 2; do
		node_stop a/$i
	done
}

test_eal_arguments_are_handed_through() {
	net_create a
	node_start a --set log.level=debug -- --log-level=lib.eal:debug
	expect_match "log" "$(cat "$(node_log a)")" 'arguments="[^"]* --log-level=lib.eal:debug"'
	node_stop a
	expect_equal "exit code of one the EAL does not know" \
		"$(code_of in_net a "$GODWITD" "${NODE_DEFAULTS[@]}" -- --no-such-argument)" 1
	expect_match "message" "$(cat "$WORK/output")" 'error dpdk: DPDK did not start'
}

test_status_and_counters_over_http() {
	net_create a
	node_start a --set node.name=alpha
	local status
	status=$(ctl a status)
	expect_match "status" "$status" 'node +alpha, ready, version [0-9.]+'
	expect_match "status" "$status" 'data +10\.77\.0\.2 UDP 7700, port tap godwit0'
	expect_match "status" "$status" 'link up'
	status=$(ctl a -o json status)
	expect_match "status as JSON" "$status" '"partitions": 64'
	expect_match "metrics" "$(in_net a curl -s http://127.0.0.1:7780/metrics)" \
		'godwit_info\{node="alpha"'
	expect_equal "status of an unknown path" \
		"$(in_net a curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:7780/v2)" 404
	expect_equal "status of a method that is not there" "$(in_net a curl -s -o /dev/null \
		-w '%{http_code}' -X POST http://127.0.0.1:7780/v1/status)" 405
	expect_equal "status for a foreign host name" "$(in_net a curl -s -o /dev/null \
		-w '%{http_code}' -H 'Host: evil.example' http://127.0.0.1:7780/v1/status)" 403
	node_stop a
}

test_heartbeats_advance_and_a_stopped_node_is_not_reached() {
	net_create a
	node_start a
	local first second
	first=$(counter a heartbeats)
	sleep 0.3
	second=$(counter a heartbeats)
	[ "$second" -gt "$first" ] || fail "heartbeats: $first, then $second"
	node_stop a
	expect_equal "exit code of godwitctl" "$(code_of ctl a status)" 3
	expect_match "message" "$(cat "$WORK/output")" 'cannot reach 127.0.0.1:7780'
}

test_a_stalled_worker_is_logged_and_shown() {
	net_create a
	node_start a
	hold_worker a
	wait_until 10 logged a 'error worker: stalled'
	expect_match "status" "$(ctl a status)" 'node +godwit, stalled,.* 0 +1 +stalled'
	expect_match "metrics" "$(in_net a curl -s http://127.0.0.1:7780/metrics)" \
		'godwit_worker_stalled_seconds\{worker="0"\} [1-9]'
	release_worker
	wait_until 10 logged a 'warning worker: runs again'
	expect_match "status" "$(ctl a status)" 'node +godwit, ready,'
	in_net a ping -c 1 -W 2 "$NODE_ADDRESS" >/dev/null || fail "no answer to ping"
	node_stop a
}

test_a_node_that_cannot_drain_is_ended_within_its_bound() {
	local start
	net_create a
	node_start a
	hold_worker a
	start=$SECONDS
	node_signal a TERM
	wait_until 10 logged a 'could not stop in time'
	expect_at_most "seconds" $((SECONDS - start)) 7
	release_worker
	node_end a
	expect_equal "exit code" "$NODE_CODE" 1
}

test_a_second_signal_ends_a_node_that_cannot_drain() {
	net_create a
	node_start a
	hold_worker a
	node_signal a TERM
	wait_until 3 logged a 'node: stopping'
	node_signal a TERM
	release_worker
	node_end a
	expect_equal "exit code" "$NODE_CODE" 143
}

test_watching_repeats_until_the_node_is_gone() {
	net_create a
	node_start a
	ctl a --watch status >"$WORK/watched" 2>&1 &
	local watcher=$!
	echo "$watcher" >>"$WORK/pids"
	sleep 2.5
	node_stop a
	local code=0
	wait "$watcher" || code=$?
	expect_equal "exit code of godwitctl" "$code" 3
	[ "$(grep -c '^node ' "$WORK/watched")" -ge 2 ] || fail "it did not repeat"
}

run_tests
