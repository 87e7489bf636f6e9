#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Partitions move between real nodes, with writes all the while.
# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/integration/cluster_lib.sh
. "$(dirname "$0")/cluster_lib.sh"
# shellcheck source=tests/integration/migration_lib.sh
. "$(dirname "$0")/migration_lib.sh"

# Nobody dies here, however slow the machine is.
CLUSTER_PROBE_MS=500

# Whether b has something of what a scans, so that the cursor is past the first keys.
a_batch_has_come() {
	[ "$(counter b migration_records_received)" -gt 0 ]
}

test_a_write_before_the_scan_stays_and_one_behind_it_is_shipped_and_both_are_at_the_target() {
	cluster_net_create a b
	cluster_start a --set cluster.bootstrap=on --set cluster.join=none "${SLOW[@]}"
	wait_until 10 logged a 'cluster: member '
	item a set first old >/dev/null
	one_by_one 1k 1000
	item a set last old >/dev/null
	cluster_start b "${SLOW[@]}"
	wait_until 20 sees_states b "a=alive b=alive "
	move 0 b
	wait_until 10 is_phase a "0 source copying"
	wait_until 10 a_batch_has_come
	# not migrated: the write succeeds at the source, and nothing else happens
	item a set last new >/dev/null
	expect_equal "the source's last" "$(item a get last)" new
	expect_equal "writes shipped" "$(counter a migration_deltas_sent)" 0
	# migrated: the target gets the write as well, before the scan goes on
	item a set first new >/dev/null
	expect_equal "the source's first" "$(item a get first)" new
	wait_until 5 counts a migration_deltas_sent 1
	is_phase a "0 source copying" || fail "it is $(jobs_at a)"
	sees_partitions a "1 a 1 owned" || expect_match "owner" "$(partitions_at a)" '^1 a 1 '
	wait_until 20 sees_partitions b "1 b 2 owned"
	wait_until 10 is_idle a
	node_stop a
	# what is read now can come from nowhere else
	expect_equal "the target's first" "$(item b get first)" new
	expect_equal "the target's last" "$(item b get last)" new
	node_stop b
}

# moves NODE...: all 8 partitions to each of them in turn.
moves() {
	local node partition
	for node in "$@"; do
		for partition in 0 1 2 3 4 5 6 7; do
			move $partition "$node"
		done
		wait_until 20 sees_partitions_of "$node"
	done
}

sees_partitions_of() {
	[[ $(partitions_at "$1") =~ ^8\ $1\ [0-9]+\ owned$ ]]
}

test_partitions_go_round_under_load_and_no_request_fails() {
	local code=0 client
	build_target "${BUILD#"$TOP"/}/tests/integration/counter_client"
	NODE_DEFAULTS+=(--set storage.partitions=8 --set migration.jobs=8)
	cluster_net_create a b c
	cluster_form a b c
	one_by_one 20k 100
	# no function in between, so that $! is the client's own number
	LD_LIBRARY_PATH=$BUILD ip netns exec "$(net_name hub)" timeout 60 "$BUILD/tests/integration/counter_client" \
		"$(data_address a)" 6 64 key >"$WORK/count" &
	client=$!
	moves b c a b c
	wait $client || code=$?
	expect_equal "exit code of the client" $code 0
	expect_match "counts" "$(cat "$WORK/count")" '^[0-9]{3,} ok, 0 unknown, 0 other, 0 keys wrong'
	expect_equal "begun" "$(counter a migrations_out_started)" 16
	expect_equal "kept" "$(counter a migrations_out_failed)" 0
	for node in a b c; do
		wait_until 10 is_idle $node
		expect_equal "partitions at $node" "$(partitions_at $node)" "8 c 6 owned"
		expect_equal "cluster check at $node" "$(ctl $node cluster check)" "all is well"
	done
	for node in a b c; do
		node_stop $node
	done
}

test_values_deletes_and_counters_survive_the_moves_through_one_node() {
	local client
	NODE_DEFAULTS+=(--set storage.partitions=8 --set migration.jobs=8)
	cluster_net_create a b
	cluster_form a b
	: >"$WORK/bench"
	ip netns exec "$(net_name hub)" timeout 60 "$BUILD/godwit-bench" --server "$(data_address a)" --load 10k \
		--value-size 20-900 --mix get=2,set=3,delete=1,increment=1,cas=1,append=1 --outstanding 16 --duration 5 \
		--retries 50 --timeout 100 --verify --quiet >"$WORK/bench" 2>&1 &
	client=$!
	wait_until 20 grep -q loaded "$WORK/bench"
	moves b a b a
	wait $client || true
	expect_match "verification" "$(cat "$WORK/bench")" 'checked: 0 wrong, 0 stale, 0 missing'
	! grep -q 'unavailable' "$WORK/bench" || fail "$(grep unavailable "$WORK/bench")"
	node_stop a
	node_stop b
}

run_tests
