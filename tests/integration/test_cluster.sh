#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Nodes form a cluster and see each other live and die; strangers and forgers are kept out.
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

test_a_wrong_key_is_told_and_ends_the_joiner() {
	cluster_net_create a b
	cluster_start a --set cluster.bootstrap=on --set cluster.join=none
	wait_until 10 logged a 'cluster: member '
	"$GODWITCTL" cluster key >"$WORK/other-key"
	cluster_launch b --set cluster.key_file="$WORK/other-key"
	node_end b
	expect_equal "exit code" "$NODE_CODE" 1
	expect_match "log" "$(cat "$(node_log b)")" \
		'error cluster: cannot join 10\.88\.0\.1:7800 not understood \(wrong_key\): the sender uses another cluster key'
	cluster_launch b --set cluster.key_file=none --set cluster.insecure_bus=on
	node_end b
	expect_equal "exit code without a key" "$NODE_CODE" 1
	expect_match "log without a key" "$(cat "$(node_log b)")" 'cannot join .*wrong_key'
	[ "$(cluster_value a bus.refused.wrong_key)" -ge 2 ] || fail "not counted"
	expect_match "log of the member" "$(cat "$(node_log a)")" \
		'warning bus: refused a message reason=wrong_key from=10\.88\.0\.2'
	expect_equal "nodes" "$(states_at a)" "a=alive "
}

test_a_wrong_cluster_name_is_told_and_ends_the_joiner() {
	cluster_net_create a b
	cluster_start a --set cluster.bootstrap=on --set cluster.join=none
	wait_until 10 logged a 'cluster: member '
	cluster_launch b --set cluster.name=tset
	node_end b
	expect_equal "exit code" "$NODE_CODE" 1
	expect_match "log" "$(cat "$(node_log b)")" \
		'error cluster: cannot join 10\.88\.0\.1:7800 not understood \(wrong_cluster\): .*check cluster.name'
	[ "$(cluster_value a bus.refused.wrong_cluster)" -ge 1 ] || fail "not counted"
}

test_another_number_of_partitions_is_told_and_ends_the_joiner() {
	cluster_net_create a b
	cluster_start a --set cluster.bootstrap=on --set cluster.join=none
	wait_until 10 logged a 'cluster: member '
	cluster_launch b --set storage.partitions=128
	node_end b
	expect_equal "exit code" "$NODE_CODE" 1
	expect_match "log" "$(cat "$(node_log b)")" \
		'cannot join .*the cluster has 64 partitions: set storage.partitions to that'
	expect_equal "nodes" "$(states_at a)" "a=alive "
}

test_a_name_that_is_taken_is_refused() {
	cluster_net_create a b c
	cluster_form a b
	cluster_start c --set node.name=b
	wait_until 15 logged c 'a running node is named b; give the joining one another node.name'
	sleep 1
	expect_equal "nodes" "$(states_at a)" "a=alive b=alive "
	expect_equal "address of b" "$(ctl a -o json nodes | grep -c '10.88.0.3')" 0
}

test_a_bus_without_key_must_be_asked_for() {
	cluster_net_create a
	expect_equal "exit code" "$(code_of cluster_launch_and_wait a --set cluster.key_file=none)" 2
	expect_match "message" "$(cat "$(node_log a)")" \
		'cluster.listen: expected cluster.key_file as well'
	echo "not a key" >"$WORK/key"
	expect_equal "exit code with a bad key" "$(code_of cluster_launch_and_wait a)" 1
	expect_match "message" "$(cat "$(node_log a)")" \
		'error cluster: cluster.key_file: .*/key line 1: expected one or two keys of 64 hexadecimal'
}

cluster_launch_and_wait() {
	cluster_launch "$@"
	node_end "$1"
	return "$NODE_CODE"
}

