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

run_tests
