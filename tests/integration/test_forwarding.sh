#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A client that knows one node, and nothing of maps, reaches every key of the cluster; forgers and strays are refused.
# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/integration/cluster_lib.sh
. "$(dirname "$0")/cluster_lib.sh"
# shellcheck source=tests/integration/migration_lib.sh
. "$(dirname "$0")/migration_lib.sh"

# A member that does not answer for long is not taken for dead, where none is.
CLUSTER_PROBE_MS=500

# forwarding CASE ENTRY [ARGUMENT...]: forwarding.py in the hub; what it found is in FOUND.
forwarding() {
	local what=$1 entry=$2
	shift 2
	in_net hub timeout 60 python3 "$TOP/tests/integration/forwarding.py" "$what" "$(data_address "$entry")" "$@" \
		>"$WORK/output" 2>&1 || fail "forwarding.py $what $entry $*"
	FOUND=$(cat "$WORK/output")
}

# found NAME: a figure of FOUND, 0 when it has none.
found() {
	echo "$FOUND" | python3 -c 'import json, sys
found = {}
for line in sys.stdin:
    found.update(json.loads(line))
print(found.get(sys.argv[1], 0))' "$1"
}

# has_counter NODE NAME VALUE
has_counter() {
	[ "$(counter "$1" "$2")" = "$3" ]
}

test_every_node_answers_for_every_key() {
	local entry
	cluster_net_create a b c
	cluster_form a b c
	forwarding store b 1000
	expect_equal "stored through b" "$FOUND" '{"OK": 1000}'
	for entry in a b c; do
		forwarding check $entry 1000
		expect_equal "read through $entry" "$FOUND" '{"wrong": 0, "OK": 1000}'
	done
	[ "$(counter b forwards_sent)" -ge 2000 ] || fail "b forwarded $(counter b forwards_sent)"
	[ "$(counter c forwards_sent)" -ge 1000 ] || fail "c forwarded $(counter c forwards_sent)"
	[ "$(counter a forwards_received)" -ge 3000 ] || fail "a received $(counter a forwards_received)"
	expect_equal "forwarded by the owner" "$(counter a forwards_sent)" 0
}

test_keys_of_several_workers_are_reached_through_one_node() {
	cluster_net_create a b
	cluster_start a --set cluster.bootstrap=on --set cluster.join=none --set data.workers=2
	wait_until 10 logged a 'cluster: member '
	cluster_start b --set data.workers=2
	wait_until 20 sees_states a "a=alive b=alive "
	wait_until 20 sees_states b "a=alive b=alive "
	forwarding store b 500
	expect_equal "stored" "$FOUND" '{"OK": 500}'
	forwarding check b 500
	expect_equal "read" "$FOUND" '{"wrong": 0, "OK": 500}'
}

test_godwitctl_and_the_library_ask_the_owner_themselves() {
	cluster_net_create a b
	cluster_form a b
	item b set one 1 >/dev/null
	expect_equal "value at the owner" "$(item a get one)" 1
	expect_equal "value" "$(item b get one)" 1
	expect_equal "forwarded by b" "$(counter b forwards_sent)" 0
	[ "$(counter b map_requests)" -ge 1 ] || fail "the map was not asked of b"
}

# give_half: partitions 32-63 move from a to b.
give_half() {
	local partition
	for partition in $(seq 32 63); do
		api b POST /v1/migrations "{\"partition\": $partition, \"node\": \"b\"}" >/dev/null
	done
	wait_until 20 owned_at a b 32
	wait_until 20 owned_at b b 32
}

# owned_at NODE OF COUNT: how many partitions NODE thinks that OF owns.
owned_at() {
	[ "$(partitions_at "$1" | awk -v of="$2" '$2 == of { n += $1 } END { print n + 0 }')" = "$3" ]
}

test_keys_of_two_nodes_in_a_datagram_are_told_apart() {
	NODE_DEFAULTS+=(--set migration.jobs=32)
	cluster_net_create a b
	cluster_form a b
	give_half
	forwarding mixed a 300
	expect_equal "neither done nor told whom to ask" "$(found lost)" 0
	[ "$(found redirected)" -gt 50 ] || fail "found $FOUND"
	expect_equal "read" "$(found read)" 600
	forwarding store b 500
	forwarding check a 500
	expect_equal "read through a" "$FOUND" '{"wrong": 0, "OK": 500}'
}

# forwards_no_more NODE: nothing for half a second.
forwards_no_more() {
	local sent
	sent=$(counter "$1" forwards_sent)
	sleep 0.5
	[ "$(counter "$1" forwards_sent)" = "$sent" ]
}

test_the_library_learns_from_answers_and_goes_direct() {
	local client code=0
	build_target "${BUILD#"$TOP"/}/tests/integration/counter_client"
	NODE_DEFAULTS+=(--set migration.jobs=32)
	cluster_net_create a b
	cluster_form a b
	# no function in between, so that $! is the client's own number
	LD_LIBRARY_PATH=$BUILD ip netns exec "$(net_name hub)" timeout 60 "$BUILD/tests/integration/counter_client" \
		"$(data_address a)" 50 64 key >"$WORK/count" &
	client=$!
	wait_until 10 has_traffic a
	give_half
	wait_until 10 forwards_no_more a
	kill $client 2>/dev/null || fail "the client ended before: this tests nothing"
	wait $client || code=$?
	expect_equal "exit code of the client" $code 0
	expect_match "counts" "$(cat "$WORK/count")" '^[0-9]{3,} ok, 0 unknown, 0 other, 0 keys wrong'
	[ "$(counter b requests)" -gt 100 ] || fail "b got $(counter b requests) requests"
}