test_forged_replayed_and_cut_packets_are_counted_and_change_nothing() {
	local sent kind
	cluster_net_create a b
	cluster_form a b
	sent=$(in_net hub python3 "$TOP/tests/integration/bus_forge.py" control-a 10.88.0.1 7800) ||
		fail "cannot forge: $sent"
	sleep 0.5
	for kind in $sent; do
		[ "$(cluster_value a "bus.refused.${kind%=*}")" -ge "${kind#*=}" ] ||
			fail "sent $kind, counted $(cluster_value a "bus.refused.${kind%=*}")"
		[ "$(counter a "bus_refused_${kind%=*}")" -ge "${kind#*=}" ] ||
			fail "sent $kind, counter $(counter a "bus_refused_${kind%=*}")"
	done
	expect_match "log" "$(cat "$(node_log a)")" 'warning bus: refused a message reason=forged'
	expect_at_most "log lines" "$(grep -c 'refused a message reason=truncated' "$(node_log a)")" 5
	sleep 3
	expect_equal "states at a" "$(states_at a)" "a=alive b=alive "
	expect_equal "cluster check" "$(ctl a cluster check)" "all is well"
}

test_forged_replayed_and_cut_channels_are_counted_and_change_nothing() {
	local expected one recorder
	cluster_net_create a b
	cluster_start a --set cluster.bootstrap=on --set cluster.join=none
	wait_until 10 logged a 'cluster: member '
	in_net hub python3 "$TOP/tests/integration/bus_intrude.py" record control-a 10.88.0.1 7800 "$WORK/greeting" \
		>"$WORK/recording" &
	recorder=$!
	echo $recorder >>"$WORK/pids"
	wait_until 10 grep -q recording "$WORK/recording"
	cluster_start b
	wait $recorder || fail "no channel was recorded"
	sed -i "/^$recorder\$/d" "$WORK/pids"
	wait_until 30 sees_states a "a=alive b=alive "
	expected=$(in_net hub python3 "$TOP/tests/integration/bus_intrude.py" send 10.88.0.1 7800 "$WORK/greeting") ||
		fail "cannot intrude: $expected"
	for one in $expected; do
		wait_until 10 counted a "bus_${one%=*}" "${one#*=}"
	done
	for one in forged wrong_version wrong_cluster wrong_key truncated; do
		expect_match "log" "$(cat "$(node_log a)")" "warning bus: refused a message reason=$one"
	done
	expect_at_most "log lines" "$(grep -c 'refused a message reason=truncated' "$(node_log a)")" 10
	expect_equal "states at a" "$(states_at a)" "a=alive b=alive "
	expect_equal "cluster check" "$(ctl a cluster check)" "all is well"
}

# counted NODE COUNTER MIN
counted() {
	[ "$(counter "$1" "$2")" -ge "$3" ]
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

test_keys_are_rotated_without_a_pause() {
	local node
	cluster_net_create a b
	cluster_form a b
	"$GODWITCTL" cluster key >"$WORK/new"
	cat "$WORK/key" "$WORK/new" >"$WORK/both" && cp "$WORK/both" "$WORK/key"
	for node in a b; do ctl $node cluster reload-keys; done
	sleep 1
	cat "$WORK/new" <(head -1 "$WORK/both") >"$WORK/key"
	for node in a b; do ctl $node cluster reload-keys && sleep 1; done
	cp "$WORK/new" "$WORK/key"
	for node in a b; do ctl $node cluster reload-keys && sleep 1; done
	sleep 3
	for node in a b; do
		expect_equal "states at $node" "$(states_at $node)" "a=alive b=alive "
		expect_equal "refused at $node" "$(cluster_value $node bus.refused.wrong_key)" 0
	done
	echo nonsense >"$WORK/key"
	expect_equal "exit code" "$(code_of ctl a cluster reload-keys)" 5
	expect_match "message" "$(cat "$WORK/output")" 'key line 1: expected'
}

test_a_node_by_itself_has_no_bus() {
	net_create a
	node_start a
	expect_equal "sockets" "$(in_net a ss -Hlntu | grep -vc ':7780 ' || true)" 0
	expect_equal "check" "$(ctl a cluster check)" "all is well"
	expect_match "status" "$(ctl a cluster status)" 'bus off'
	expect_equal "partitions" "$(partitions_at a)" "64 godwit 1 owned"
	expect_equal "exit code of join" "$(code_of ctl a cluster join 10.0.0.1:7800)" 1
	expect_match "message" "$(cat "$WORK/output")" 'no cluster bus: start it with cluster.listen'
	node_stop a
}

run_tests
