#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The commands in the documentation do what it says: lines that start with `$` are run in their order.
# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

# run_page FILE: in network a, with the programs of this build.
run_page() {
	sed -n 's/^    \$ //p' "$TOP/docs/$1" >"$WORK/commands"
	[ -s "$WORK/commands" ] || fail "no commands in $1"
	PATH=$BUILD:$PATH in_net a timeout 60 bash -eux -c "$(cat "$WORK/commands")" \
		>"$WORK/page.log" 2>&1 || fail "a command of $1 fails"
}

test_the_operators_page() {
	net_create a
	run_page operating.md
	expect_match "output" "$(cat "$WORK/page.log")" 'hello'
	expect_match "output" "$(cat "$WORK/page.log")" '"name": "cache-1"'
	! in_net a ip link show godwit0 >/dev/null 2>&1 || fail "a node is left behind"
}

test_the_page_about_http() {
	net_create a
	run_page http.md
	expect_match "output" "$(cat "$WORK/page.log")" 'Ada Lovelace'
	expect_match "output" "$(cat "$WORK/page.log")" 'ETag: "[0-9]+"'
}

test_the_page_about_clusters() {
	net_create a
	run_page cluster.md
	expect_match "output" "$(cat "$WORK/page.log")" 'partition 0 has moved from a to b'
	expect_match "output" "$(cat "$WORK/page.log")" '[^ ]hello|^hello|\+ .*get greeting.hello'
}

run_tests
