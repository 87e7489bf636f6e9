#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Orders that are refused, and why: what makes no sense, and what must not happen at the same time.
# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/integration/cluster_lib.sh
. "$(dirname "$0")/cluster_lib.sh"

# api NODE METHOD PATH [BODY]: the reply, then the status in a line of its own.
api() {
	in_net "$1" curl -s -X "$2" -H 'Content-Type: application/json' ${4:+-d "$4"} -w '\n%{http_code}\n' \
		"http://127.0.0.1:7780$3"
}

test_orders_that_make_no_sense_are_refused_and_change_nothing() {
	local node
	cluster_net_create a b c
	cluster_form a b c
	expect_equal "exit code of no such partition" "$(code_of ctl a migrate 64 b)" 1
	expect_match "message" "$(cat "$WORK/output")" '404: there are partitions 0 to 63'
	expect_equal "exit code of no such node" "$(code_of ctl a migrate 7 x)" 1
	expect_match "message" "$(cat "$WORK/output")" '404: no member is named x; godwitctl nodes'
	expect_equal "exit code of the owner itself" "$(code_of ctl b migrate 7 a)" 1
	expect_match "message" "$(cat "$WORK/output")" "409: partition 7 is a's already"
	expect_equal "exit code of nothing to cancel" "$(code_of ctl b cancel 7)" 1
	expect_match "message" "$(cat "$WORK/output")" '404: no migration of partition 7'
	expect_equal "exit code of a bad number" "$(code_of ctl b migrate seven b)" 2
	expect_equal "exit code of a bad claim" "$(code_of ctl b partition claim 64 --accept-data-loss)" 1
	expect_match "bad JSON" "$(api a POST /v1/migrations '{"partition": "7"}')" '400$'
	expect_match "a negative one" "$(api a POST /v1/migrations '{"partition": -1, "node": "b"}')" '400$'
	expect_match "a path that is no number" "$(api a DELETE /v1/migrations/seven)" '400$'
	node_kill c
	wait_until 30 sees_states a "a=alive b=alive c=dead "
	expect_equal "exit code of a dead node" "$(code_of ctl a migrate 7 c)" 5
	expect_match "message" "$(cat "$WORK/output")" '503: c is dead: start it again, or name another node'
	for node in a b; do
		expect_equal "partitions at $node" "$(partitions_at $node)" "64 a 1 owned"
	done
}

# announces AT PARTITION NODE: whether NODE imports PARTITION, as AT has heard.
announces() {
	[ "$(ctl "$1" -o json partitions | python3 -c 'import json, sys
print(json.load(sys.stdin)["partitions"][int(sys.argv[1])]["importer"])' "$2")" = "$3" ]
}

# A source that stands still keeps its partition on its way for as long as it is thought alive.
test_while_a_partition_is_on_its_way_the_cluster_keeps_its_size() {
	local CLUSTER_PROBE_MS=1000 way='partition 7 is on its way from a to b'
	cluster_net_create a b c
	cluster_form a b c
	node_signal a STOP
	expect_match "migrate" "$(ctl b migrate 7 b --no-wait)" '^begun: partition 7 from a to b'
	wait_until 3 announces c 7 b
	expect_equal "exit code of leave" "$(code_of ctl c cluster leave)" 1
	expect_match "message" "$(cat "$WORK/output")" "409: $way"
	expect_equal "exit code of rebalance" "$(code_of ctl c rebalance)" 1
	expect_match "message" "$(cat "$WORK/output")" "409: $way"
	expect_equal "exit code of migrate elsewhere" "$(code_of ctl c migrate 7 c)" 1
	expect_match "message" "$(cat "$WORK/output")" "409: $way already"
	expect_match "migrations" "$(ctl c migrations)" 'no answer +a .*7 +a +b +preparing'
	expect_match "cancel at a third node" "$(ctl c cancel 7)" 'cancelled: partition 7 stays'
	wait_until 3 announces c 7 None
	expect_match "migrations" "$(ctl b migrations)" '7 +a +b +cancelled'
	node_signal a CONT
	wait_until 30 sees_states c "a=alive b=alive c=alive "
	wait_until 30 sees_states a "a=alive b=alive c=alive "
	expect_equal "exit code of migrate" "$(code_of ctl c migrate 7 b)" 0
	wait_until 10 sees_partitions c "$(printf '63 a 1 owned\n1 b 2 owned')"
}

test_while_a_node_leaves_no_other_change_is_begun() {
	local CLUSTER_PROBE_MS=1000
	cluster_net_create a b c
	cluster_form a b c
	fill a 12
	node_signal c STOP
	ctl a cluster leave --no-wait
	wait_until 5 says_leaving b a
	expect_equal "exit code of leave" "$(code_of ctl b cluster leave)" 1
	expect_match "message" "$(cat "$WORK/output")" '409: a is leaving: wait until it has left'
	expect_equal "exit code of rebalance" "$(code_of ctl b rebalance)" 1
	expect_match "message" "$(cat "$WORK/output")" '409: a is leaving'
	expect_equal "exit code of migrate" "$(code_of ctl b migrate 7 b)" 1
	expect_match "message" "$(cat "$WORK/output")" '409: a is leaving'
	expect_equal "exit code of migrate to it" "$(code_of ctl b migrate 7 a)" 1
	expect_match "message" "$(cat "$WORK/output")" '409: a is leaving: name another node'
	node_signal c CONT
	node_end a
	expect_equal "exit code of the one that left" "$NODE_CODE" 0
	wait_until 30 sees_states b "a=left b=alive c=alive "
	wait_until 10 owns b b 32
	check_items c 12
}

# says_leaving AT NODE
says_leaving() {
	ctl "$1" nodes | grep -q "^$2 .*, leaving"
}

test_a_node_that_nobody_can_relieve_says_so() {
	local CLUSTER_PROBE_MS=1000
	cluster_net_create a b
	cluster_form a b
	node_kill b
	ctl a cluster leave --no-wait
	wait_until 40 sees_states a "a=alive b=dead "
	expect_equal "exit code of check" "$(code_of ctl a cluster check)" 1
	expect_match "check" "$(cat "$WORK/output")" 'a is leaving, and no living member may take its partitions'
	ctl a cluster leave --cancel
	expect_equal "exit code of the last one's leave" "$(code_of ctl a cluster leave)" 1
	expect_equal "exit code of rebalance" "$(code_of ctl a rebalance --dry-run)" 0
	expect_equal "plan" "$(cat "$WORK/output")" "balanced: nothing to move"
}

run_tests
