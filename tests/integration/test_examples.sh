#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Builds the examples of docs/ as an application would be, and runs them against a real node.
# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

# example NAME ARGUMENT...: run in the node's network with the library that make install put into the stage.
example() {
	local name=$1
	shift
	in_net a env LD_LIBRARY_PATH="$BUILD/stage/usr/local/lib" timeout 60 "$BUILD/examples/$name" "$@"
}

test_examples_do_what_docs_say() {
	build_target examples
	net_create a
	node_start a
	expect_match "hello" "$(example hello "$NODE_ADDRESS")" "user:7 is Ada.visits: 1$"
	expect_match "hello again" "$(example hello "$NODE_ADDRESS")" "visits: 2$"
	expect_equal "value left" "$(ctl a get user:7)" "Ada Lovelace"
	expect_match "batch" "$(example batch "$NODE_ADDRESS")" \
		"^1000 keys stored and read, 0 wrong, [0-9]+ datagrams sent$"
	expect_equal "poll" "$(example poll "$NODE_ADDRESS")" "10000 stored, 0 failed"
	node_stop a
}

test_examples_say_when_there_is_no_server() {
	build_target examples
	net_create a
	expect_equal "exit code" "$(code_of example hello 127.0.0.1)" 1
	expect_equal "output" "$(cat "$WORK/output")" "hello: open: no server answers"
}

test_real_files_come_back_byte_for_byte() {
	build_target examples
	net_create a
	node_start a --set data.workers=2
	example load_files store "$NODE_ADDRESS" 4000000 /usr/share/doc >"$WORK/output" || fail "store"
	example load_files verify "$NODE_ADDRESS" 4000000 /usr/share/doc >"$WORK/output" || fail "verify"
	expect_match "outcome" "$(cat "$WORK/output")" "^verified [0-9]+ items, 4000000 bytes of values, 0 failed"
	node_stop a
}

test_a_load_tells_of_each_phase_and_checks_every_value() {
	build_target examples
	net_create a
	node_start a
	(echo first; sleep 1; echo second; sleep 1) | example cluster_load "$NODE_ADDRESS" 10000 2000 >"$WORK/output"
	expect_match "first phase" "$(cat "$WORK/output")" 'first +[0-9.]+ +[1-9]'
	expect_match "second phase" "$(cat "$WORK/output")" 'second +[0-9.]+ +[1-9]'
	expect_match "outcome" "$(tail -n 1 "$WORK/output")" \
		'^[0-9]+ requests, 0 failed, 10256 values verified, 0 wrong$'
	node_stop a
}

run_tests
