#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The load generator against real nodes: over kernel sockets and tap, and over memif, every value verified.
# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

BENCH=$BUILD/godwit-bench

# json PATH: a value of the result, as jq would print it.
json() {
	python3 -c 'import json, sys
value = json.load(open(sys.argv[1]))
for name in sys.argv[2].split("."):
    value = value[name]
print(json.dumps(value))' "$WORK/result.json" "$1"
}

# expect_more WHAT NUMBER THAN
expect_more() {
	[ "$2" -gt "$3" ] || fail "$1: expected more than $3, not $2"
}

# bench NET ARGUMENT...: a run that must be valid. Late sends are no fault on a machine that runs other tests meanwhile.
bench() {
	local net=$1
	shift
	in_net "$net" timeout 100 "$BENCH" --quiet --warmup 0.1 --late-share 100 --timeout 5000 --json "$WORK/result.json" "$@" \
		>"$WORK/output" 2>&1 || fail "godwit-bench $*: exit $?"
	expect_equal "valid" "$(json valid)" true
}

# bench_launch NET ARGUMENT...: starts a run and returns at once.
bench_launch() {
	local net=$1
	shift
	# no function in between, so that $! is the number of godwit-bench itself
	ip netns exec "$(net_name "$net")" "$BENCH" "$@" >"$WORK/output" 2>&1 &
	BENCH_PID=$!
	echo $BENCH_PID >>"$WORK/pids"
}

# bench_end SIGNAL: ends it; BENCH_CODE = its exit code.
bench_end() {
	kill -s "$1" $BENCH_PID
	BENCH_CODE=0
	wait $BENCH_PID 2>/dev/null || BENCH_CODE=$?
	sed -i "/^$BENCH_PID\$/d" "$WORK/pids"
}

# memif_start NODE [ARGUMENT...]: a node whose port is shared memory.
memif_start() {
	local node=$1
	shift
	node_start "$node" --set data.port.kind=memif --set data.port.device="$WORK/memif.sock" "$@"
}

expect_verified() {
	expect_more "values checked" "$(json verification.checked)" "$1"
	expect_equal "wrong values" "$(json verification.wrong)" 0
	expect_equal "stale values" "$(json verification.stale)" 0
	expect_equal "missing keys" "$(json verification.missing)" 0
}

test_every_operation_over_kernel_sockets() {
	net_create a
	node_start a
	bench a --load 20k --ops 4 --outstanding 32 --duration 2 --verify --value-size 0-100 --mix \
		get=10,set=10,insert=1,delete=1,add=2,replace=2,cas=5,increment=5,append=1,touch=2,get_and_touch=2,exists=2,ttl=2
	expect_verified 20000
	for kind in get set insert delete add replace cas increment append touch get_and_touch exists ttl; do
		expect_more "$kind answered ok" "$(json operations.$kind.ok)" 0
		[ $kind = append ] || expect_equal "errors of $kind" "$(json operations.$kind.errors)" 0
	done
	node_stop a
}

test_the_open_loop_over_kernel_sockets() {
	net_create a
	node_start a
	bench a --load 10k --workload d --rate 2000 --duration 2 --verify --workers 2
	expect_verified 10000
	expect_more "planned" "$(json lateness.planned)" 3500
	expect_equal "lost" "$(json datagrams.lost)" 0
	node_stop a
}

test_memif_with_verification() {
	net_create a
	memif_start a
	bench a --port "memif:$WORK/memif.sock" --load 100k --workload a --ops 8 --duration 2 --verify
	expect_verified 200000
	expect_equal "keys loaded" "$(json load.keys)" 100000
	bench a --port "memif:$WORK/memif.sock" --load 100k --workload f --duration 1 --verify --checksum
	expect_verified 100000
	expect_more "CAS answered ok" "$(json operations.cas.ok)" 0
	node_stop a
}

test_memif_on_plain_pages() {
	net_create a
	memif_start a --set storage.huge_pages=off
	bench a --port "memif:$WORK/memif.sock" --load 20k --workload b --duration 1 --verify -- --no-huge -m 256
	expect_verified 20000
	node_stop a
}

test_memif_with_two_workers_on_both_sides() {
	net_create a
	memif_start a --set data.workers=2
	bench a --port "memif:$WORK/memif.sock" --workers 2 --load 50k --mix get=5,set=4,increment=1 --ops 4 --duration 2 --verify
	expect_verified 50000
	expect_equal "workers of the server" "$(json server.workers)" 2
	bench a --port "memif:$WORK/memif.sock" --queues 2 --load 20k --duration 1 --verify
	expect_verified 20000
	node_stop a
}

# A generator that dies must not take the node with it, nor keep the next one out.
test_memif_after_a_killed_generator() {
	net_create a
	memif_start a
	bench_launch a --port "memif:$WORK/memif.sock" --load 10k --duration 60 --quiet
	sleep 2
	bench_end KILL
	expect_equal "exit code" "$BENCH_CODE" 137
	bench a --port "memif:$WORK/memif.sock" --load 10k --duration 1 --verify
	expect_verified 10000
	node_stop a
}

test_a_rate_beyond_reach_is_invalid() {
	net_create a
	node_start a
	expect_equal "exit code" "$(code_of in_net a timeout 60 "$BENCH" --load 1k --rate 20M --duration 1 --timeout 200 --quiet \
		--json "$WORK/result.json")" 3
	expect_equal "valid" "$(json valid)" false
	expect_match "reason" "$(json invalid_reasons)" 'sent late or never'
	expect_match "text" "$(cat "$WORK/output")" 'result +INVALID'
	node_stop a
}

test_an_interrupt_ends_a_run_with_its_result() {
	net_create a
	node_start a
	bench_launch a --load 1k --duration 60 --outstanding 4 --quiet --json "$WORK/result.json"
	sleep 3
	bench_end TERM
	expect_equal "exit code" "$BENCH_CODE" 3
	expect_match "reasons" "$(json invalid_reasons)" 'interrupted'
	expect_more "GETs before" "$(json operations.get.ok)" 0
	node_stop a
}

test_what_cannot_run_says_why() {
	net_create a
	expect_equal "no server" "$(code_of in_net a timeout 30 "$BENCH" --server 127.0.0.1 --quiet)" 1
	expect_match "no server" "$(cat "$WORK/output")" 'no answer to HELLO from port 7700'
	expect_equal "no memif" "$(code_of in_net a timeout 30 "$BENCH" --port "memif:$WORK/none.sock" --quiet)" 1
	expect_match "no memif" "$(cat "$WORK/output")" 'is the other side running'
	expect_equal "usage" "$(code_of "$BENCH" --ops 65)" 2
	expect_match "usage" "$(cat "$WORK/output")" '^godwit-bench: --ops: 65 is out of range: 1 to 64$'
	expect_equal "help" "$(code_of "$BENCH" --help)" 0
}

test_the_page_about_measuring() {
	net_create a
	sed -n 's/^    \$ //p' "$TOP/docs/bench.md" >"$WORK/commands"
	[ -s "$WORK/commands" ] || fail "no commands in bench.md"
	(cd "$WORK" && PATH=$BUILD:$PATH in_net a timeout 90 bash -eux commands >"$WORK/page.log" 2>&1) ||
		fail "a command of bench.md fails"
	expect_equal "valid" "$(json valid)" true
}

run_tests
