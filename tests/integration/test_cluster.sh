#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Nodes form a cluster and see each other live and die.
# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/integration/cluster_lib.sh
. "$(dirname "$0")/cluster_lib.sh"

test_three_nodes_join_and_see_each_other() {
	local node
	cluster_net_create a b c
	cluster_form a b c
	for node in a b c; do
		expect_equal "partitions at $node" "$(partitions_at $node)" "64 a 1 owned"
		expect_equal "cluster check at $node" "$(ctl $node cluster check)" "all is well"
		expect_equal "id at $node" "$(cluster_value $node cluster.id)" \
			"$(cluster_value a cluster.id)"
	done
	expect_match "nodes" "$(ctl b nodes)" 'b \* +alive +10\.88\.0\.2:7800 +10\.77\.0\.2:7700 +1 +100'
	expect_match "status" "$(ctl b cluster status)" 'nodes +3 alive, 0 suspect, 0 dead'
	for node in a b c; do
		node_stop $node
	done
}

test_a_killed_node_is_declared_dead_and_comes_back_as_a_new_generation() {
	local before
	cluster_net_create a b c
	cluster_form a b c
	before=$(generation_at a b)
	node_kill b
	wait_until 30 sees_states a "a=alive b=dead c=alive "
	wait_until 10 sees_states c "a=alive b=dead c=alive "
	expect_equal "exit code of cluster check" "$(code_of ctl a cluster check)" 1
	expect_match "cluster check" "$(cat "$WORK/output")" 'b is dead, with 0 partitions'
	expect_match "log" "$(cat "$(node_log a)")" 'warning cluster: a member is declared dead.*node=b'
	cluster_start b
	wait_until 30 sees_states a "a=alive b=alive c=alive "
	wait_until 10 sees_states c "a=alive b=alive c=alive "
	[ "$(generation_at a b)" -gt "$before" ] || fail "generation $(generation_at a b) after $before"
	wait_until 10 logged a 'a member has started anew node=b'
}

test_a_node_that_restarts_at_once_is_never_thought_dead() {
	local CLUSTER_PROBE_MS=1000 # it must be back before it is declared dead
	cluster_net_create a b
	cluster_form a b
	local before
	before=$(generation_at a b)
	node_kill b
	cluster_start b
	wait_until 20 logged b 'cluster: member '
	wait_until 10 sees_states a "a=alive b=alive "
	[ "$(generation_at a b)" -gt "$before" ] || fail "generation $(generation_at a b) after $before"
	! logged a 'declared dead' || fail "it was declared dead"
}

test_two_that_may_found_agree_on_one_cluster() {
	cluster_net_create a b c
	cluster_launch a --set cluster.bootstrap=on
	cluster_launch b --set cluster.bootstrap=on
	cluster_launch c --set cluster.bootstrap=on
	wait_until 60 sees_states a "a=alive b=alive c=alive "
	wait_until 10 sees_states b "a=alive b=alive c=alive "
	wait_until 10 sees_states c "a=alive b=alive c=alive "
	expect_equal "founders" "$(cat "$WORK"/*.log | grep -c 'founds a cluster')" 1
}

test_a_founder_that_restarts_joins_its_old_cluster() {
	local CLUSTER_PROBE_MS=500 # it must be back before it is declared dead
	cluster_net_create a b
	cluster_form a b
	node_kill a
	cluster_start a --set cluster.bootstrap=on --set cluster.join=none
	wait_until 20 logged a 'cluster: member '
	! logged a 'founds a cluster.*' || [ "$(grep -c 'founds a cluster' "$(node_log a)")" = 1 ] ||
		fail "it founded a second cluster"
	wait_until 20 sees_states b "a=alive b=alive "
	expect_equal "id" "$(cluster_value a cluster.id)" "$(cluster_value b cluster.id)"
}

test_clusters_founded_apart_are_told_and_do_not_merge() {
	local alone=(--set cluster.bootstrap=on --set cluster.join=none)
	cluster_net_create a b
	cluster_form a b
	node_kill b
	cable b control down
	wait_until 30 sees_states a "a=alive b=dead "
	cluster_start b "${alone[@]}"
	wait_until 10 logged b 'founds a cluster'
	cable b control up
	wait_until 40 logged b 'error cluster: another cluster of this name was founded apart'
	wait_until 10 sees_states b "b=alive "
	expect_equal "states at a" "$(states_at a)" "a=alive b=dead "
	expect_equal "exit code of cluster check" "$(code_of ctl b cluster check)" 1
	expect_match "cluster check" "$(cat "$WORK/output")" 'a cluster of the same name was founded apart'
}

test_the_operator_creates_and_joins() {
	cluster_net_create a b c
	cluster_start a --set cluster.join=none
	cluster_start b --set cluster.join=none
	expect_equal "exit code of check" "$(code_of ctl a cluster check)" 1
	expect_match "check" "$(cat "$WORK/output")" 'in no cluster: godwitctl cluster create'
	expect_match "an item" "$(item a get k 2>&1 || true)" 'no node may serve'
	expect_equal "create" "$(ctl a cluster create)" "created: this node is the first member"
	expect_equal "exit code of a second create" "$(code_of ctl a cluster create)" 1
	expect_match "message" "$(cat "$WORK/output")" 'is a member of cluster test already'
	expect_match "join" "$(ctl b cluster join 10.88.0.1:7800)" 'joined: 2 nodes alive'
	expect_equal "join twice" "$(code_of ctl b cluster join 10.88.0.1:7800)" 1
	wait_until 10 sees_states a "a=alive b=alive "
	"$GODWITCTL" cluster key >"$WORK/other-key"
	cluster_start c --set cluster.join=none --set cluster.key_file="$WORK/other-key"
	expect_equal "exit code of a join with a wrong key" \
		"$(code_of ctl c cluster join 10.88.0.1:7800)" 5
	expect_match "message" "$(cat "$WORK/output")" 'not joined: 10.88.0.1:7800 .*wrong_key'
	node_is_gone c && fail "the node ended, though the operator can try again"
	expect_equal "exit code of a bad address" "$(code_of ctl c cluster join nonsense)" 5
	node_stop c
}

run_tests