has_traffic() {
	[ "$(counter "$1" requests)" -gt 100 ]
}

# Between the node and the switch: hub's end of its cable, lossy_link.py, a veth pair into the bridge.
bad_cable() {
	local node=$1
	shift
	ip -n "$(net_name hub)" link set "data-$node" nomaster
	ip -n "$(net_name hub)" link add lossy type veth peer name lossy-bridge
	ip -n "$(net_name hub)" link set lossy up
	ip -n "$(net_name hub)" link set lossy-bridge master data up
	# no function in between, so that $! is the cable's own number
	ip netns exec "$(net_name hub)" python3 "$TOP/tests/integration/lossy_link.py" "data-$node" lossy "$@" >"$WORK/cable" &
	echo $! >>"$WORK/pids"
	wait_until 10 grep -qs ready "$WORK/cable"
}

test_forwarded_increments_are_applied_once_through_a_bad_cable() {
	cluster_net_create a b
	cluster_form a b
	bad_cable b 0.1 0.2 0.3
	forwarding count b 3000 key
	expect_equal "answers" "$(found OK)" 3000
	expect_equal "sum" "$(found sum)" 3000
	[ "$(counter b forwards_sent)" -gt 3000 ] || fail "no copy was forwarded: this tests nothing"
	[ "$(counter a requests_repeated)" -gt 0 ] || fail "no copy reached the owner: this tests nothing"
}

test_forged_forwards_are_dropped_and_counted() {
	local foreign bad late
	cluster_net_create a b c
	cluster_form a b c
	forwarding forge b data-b data-a
	foreign=$(found foreign) bad=$(found bad) late=$(found late)
	wait_until 10 has_counter a drop_forward_foreign "$foreign"
	wait_until 10 has_counter a drop_forward_bad "$bad"
	wait_until 10 has_counter b drop_forward_late "$late"
	expect_equal "value" "$(found value)" unharmed
	expect_equal "dropped by c" "$(counter c drop_forward_foreign)" 0
}

test_a_forwarded_request_is_not_forwarded_again() {
	local sent received
	cluster_net_create a b
	cluster_form a b
	forwarding second_hop b data-b data-a
	wait_until 10 has_counter b forwards_received 1
	received=$(counter a forwards_received)
	sent=$(counter b forwards_sent)
	sleep 0.3
	expect_equal "forwarded by b" "$(counter b forwards_sent)" "$sent"
	expect_equal "received by a" "$(counter a forwards_received)" "$received"
}

# hold_copies CASE ENTRY [ARGUMENT...]: forwarding.py until it has spoken once, then it waits for release_copies.
hold_copies() {
	local what=$1 entry=$2
	shift 2
	mkfifo "$WORK/go"
	ip netns exec "$(net_name hub)" python3 "$TOP/tests/integration/forwarding.py" "$what" "$(data_address "$entry")" \
		"$@" <"$WORK/go" >"$WORK/copies" 2>&1 &
	HOLDER=$!
	echo "$HOLDER" >>"$WORK/pids"
	exec 8>"$WORK/go"
	wait_until 10 grep -qs 1 "$WORK/copies"
}

# tell_copies: it goes on.
tell_copies() {
	echo go >&8
}

release_copies() {
	tell_copies
	exec 8>&-
	wait "$HOLDER" || fail "forwarding.py: $(cat "$WORK/copies")"
	sed -i "/^$HOLDER\$/d" "$WORK/pids"
	FOUND=$(cat "$WORK/copies")
}

test_when_the_owner_is_lost_nobody_is_told_ok() {
	cluster_net_create a b c
	cluster_form a b c
	forwarding count b 100 warm # b knows the way to a
	hold_copies copies b
	node_signal a STOP
	tell_copies # a write that b sends to a, which does not answer
	forwarding outcomes b 1
	expect_equal "answers of a stopped owner" "$(found OK)" 0
	node_kill a
	wait_until 30 sees_states b "a=dead b=alive c=alive "
	forwarding outcomes b 1
	expect_equal "OK of nobody" "$(found OK)" 0
	expect_equal "last answer" "$(found last)" UNAVAILABLE
	release_copies
	expect_equal "answers to copies of a write whose owner is lost" "$(found heard)" '[]'
	[ "$(counter b drop_forward_no_peer)" -ge 20 ] || fail "counted $(counter b drop_forward_no_peer)"
}

test_a_node_that_starts_anew_has_new_sessions() {
	local before
	cluster_net_create a b c
	cluster_form a b c
	hold_copies tap_token b data-b data-a
	node_kill a
	cluster_start a
	wait_until 30 logged b 'a member has started anew node=a'
	wait_until 30 sees_states b "a=alive b=alive c=alive "
	before=$(counter a drop_forward_foreign)
	release_copies
	wait_until 10 has_counter a drop_forward_foreign $((before + 5))
	wait_until 30 stores_through b
	forwarding check b 64
	expect_equal "read" "$FOUND" '{"wrong": 0, "OK": 64}'
}

stores_through() {
	forwarding store "$1" 64
	[ "$FOUND" = '{"OK": 64}' ]
}

run_tests
