#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Nodes are cut off, die, leave, are removed, and come back: who owns and serves what.
# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/integration/cluster_lib.sh
. "$(dirname "$0")/cluster_lib.sh"

test_a_node_cut_off_stops_serving_until_it_has_asked_the_others() {
	cluster_net_create a b c
	cluster_form a b c
	item a set key value >/dev/null
	cable a control down
	wait_until 15 logged a 'error cluster: no majority of the members is seen'
	expect_equal "exit code of get" "$(code_of item a get key)" 5
	expect_match "message" "$(cat "$WORK/output")" 'no node may serve'
	expect_equal "partitions at a" "$(partitions_at a)" "64 a 1 fenced"
	expect_equal "exit code of check" "$(code_of ctl a cluster check)" 1
	expect_match "check" "$(cat "$WORK/output")" 'sees no majority'
	cable a control up
	wait_until 40 cluster_value_is a node.serving True
	expect_equal "the value" "$(item a get key)" "value"
	wait_until 20 sees_states b "a=alive b=alive c=alive "
	expect_equal "partitions at b" "$(partitions_at b)" "64 a 1 owned"
}

test_without_fencing_a_node_serves_on() {
	cluster_net_create a b c
	cluster_launch a --set cluster.bootstrap=on --set cluster.fencing=none
	cluster_start b --set cluster.fencing=none
	cluster_start c --set cluster.fencing=none
	wait_until 30 sees_states a "a=alive b=alive c=alive "
	item a set key value >/dev/null
	cable a control down
	wait_until 30 sees_states a "a=alive b=dead c=dead "
	expect_equal "the value" "$(item a get key)" "value"
	expect_equal "serving" "$(cluster_value a node.serving)" True
}

test_an_owner_that_restarts_serves_again_empty_at_the_next_epoch() {
	cluster_net_create a b c
	cluster_form a b c
	item a set key value >/dev/null
	node_kill a
	wait_until 30 sees_states b "a=dead b=alive c=alive "
	expect_equal "partitions at b" "$(partitions_at b)" "64 a 1 lost"
	cluster_start a
	wait_until 30 logged a 'warning cluster: takes back, empty, .* partitions=64'
	wait_until 10 sees_partitions b "64 a 2 owned"
	wait_until 10 sees_partitions c "64 a 2 owned"
	expect_equal "exit code of get" "$(code_of item a get key)" 1
	item a set key again >/dev/null
	expect_equal "the value" "$(item a get key)" "again"
	expect_equal "check" "$(ctl b cluster check)" "all is well"
}

test_partitions_of_a_dead_node_are_given_up_and_the_node_is_removed() {
	cluster_net_create a b c
	cluster_form a b c
	expect_equal "exit code of a remove of the living" "$(code_of ctl b cluster remove a)" 1
	expect_match "message" "$(cat "$WORK/output")" 'a is alive: let it leave'
	expect_equal "exit code of a remove of nobody" "$(code_of ctl b cluster remove x)" 1
	expect_equal "exit code of a remove of itself" "$(code_of ctl b cluster remove b)" 1
	expect_equal "exit code of a claim of the living's" \
		"$(code_of ctl b partition claim 3 --accept-data-loss)" 1
	expect_match "message" "$(cat "$WORK/output")" 'partition 3 belongs to a, which is alive'
	node_kill a
	wait_until 30 sees_states b "a=dead b=alive c=alive "
	expect_equal "exit code of a remove of an owner" "$(code_of ctl b cluster remove a)" 1
	expect_match "message" "$(cat "$WORK/output")" 'a owns 64 partitions, .*partition claim --of a'
	expect_equal "exit code without consent" "$(code_of ctl b partition claim --of a)" 2
	ctl b partition claim 3 --accept-data-loss >/dev/null
	wait_until 10 sees_partitions c "$(printf '63 a 1 lost\n1 b 2 owned')"
	ctl b partition claim --of a --accept-data-loss >/dev/null
	wait_until 10 sees_partitions c "64 b 2 owned"
	expect_equal "remove" "$(ctl c cluster remove a)" "removed: a"
	wait_until 10 sees_states b "a=removed b=alive c=alive "
	item b set key value >/dev/null
	expect_equal "the value" "$(item b get key)" "value"
	cluster_start a
	wait_until 20 sees_states b "a=alive b=alive c=alive "
	wait_until 10 sees_partitions a "64 b 2 owned"
}

test_a_removed_node_that_still_lives_ends_and_does_not_come_back() {
	cluster_net_create a b c
	cluster_form a b c
	node_signal c STOP
	wait_until 30 sees_states a "a=alive b=alive c=dead "
	expect_equal "remove" "$(ctl b cluster remove c)" "removed: c"
	wait_until 10 sees_states a "a=alive b=alive c=removed "
	node_signal c CONT
	node_end c
	expect_equal "exit code of the removed" "$NODE_CODE" 3
	expect_match "log" "$(cat "$(node_log c)")" 'error cluster: this node was removed from the cluster'
	sleep 2
	expect_equal "states at a" "$(states_at a)" "a=alive b=alive c=removed "
	expect_equal "states at b" "$(states_at b)" "a=alive b=alive c=removed "
	cluster_start c
	wait_until 20 sees_states a "a=alive b=alive c=alive "
}

test_a_node_without_partitions_leaves_and_exits_with_0() {
	cluster_net_create a b c
	cluster_form a b c
	expect_match "leave" "$(ctl c cluster leave)" 'left: the node has given everything away'
	node_end c
	expect_equal "exit code" "$NODE_CODE" 0
	expect_match "log" "$(cat "$(node_log c)")" 'info cluster: has left'
	wait_until 10 sees_states a "a=alive b=alive c=left "
	wait_until 10 sees_states b "a=alive b=alive c=left "
	expect_equal "check" "$(ctl a cluster check)" "all is well"
	cluster_start c
	wait_until 20 sees_states a "a=alive b=alive c=alive "
}

test_leaving_can_be_taken_back() {
	cluster_net_create a b
	cluster_form a b
	ctl a cluster leave --no-wait
	wait_until 10 says b a leaving
	ctl a cluster leave --cancel
	wait_until 10 says b a active
	node_is_gone a && fail "it is gone"
	node_kill b
	wait_until 30 sees_states a "a=alive b=dead "
	expect_equal "exit code of the last one's leave" "$(code_of ctl a cluster leave)" 1
	expect_match "message" "$(cat "$WORK/output")" 'the only living member'
}

# says AT NODE STATE: what NODE says of itself, as AT has heard.
says() {
	[ "$(ctl "$1" -o json nodes | python3 -c 'import json, sys
print(next(n["says"] for n in json.load(sys.stdin)["nodes"] if n["name"] == sys.argv[1]))' "$2")" = "$3" ]
}

test_a_stalled_worker_makes_its_node_dead_to_the_others() {
	cluster_net_create a b c
	cluster_form a b c
	hold_worker b
	wait_until 40 sees_states a "a=alive b=dead c=alive "
	release_worker
	wait_until 30 sees_states a "a=alive b=alive c=alive "
	wait_until 30 sees_states c "a=alive b=alive c=alive "
}

run_tests
