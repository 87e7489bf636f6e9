#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Partitions move by the plan and by hand: growing, shrinking, weights.
# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/integration/cluster_lib.sh
. "$(dirname "$0")/cluster_lib.sh"

test_a_node_that_joins_takes_its_share() {
	local auto=(--set cluster.auto_rebalance=on)
	cluster_net_create a b c
	cluster_start a --set cluster.bootstrap=on --set cluster.join=none "${auto[@]}"
	wait_until 10 logged a 'cluster: member '
	fill a 12
	cluster_start b "${auto[@]}"
	wait_until 30 owns a b 32
	cluster_start c "${auto[@]}"
	wait_until 30 owns b a 21
	wait_until 30 owns b c 21
	check_items a 12
	check_items c 12
	wait_until 10 logged c 'rebalance: is done'
	expect_equal "cluster check" "$(ctl b cluster check)" "all is well"
}

test_a_node_that_leaves_is_emptied_and_loses_nothing() {
	cluster_net_create a b c
	cluster_form a b c
	fill a 12
	expect_match "leave" "$(ctl a --timeout 5s cluster leave)" 'left: the node has given everything away'
	node_end a
	expect_equal "exit code" "$NODE_CODE" 0
	wait_until 10 sees_states b "a=left b=alive c=alive "
	wait_until 10 owns b b 32
	wait_until 10 owns c c 32
	check_items b 12
	check_items c 12
	expect_equal "cluster check" "$(ctl b cluster check)" "all is well"
}

test_a_move_by_hand_is_waited_for_and_stays() {
	cluster_net_create a b c
	cluster_form a b c
	fill a 12
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
	check_items c 12
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
	fill c 12
	check_items a 12
}

test_a_rebalance_by_hand_heeds_weights() {
	cluster_net_create a b c
	cluster_start a --set cluster.bootstrap=on --set cluster.join=none
	wait_until 10 logged a 'cluster: member '
	cluster_start b --set cluster.weight=300
	wait_until 20 sees_states a "a=alive b=alive "
	fill a 12
	expect_match "dry run" "$(ctl a rebalance --dry-run)" '63 +a +b'
	expect_equal "moves" "$(ctl a rebalance --dry-run | grep -c ' a *b$')" 48
	expect_equal "nothing moved" "$(partitions_at b)" "64 a 1 owned"
	expect_match "rebalance" "$(ctl b rebalance)" 'rebalanced: 48 partitions were to move'
	wait_until 10 sees_partitions a "$(printf '16 a 1 owned\n48 b 2 owned')"
	expect_equal "again" "$(ctl a rebalance)" "balanced: nothing to move"
	check_items b 12
	cluster_start c --set cluster.weight=0
	wait_until 20 sees_states a "a=alive b=alive c=alive "
	expect_equal "for a node without weight" "$(ctl c rebalance)" "balanced: nothing to move"
}

run_tests
