#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Datagrams are lost, doubled and overtaken on their way, in both directions; each increment is applied once all the same.
#
#	+-- c -------------+        +-- m ------------------------+        +-- n ----------+
#	| libgodwit        |        |                             |        |    godwitd    |
#	| 10.77.0.1 eth0 --+--------+-- c0   lossy_link.py   n0 --+--------+-- eth0        |
#	+------------------+        +-----------------------------+        +---------------+
# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

# cable_start LOSS DOUBLE DELAY
cable_start() {
	local name
	for name in c m n; do
		net_create $name
	done
	link_create c eth0 m c0
	link_create n eth0 m n0
	in_net c ip address add "$HOST_ADDRESS/24" dev eth0
	# no function in between, so that $! is the cable's own number
	ip netns exec "$(net_name m)" python3 "$TOP/tests/integration/lossy_link.py" c0 n0 "$@" >"$WORK/cable" &
	CABLE_PID=$!
	echo $CABLE_PID >>"$WORK/pids"
	wait_until 10 grep -q ready "$WORK/cable"
}

# cable_stop: its figures are in CABLE.
cable_stop() {
	kill "$CABLE_PID"
	wait "$CABLE_PID" || true
	sed -i "/^$CABLE_PID\$/d" "$WORK/pids"
	CABLE=$(tail -n 1 "$WORK/cable")
}

build_client() {
	build_target "${BUILD#"$TOP"/}/tests/integration/counter_client"
}

# count_through LOSS DOUBLE DELAY [godwitd's arguments]: increments by libgodwit, 64 in flight.
count_through() {
	local count code=0 cable=("${@:1:3}")
	shift 3
	build_client
	cable_start "${cable[@]}"
	node_start n --set data.port.kind=af_packet --set data.port.device=eth0 "$@"
	count=$(in_net c env LD_LIBRARY_PATH="$BUILD/stage/usr/local/lib" timeout 60 \
		"$BUILD/tests/integration/counter_client" "$NODE_ADDRESS" 2 64 key) || code=$?
	echo "$count" >"$WORK/output"
	expect_equal "exit code of the client ($count)" $code 0
	expect_match "outcome" "$count" "^[1-9][0-9]+ ok, [0-9]+ unknown, 0 other, 0 keys wrong"
	cable_stop
	expect_match "cable" "$CABLE" 'frames=[1-9][0-9]+ lost=[1-9][0-9]* doubled=[1-9][0-9]* delayed=[1-9]'
	[ "$(counter n requests_repeated)" -gt 0 ] || fail "no copy of a write arrived: this tests nothing"
	node_stop n
}

test_increments_are_applied_once_through_a_bad_cable() {
	count_through 0.05 0.2 0.3
}

test_increments_are_applied_once_through_a_terrible_cable() {
	count_through 0.3 0.3 0.5 --set data.workers=2
}

run_tests
