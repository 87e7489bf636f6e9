#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Peers of a shared-memory port that vanish in the middle of their load: the node polls on and serves the next one.
. "$(dirname "$0")/lib.sh"

BENCH=$BUILD/godwit-bench

bench_over_memif() {
	in_net a "$BENCH" --port "memif:$WORK/memif.sock" --server "$NODE_ADDRESS" --ip 10.77.0.9/24 --quiet "$@"
}

# Killed, not asked: the node's cores are polling the rings when their memory goes.
test_peers_that_are_killed_do_not_harm_the_node() {
	net_create a
	node_start a --set data.port.kind=memif --set "data.port.device=$WORK/memif.sock" --set data.idle=spin
	bench_over_memif --load 2000 --keys 2000 --duration 0 --verify >/dev/null || fail "the first peer cannot load"
	for _ in 1 2 3 4 5 6; do
		bench_over_memif --keys 2000 --duration 30 >/dev/null 2>&1 &
		peer=$!
		sleep 1.5
		pkill -KILL -P "$peer" || true
		kill -KILL "$peer" 2>/dev/null || true
		wait "$peer" 2>/dev/null || true
		kill -0 "$(node_pid a)" || fail "the node died with its peer"
	done
	bench_over_memif --load 2000 --keys 2000 --duration 1 --verify >"$WORK/last" ||
		fail "the last peer is not served: $(cat "$WORK/last")"
	node_stop a
}

run_tests
