#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Every item command of godwitctl against a real node: what it prints, and what it exits with.
# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

# expect_ctl CODE OUTPUT ARGUMENT...: standard output only.
expect_ctl() {
	local code=$1 output=$2 actual actual_code=0
	shift 2
	actual=$(ctl a "$@" 2>"$WORK/error") || actual_code=$?
	expect_equal "exit code of '$*' ($(cat "$WORK/error"))" $actual_code "$code"
	expect_match "output of '$*'" "$actual" "^$output\$"
}

# field NAME: of the JSON on standard input.
field() {
	python3 -c 'import json, sys; print(json.load(sys.stdin).get(sys.argv[1]))' "$1"
}

test_values_are_stored_and_read() {
	net_create a
	node_start a
	expect_ctl 1 "" get a
	expect_ctl 0 "version [0-9]+" set a hello
	expect_ctl 0 "hello" get a
	expect_ctl 1 "" add a other
	expect_ctl 1 "" replace b other
	expect_ctl 0 "version [0-9]+" add b other
	expect_ctl 0 "version [0-9]+" append b " word"
	expect_ctl 0 "other word" get b
	expect_ctl 0 "version [0-9]+" exists b
	expect_ctl 0 "deleted" delete b
	expect_ctl 1 "" delete b
	expect_ctl 1 "" exists b
	expect_ctl 1 "" append b x
	node_stop a
}

test_versions_are_compared() {
	local version
	net_create a
	node_start a
	ctl a set a one >/dev/null
	version=$(ctl a -o json get a | field version)
	expect_ctl 0 "version [0-9]+" cas a "$version" two
	expect_ctl 1 "" cas a "$version" three
	expect_ctl 1 "" delete a --version "$version"
	expect_ctl 0 "two" get a
	expect_ctl 1 "" cas absent 7 x
	node_stop a
}

test_numbers_are_counted() {
	net_create a
	node_start a
	expect_ctl 1 "" increment n
	expect_ctl 0 "-7" increment n 5 --initial -7 --ttl 1h
	expect_ctl 0 "-6" increment n
	expect_ctl 0 "-16" increment n -10
	expect_ctl 0 "-16" get n
	expect_ctl 0 "35[0-9]+ms" ttl n
	ctl a set s text >/dev/null
	expect_ctl 5 "" increment s
	expect_match "reason" "$(cat "$WORK/error")" "not a number"
	node_stop a
}

test_items_expire() {
	net_create a
	node_start a
	expect_ctl 0 "version [0-9]+" set a x --ttl 1h
	expect_ctl 0 "35[0-9]+ms" ttl a
	expect_ctl 0 "version [0-9]+" touch a never
	expect_ctl 0 "never expires" ttl a
	expect_ctl 0 "x" get-and-touch a 100ms
	sleep 0.15
	expect_ctl 1 "" get a
	expect_ctl 1 "" touch a 1s
	expect_ctl 1 "" ttl a
	node_stop a
}

test_bytes_of_all_kinds_pass_through_pipes() {
	net_create a
	node_start a
	head -c 1200 /dev/urandom >"$WORK/bytes"
	ctl a set blob - <"$WORK/bytes" >/dev/null
	ctl a get blob --raw >"$WORK/back"
	cmp "$WORK/bytes" "$WORK/back" || fail "other bytes came back"
	expect_equal "as JSON" "$(ctl a -o json get blob | field value_hex)" \
		"$(od -An -tx1 -v "$WORK/bytes" | tr -d ' \n')"
	: | ctl a set empty - >/dev/null
	expect_equal "size of an empty value" "$(ctl a get empty --raw | wc -c)" 0
	head -c 3000 /dev/zero >"$WORK/bytes"
	expect_equal "exit code for 3,000 bytes" "$(code_of ctl a set large - <"$WORK/bytes")" 5
	node_stop a
}

test_the_data_port_is_asked() {
	net_create a
	node_start a --set data.workers=2
	expect_ctl 0 "10.77.0.2:7700 answers after [0-9.]+ ms" ping
	expect_equal "partitions" "$(ctl a -o json info | field partitions)" 64
	expect_match "info" "$(ctl a info)" "10.77.0.2:7700 +2 +64"
	node_stop a
}

test_exit_codes_tell_mistakes_from_absence_from_silence() {
	net_create a
	expect_ctl 2 "" set a
	expect_ctl 2 "" set a b c
	expect_ctl 2 "" set a b --ttl soon
	expect_ctl 2 "" get a --bogus
	expect_ctl 2 "" set "" x
	expect_ctl 2 "" increment a x
	expect_ctl 2 "" --server nowhere:x get a
	expect_ctl 3 "" --server 127.0.0.1 --timeout 200ms get a # nobody listens
	expect_ctl 3 "" --server 127.0.0.1 --timeout 200ms ping
	expect_ctl 3 "" --timeout 200ms get a # no route
}

run_tests
