#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What clients wrote, removed and counted stays true while partitions move: history_client.c checks every answer (invariants 2,
# 3 and 6 of docs/migration.md).
#
#	+-- hub --------------+          +-- a, b, c ---------------+
#	| history_client      |-- data --| godwitd                  |
#	| (or behind a bad    |          |   bus: control           |
#	|  cable)             |          +--------------------------+
#	+---------------------+
# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/integration/cluster_lib.sh
. "$(dirname "$0")/cluster_lib.sh"

build_client() {
	make -s -C "$TOP" BUILD="${BUILD#"$TOP"/}" "${BUILD#"$TOP"/}/tests/integration/history_client" \
		>"$WORK/output" 2>&1 || fail "history_client does not build"
}

# history_start NET SECONDS KEYS IN_FLIGHT NODE...: the client, by the addresses of these nodes.
history_start() {
	local seeds node net=$1 rest=("${@:2:3}")
	shift 4
	seeds=$(for node in "$@"; do data_address "$node"; done | paste -sd ,)
	ip netns exec "$(net_name "$net")" env LD_LIBRARY_PATH="$BUILD/stage/usr/local/lib" timeout 120 \
		"$BUILD/tests/integration/history_client" "$seeds" "${rest[@]}" key >"$WORK/history" 2>&1 &
	HISTORY_PID=$!
	echo $HISTORY_PID >>"$WORK/pids"
}

# history_end: lets it finish; its last line is in HISTORY.
history_end() {
	local code=0
	kill "$HISTORY_PID" 2>/dev/null || true
	wait "$HISTORY_PID" || code=$?
	sed -i "/^$HISTORY_PID\$/d" "$WORK/pids"
	HISTORY=$(tail -n 1 "$WORK/history")
	cp "$WORK/history" "$WORK/output"
	expect_equal "exit code of the client ($HISTORY)" $code 0
}

test_one_node() {
	build_client
	cluster_net_create a
	cluster_form a
	history_start hub 2 300 32 a
	sleep 2
	history_end
	expect_match "outcome" "$HISTORY" '^[1-9][0-9]+ ok, 0 failed, 0 unknown, 0 wrong, 300 verified'
}

# owner_of PARTITION: its name, as node a sees it; nothing while a does not answer.
owner_of() {
	ctl a -o json partitions 2>/dev/null | python3 -c 'import json, sys
print(next(p["owner"] for p in json.load(sys.stdin)["partitions"] if p["partition"] == int(sys.argv[1])))' "$1" 2>/dev/null
}

is_owner() {
	[ "$(owner_of "$1")" = "$2" ]
}

# order NODE PARTITION TO
order() {
	in_net "$1" curl -sf -X POST -H 'content-type: application/json' http://127.0.0.1:7780/v1/migrations -d "{\"partition\": $2, \"node\": \"$3\"}" >>"$WORK/moves" 2>&1
}

# rotate TIMES PARTITION...: each partition moves from its owner to the next of a, b, c, so many times.
rotate() {
	local times=$1 partition i node
	shift
	for i in $(seq "$times"); do
		node=$(echo b c a | cut -d ' ' -f $(((i - 1) % 3 + 1)))
		for partition in "$@"; do
			wait_until 20 order a "$partition" "$node"
		done
		for partition in "$@"; do
			wait_until 30 is_owner "$partition" "$node"
		done
	done
}

test_round_and_round_under_load() {
	build_client
	cluster_net_create a b c
	cluster_form a b c
	history_start hub 60 300 32 a
	rotate 3 0 1 2 3
	history_end
	expect_match "outcome" "$HISTORY" '^[1-9][0-9]+ ok, 0 failed, 0 unknown, 0 wrong, 300 verified'
}

# bad_cable_between NET DEVICE BRIDGE_PORT: frames between the two are lost (20 %), doubled and delayed from now on. NET is a namespace of
# its own that has the other ends of both cables.
bad_cable() {
	ip netns exec "$(net_name "$1")" python3 "$TOP/tests/integration/lossy_link.py" "$2" "$3" 0.2 0.1 0.2 >"$WORK/cable-$1" &
	echo $! >>"$WORK/pids"
	wait_until 10 grep -q ready "$WORK/cable-$1"
}

# The client's way to everybody, and node b's, lose a fifth of all datagrams.
spoil_data_network() {
	net_create far
	net_create wire
	link_create far data wire w0
	link_create wire w1 hub data-far
	ip -n "$(net_name hub)" link set data-far master data
	ip -n "$(net_name far)" address add 10.77.0.200/24 dev data
	bad_cable wire w0 w1
	net_create knot
	ip -n "$(net_name hub)" link set data-b nomaster
	link_create hub k0 knot k1
	link_create knot k2 hub k3
	ip -n "$(net_name hub)" link set k3 master data
	ip -n "$(net_name hub)" link add patch type bridge
	ip -n "$(net_name hub)" link set patch up
	ip -n "$(net_name hub)" link set data-b master patch
	ip -n "$(net_name hub)" link set k0 master patch
	bad_cable knot k1 k2
}

# cut_control: cuts a node's control network for a moment, again and again, until it is killed.
cut_control() {
	local node
	while sleep 0.$((RANDOM % 8 + 2)); do
		node=$(echo a b c | cut -d ' ' -f $((RANDOM % 3 + 1)))
		cable "$node" control down
		sleep 0.$((RANDOM % 3 + 1))
		cable "$node" control up
	done
}

test_round_and_round_in_bad_weather() {
	build_client
	cluster_net_create a b c
	CLUSTER_PROBE_MS=500 cluster_form a b c
	spoil_data_network
	history_start far 90 200 32 a b c
	cut_control &
	echo $! >>"$WORK/pids"
	rotate 3 0 1 2
	history_end
	expect_match "outcome" "$HISTORY" '^[1-9][0-9]+ ok, 0 failed, [0-9]+ unknown, 0 wrong, 200 verified'
}

run_tests
