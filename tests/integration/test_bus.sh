#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Who may use the bus between nodes: keys, names, forged and replayed messages, connections of strangers.
# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/integration/cluster_lib.sh
. "$(dirname "$0")/cluster_lib.sh"

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
