#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A partition on its way, and what fails meanwhile: each end, the network, memory, or the will.
# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/integration/cluster_lib.sh
. "$(dirname "$0")/cluster_lib.sh"
# shellcheck source=tests/integration/migration_lib.sh
. "$(dirname "$0")/migration_lib.sh"

# A member that does not answer for long is not taken for dead, where none is.
CLUSTER_PROBE_MS=500

test_a_cancelled_move_leaves_the_partition_where_it_was() {
	slow_pair
	expect_match "second move" "$(api c POST /v1/migrations '{"partition": 0, "node": "c"}')" 'error'
	api a DELETE /v1/migrations/0 >/dev/null
	wait_until 10 is_idle a
	wait_until 10 is_idle b
	wait_until 5 logged a 'a partition stays here .*reason="cancelled"'
	wait_until 5 logged b 'could not be taken over .*reason="cancelled"'
	expect_equal "partitions" "$(partitions_at a)" "1 a 1 owned"
	expect_equal "value" "$(item b get key)" value
	node_stop a
	node_stop b
	node_stop c
}

test_a_killed_target_costs_nothing() {
	local CLUSTER_PROBE_MS=150
	slow_pair
	node_kill b
	item a set key other >/dev/null
	wait_until 30 logged a 'a partition stays here .*reason="the other node died"'
	wait_until 10 is_idle a
	expect_equal "partitions" "$(partitions_at a)" "1 a 1 owned"
	expect_equal "value" "$(item c get key)" other
	cluster_start b "${SLOW[@]}"
	wait_until 20 sees_states b "a=alive b=alive c=alive "
	expect_equal "value by the target's next life" "$(item b get key)" other
	node_stop a
	node_stop b
	node_stop c
}

test_a_killed_source_leaves_nothing_half_at_the_target() {
	local CLUSTER_PROBE_MS=150
	slow_pair
	node_kill a
	wait_until 30 logged b 'could not be taken over .*reason="the other node died"'
	wait_until 10 is_idle b
	expect_equal "partitions" "$(partitions_at b)" "1 a 1 lost"
	cluster_start a "${SLOW[@]}" --set cluster.bootstrap=on
	wait_until 30 sees_partitions b "1 a 2 owned"
	expect_equal "a read" "$(code_of item b get key)" 1
	item b set key anew >/dev/null
	expect_equal "value" "$(item a get key)" anew
	node_stop a
	node_stop b
	node_stop c
}

test_a_cut_control_network_delays_the_move() {
	slow_pair
	cable a control down
	item a set key other >/dev/null
	sleep 1.5
	cable a control up
	wait_until 40 sees_partitions b "1 b 2 owned"
	wait_until 20 is_idle a
	expect_equal "value" "$(item c get key)" other
	node_stop a
	node_stop b
	node_stop c
}

test_a_target_out_of_memory_gives_up_and_the_source_serves_on() {
	cluster_net_create a b
	cluster_start a --set cluster.bootstrap=on --set cluster.join=none --set storage.partitions=1
	wait_until 10 logged a 'cluster: member '
	one_by_one 30k 1000
	cluster_start b --set storage.partitions=1 --set storage.memory=16M
	wait_until 20 sees_states b "a=alive b=alive "
	item a set key value >/dev/null
	move 0 b
	wait_until 20 logged a 'a partition stays here .*reason="the target is out of memory"'
	wait_until 20 is_idle b
	expect_equal "partitions" "$(partitions_at b)" "1 a 1 owned"
	expect_equal "value" "$(item b get key)" value
	item b set key other >/dev/null
	expect_equal "value" "$(item a get key)" other
	node_stop a
	node_stop b
}

test_a_source_that_is_stopped_tells_its_target() {
	slow_pair
	node_stop a
	wait_until 5 logged b 'could not be taken over .*reason="cancelled"'
	wait_until 10 is_idle b
	node_stop b
	node_stop c
}

run_tests
