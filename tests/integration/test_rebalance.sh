#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Partitions move by the plan and by hand: growing, shrinking, weights, orders and their refusals.
# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/integration/cluster_lib.sh
. "$(dirname "$0")/cluster_lib.sh"

# owns AT NODE COUNT: whether NODE owns so many partitions, as AT sees it.
owns() {
	[ "$(ctl "$1" -o json partitions | python3 -c 'import json, sys
print(sum(p["owner"] == sys.argv[1] for p in json.load(sys.stdin)["partitions"]))' "$2")" = "$3" ]
}

# fill NODE COUNT: so many items of that node.
fill() {
	local i
	for i in $(seq 1 "$2"); do
		item "$1" set "key-$i" "value-$i" >/dev/null
	done
}

# check_items NODE COUNT: whether all are there.
check_items() {
	local i
	for i in $(seq 1 "$2"); do
		expect_equal "key-$i at $1" "$(item "$1" get "key-$i")" "value-$i"
	done
}

# api NODE METHOD PATH [BODY]: the reply, then the status in a line of its own.
api() {
	in_net "$1" curl -s -X "$2" -H 'Content-Type: application/json' ${4:+-d "$4"} -w '\n%{http_code}\n' \
		"http://127.0.0.1:7780$3"
}

test_a_node_that_joins_takes_its_share() {
	local auto=(--set cluster.auto_rebalance=on)
	cluster_net_create a b c
	cluster_start a --set cluster.bootstrap=on --set cluster.join=none "${auto[@]}"
	wait_until 10 logged a 'cluster: member '
	fill a 40
	cluster_start b "${auto[@]}"
	wait_until 30 owns a b 32
	cluster_start c "${auto[@]}"
	wait_until 30 owns b a 21
	wait_until 30 owns b c 21
	check_items a 40
	check_items c 40
	wait_until 10 logged c 'rebalance: is done'
	expect_equal "cluster check" "$(ctl b cluster check)" "all is well"
}

test_a_node_that_leaves_is_emptied_and_loses_nothing() {
	cluster_net_create a b c
	cluster_form a b c
	fill a 40
	expect_match "leave" "$(ctl a --timeout 5s cluster leave)" 'left: the node has given everything away'
	node_end a
	expect_equal "exit code" "$NODE_CODE" 0
	wait_until 10 sees_states b "a=left b=alive c=alive "
	wait_until 10 owns b b 32
	wait_until 10 owns c c 32
	check_items b 40
	check_items c 40
	expect_equal "cluster check" "$(ctl b cluster check)" "all is well"
}

test_a_move_by_hand_is_waited_for_and_stays() {
	cluster_net_create a b c
	cluster_form a b c
	fill a 30
	expect_match "migrate at a third node" "$(ctl c migrate 7 b)" \
		'^partition 7 has moved from a to b: [0-9.]+ items, [0-9.]+ [KM]?i?B, in [0-9]+'
	expect_equal "exit code at the target" "$(code_of ctl b migrate 8 b)" 0
	expect_equal "exit code at the source" "$(code_of ctl a migrate 9 c)" 0
	wait_until 10 sees_partitions c "$(printf '61 a 1 owned\n2 b 2 owned\n1 c 2 owned')"
	expect_match "migrations" "$(ctl c migrations)" '7 +a +b +moved'
	expect_equal "ended jobs" "$(ctl b -o json migrations |
		python3 -c 'import json, sys; print(sum(p["ok"] for p in json.load(sys.stdin)["past"]))')" 3
	expect_match "without waiting" "$(ctl a migrate 10 b --no-wait)" '^begun: partition 10 from a to b'
	wait_until 10 owns c b 3
	expect_match "as JSON" "$(ctl a -o json migrate 11 b)" '"ok": true'
	check_items c 30
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

# owns_some AT NODE: whether NODE owns at least four partitions, as AT sees it.
owns_some() {
	[ "$(ctl "$1" partitions --of "$2" | wc -l)" -gt 4 ]
}

# none_moves AT: whether no living node announces anything.
none_moves() {
	[ "$(ctl "$1" -o json nodes | python3 -c 'import json, sys
print(sum(n["importing"] + n["migrating"] for n in json.load(sys.stdin)["nodes"] if n["state"] == "alive"))')" = 0 ]
}

test_a_rebalance_survives_the_death_of_the_node_it_is_for() {
	local auto=(--set cluster.auto_rebalance=on)
	cluster_net_create a b c
	cluster_start a --set cluster.bootstrap=on --set cluster.join=none "${auto[@]}"
	wait_until 10 logged a 'cluster: member '
	cluster_start b "${auto[@]}"
	wait_until 30 owns a b 32
	cluster_start c "${auto[@]}"
	wait_until 30 owns_some a c
	node_kill c
	wait_until 30 sees_states a "a=alive b=alive c=dead "
	wait_until 30 none_moves a
	cluster_start c "${auto[@]}"
	wait_until 40 owns a c 21
	wait_until 10 none_moves b
	wait_until 10 sees_states b "a=alive b=alive c=alive "
	expect_equal "cluster check" "$(ctl b cluster check)" "all is well"
	fill c 20
	check_items a 20
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
	fill a 20
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
	check_items c 20
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

test_a_rebalance_by_hand_heeds_weights() {
	cluster_net_create a b c
	cluster_start a --set cluster.bootstrap=on --set cluster.join=none
	wait_until 10 logged a 'cluster: member '
	cluster_start b --set cluster.weight=300
	wait_until 20 sees_states a "a=alive b=alive "
	fill a 20
	expect_match "dry run" "$(ctl a rebalance --dry-run)" '63 +a +b'
	expect_equal "moves" "$(ctl a rebalance --dry-run | grep -c ' a *b$')" 48
	expect_equal "nothing moved" "$(partitions_at b)" "64 a 1 owned"
	expect_match "rebalance" "$(ctl b rebalance)" 'rebalanced: 48 partitions were to move'
	wait_until 10 sees_partitions a "$(printf '16 a 1 owned\n48 b 2 owned')"
	expect_equal "again" "$(ctl a rebalance)" "balanced: nothing to move"
	check_items b 20
	cluster_start c --set cluster.weight=0
	wait_until 20 sees_states a "a=alive b=alive c=alive "
	expect_equal "for a node without weight" "$(ctl c rebalance)" "balanced: nothing to move"
}

run_tests
