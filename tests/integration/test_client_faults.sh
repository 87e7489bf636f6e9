#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A client of libgodwit whose node pauses, falls silent, dies and comes back: what it was told must be true.
# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

build_client() {
	build_target "${BUILD#"$TOP"/}/tests/integration/counter_client"
}

# count_start SECONDS NAME: a client in the background; count_end waits for it and sets COUNT to what it printed.
count_start() {
	in_net a env LD_LIBRARY_PATH="$BUILD/stage/usr/local/lib" timeout 60 \
		"$BUILD/tests/integration/counter_client" "$NODE_ADDRESS" "$1" 200 "$2" >"$WORK/count" &
	COUNT_PID=$!
	echo $COUNT_PID >>"$WORK/pids"
}

count_end() {
	local code=0
	wait "$COUNT_PID" || code=$?
	sed -i "/^$COUNT_PID\$/d" "$WORK/pids"
	COUNT=$(cat "$WORK/count")
	expect_equal "exit code of the client ($COUNT)" $code "${1:-0}"
}

pause_node() {
	node_signal a STOP
	sleep "$1"
	node_signal a CONT
}

test_short_pauses_fail_no_request() {
	local i
	build_client
	net_create a
	node_start a --set data.workers=2
	count_start 2 pause
	for i in 1 2 3; do
		sleep 0.4
		pause_node 0.2
	done
	count_end
	expect_match "outcome" "$COUNT" "^[1-9][0-9]* ok, 0 unknown, 0 other, 0 keys wrong, 2 sessions$"
	node_stop a
}

test_after_a_long_silence_what_is_in_doubt_is_unknown() {
	build_client
	net_create a
	node_start a
	count_start 3 silence
	sleep 0.5
	pause_node 1.5
	count_end
	expect_match "outcome" "$COUNT" "^[1-9][0-9]* ok, [1-9][0-9]* unknown, [0-9]+ other, 0 keys wrong, 1 sessions$"
	node_stop a
}

# Its items are gone with the node, so the counts are less than what was acknowledged: exit code 1. But the client goes on.
test_a_node_that_dies_and_comes_back_is_used_again() {
	build_client
	net_create a
	node_start a
	count_start 4 restart
	sleep 0.5
	node_kill a
	node_start a
	count_end 1
	expect_match "outcome" "$COUNT" "^[1-9][0-9]* ok, [1-9][0-9]* unknown, .* 2 sessions$"
	[ "$(ctl a get restart:0)" -gt 0 ] || fail "nothing was counted after the restart"
	node_stop a
}

run_tests
