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

# Fewer keys and seconds than there; a person gives the node the moment that it takes to start.
test_the_readme() {
	net_create a
	sed -n '/^## Try it/,/^## /s/^    //p' "$TOP/README.md" | sed -e '/^make/d' -e 's/ *#.*//' \
		-e 's/--load 1M/--load 20k/; s/--duration 5/--duration 1/' \
		-e 's|^./godwitd &|&\nuntil ./godwitctl ping; do sleep 0.2; done|' >"$WORK/commands"
	expect_match "commands" "$(cat "$WORK/commands")" 'godwitd &.*get greeting.*godwit-bench.*kill'
	(cd "$BUILD" && in_net a timeout 60 bash -eux -c "$(cat "$WORK/commands")
wait %1") >"$WORK/page.log" 2>&1 ||
		fail "a command of README.md fails"
	expect_match "output" "$(cat "$WORK/page.log")" 'hello.*result +valid'
}

run_tests
