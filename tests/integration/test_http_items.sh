#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Items by HTTP, with curl: stored, read and deleted on the node that is asked or on another one; and what goes wrong, told as it is.
# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/integration/cluster_lib.sh
. "$(dirname "$0")/cluster_lib.sh"

# http NODE METHOD KEY [CURL-ARGUMENT...]: prints the status; the body is in $WORK/body, the headers in $WORK/headers.
http() {
	local node=$1 method=$2 key=$3
	shift 3
	in_net "$node" curl -s -m 20 -X "$method" -o "$WORK/body" -D "$WORK/headers" -w '%{http_code}' "$@" \
		"http://127.0.0.1:7780/v1/items/$key" || fail "curl $method $key"
}

# expect_http STATUS NODE METHOD KEY [CURL-ARGUMENT...]
expect_http() {
	local status=$1 actual
	shift
	actual=$(http "$@")
	expect_equal "status of '$*' ($(tr -d '\0' <"$WORK/body"))" "$actual" "$status"
}

# is_there NODE KEY
is_there() {
	[ "$(http "$1" GET "$2")" = 200 ]
}

etag() {
	sed -n 's/^ETag: //p' "$WORK/headers" | tr -d '\r'
}

# error FIELD: of the body.
error() {
	python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["error"][sys.argv[2]])' "$WORK/body" "$1"
}

test_values_are_stored_read_and_deleted() {
	net_create a
	node_start a --set data.workers=2
	expect_http 404 a GET greeting
	expect_equal "message" "$(error message)" "there is no item with this key"
	expect_http 200 a PUT greeting --data-binary "hello"
	expect_match "version" "$(cat "$WORK/body")" "\"version\": $(etag | tr -d '"')"
	expect_http 200 a GET greeting
	expect_equal "value" "$(cat "$WORK/body")" hello
	expect_match "headers" "$(cat "$WORK/headers")" "Content-Type: application/octet-stream"
	expect_equal "by the data port" "$(ctl a get greeting)" hello
	ctl a set greeting "hi there" >/dev/null
	expect_equal "status of a HEAD" "$(in_net a curl -s -I -o "$WORK/headers" -w '%{http_code}' \
		http://127.0.0.1:7780/v1/items/greeting)" 200
	expect_match "headers" "$(cat "$WORK/headers")" "Content-Length: 8"
	expect_http 204 a DELETE greeting
	expect_http 404 a DELETE greeting
	expect_http 404 a GET greeting
	expect_equal "log lines about missing items" "$(grep -c 'status=404' "$(node_log a)")" 0
	expect_equal "answers" "$(counter a local_answers)" 7
	node_stop a
}

test_versions_are_compared() {
	local first second
	net_create a
	node_start a
	expect_http 404 a PUT k -H 'If-Match: *' -d x
	expect_http 404 a PUT k -H 'If-Match: "7"' -d x
	expect_http 200 a PUT k -H 'If-None-Match: *' -d one
	first=$(etag)
	expect_http 409 a PUT k -H 'If-None-Match: *' -d two
	expect_equal "ETag" "$(etag)" "$first"
	expect_http 200 a PUT k -H "If-Match: $first" -d two
	second=$(etag)
	expect_http 409 a PUT k -H "If-Match: $first" -d three
	expect_equal "ETag" "$(etag)" "$second"
	expect_http 200 a PUT k -H 'If-Match: *' -d three
	expect_http 409 a DELETE k -H "If-Match: $second"
	expect_http 200 a GET k
	expect_equal "value" "$(cat "$WORK/body")" three
	expect_http 204 a DELETE k -H "If-Match: $(etag)"
	expect_http 400 a PUT k -H 'If-Match: "new"' -d x
	expect_http 400 a PUT k -H 'If-None-Match: "7"' -d x
	expect_http 400 a DELETE k -H 'If-None-Match: *'
	expect_http 404 a GET k
	node_stop a
}

test_items_expire() {
	net_create a
	node_start a
	expect_http 200 a PUT 'k?ttl_ms=3600000' -d x
	expect_match "time to live" "$(ctl a ttl k)" '35[0-9]+ms'
	expect_http 200 a PUT k -d x -H 'Godwit-TTL-Ms: 100'
	sleep 0.15
	expect_http 404 a GET k
	expect_http 200 a PUT 'k?ttl_ms=0' -d x
	expect_equal "time to live" "$(ctl a ttl k)" 'never expires'
	expect_http 400 a PUT 'k?ttl_ms=soon' -d x
	expect_http 400 a PUT 'k?ttl_ms=4294967296' -d x
	expect_http 400 a PUT 'k?ttl=5' -d x
	expect_http 400 a GET 'k?ttl_ms=5'
	node_stop a
}

test_keys_and_values_are_any_bytes() {
	local all key
	net_create a
	node_start a
	all=$(printf '%%%02x' $(seq 0 249)) # the largest key, of almost all bytes there are
	head -c 1100 /dev/urandom >"$WORK/bytes"
	for key in "$all" %00 %2f%2e%2e%2f a/b/c %25 %ff %3f%23; do
		expect_http 200 a PUT "$key" --data-binary "@$WORK/bytes"
		expect_http 200 a GET "$key"
		cmp "$WORK/bytes" "$WORK/body" || fail "other bytes came back"
	done
	expect_equal "items" "$(ctl a -o json status | python3 -c 'import json, sys; print(json.load(sys.stdin)["items"]["count"])')" 7
	expect_equal "by the data port" "$(ctl a get a/b/c --raw | cmp - "$WORK/bytes" && echo same)" same
	expect_http 200 a PUT empty --data-binary ""
	expect_http 200 a GET empty
	expect_equal "bytes of an empty value" "$(wc -c <"$WORK/body")" 0
	node_stop a
}

test_what_cannot_be_is_refused() {
	net_create a
	node_start a
	expect_http 400 a GET ""
	expect_match "message" "$(error message)" "1 to 250 bytes"
	expect_http 400 a PUT "$(printf '%0251d' 7)" -d x
	expect_http 405 a POST k -d x
	expect_http 413 a PUT k --data-binary "@$GODWITD" # megabytes
	head -c 2000 /dev/zero >"$WORK/bytes"
	expect_http 413 a PUT k --data-binary "@$WORK/bytes"
	expect_match "message" "$(error message)" "at most [0-9]+ fit a datagram"
	head -c "$(error message | sed 's/.*at most \([0-9]*\) fit.*/\1/')" /dev/zero >"$WORK/bytes"
	expect_http 200 a PUT k --data-binary "@$WORK/bytes"
	expect_http 200 a GET k
	cmp "$WORK/bytes" "$WORK/body" || fail "other bytes came back"
	node_stop a
}

test_full_memory_is_told() {
	net_create a
	node_start a --set storage.memory=16M
	in_net a python3 "$TOP/tests/integration/memory.py" only_fill >"$WORK/output" 2>&1 || fail "memory.py only_fill"
	head -c 1000 /dev/zero >"$WORK/bytes"
	expect_http 507 a PUT one-more --data-binary "@$WORK/bytes"
	expect_http 404 a GET one-more
	node_stop a
}

test_without_an_answer_the_outcome_is_unknown() {
	local status
	net_create a
	node_start a
	hold_worker a
	http a PUT k -d x >"$WORK/status" &
	# meanwhile the node's other pages answer
	in_net a curl -s -f -m 5 http://127.0.0.1:7780/v1/status >/dev/null || fail "no status"
	wait $! || fail "curl"
	expect_equal "status" "$(cat "$WORK/status")" 503
	expect_equal "outcome" "$(error outcome)" unknown
	expect_match "headers" "$(cat "$WORK/headers")" "Retry-After: 1"
	expect_http 503 a GET k
	expect_equal "outcome" "$(error outcome)" "not read"
	release_worker
	# it was waiting for the worker all the time
	wait_until 10 is_there a k
	node_stop a
}

test_any_node_of_a_cluster_answers_for_any_key() {
	local key
	cluster_net_create a b
	cluster_form a b
	for key in one two three four five six; do
		expect_http 200 b PUT "$key" -d "value of $key"
		expect_http 200 a GET "$key"
		expect_equal "value at a" "$(cat "$WORK/body")" "value of $key"
		expect_http 200 b GET "$key"
		expect_equal "value at b" "$(cat "$WORK/body")" "value of $key"
		expect_http 409 b PUT "$key" -H 'If-None-Match: *' -d other
	done
	expect_http 204 b DELETE one
	expect_http 404 a GET one
	[ "$(counter a forwards_sent)" -gt 0 ] || [ "$(counter b forwards_sent)" -gt 0 ] || fail "nothing was forwarded"
	node_stop b
	node_stop a
}

# owned_by NODE OF: how many partitions NODE thinks that OF owns and serves.
owned_by() {
	partitions_at "$1" | awk -v of="$2" '$2 == of && $4 == "owned" { n += $1 } END { print n + 0 }'
}

owns_half() {
	[ "$(owned_by a b)" = 32 ] && [ "$(owned_by b b)" = 32 ] && [ "$(owned_by b a)" = 32 ]
}

# counts_at NODE: adds to counters until $WORK/stop is there; what it added is in $WORK/NODE.added.
counts_at() {
	in_net "$1" python3 "$TOP/tests/integration/http_load.py" 40 "$WORK/stop" >"$WORK/$1.added" 2>"$WORK/$1.errors.log" &
	echo $! >>"$WORK/pids"
	COUNTING="$COUNTING $!"
}

# Two writers at two nodes add to the same counters by comparing versions, while half of the partitions move.
test_no_request_fails_and_no_count_is_lost_while_partitions_move() {
	local key sum=0 pid
	COUNTING=
	cluster_net_create a b
	cluster_start a --set cluster.bootstrap=on --set cluster.join=none --set cluster.auto_rebalance=on
	wait_until 10 logged a 'cluster: member '
	counts_at a
	wait_until 20 is_there a counter-39
	cluster_start b --set cluster.auto_rebalance=on
	counts_at b
	wait_until 60 owns_half
	touch "$WORK/stop"
	for pid in $COUNTING; do
		wait "$pid" || fail "a request failed: $(cat "$WORK"/*.errors.log)"
		sed -i "/^$pid\$/d" "$WORK/pids"
	done
	for key in $(seq 0 39); do
		expect_http 200 b GET "counter-$key"
		sum=$((sum + $(cat "$WORK/body")))
	done
	expect_equal "sum of all counters" $sum $(($(cat "$WORK/a.added") + $(cat "$WORK/b.added")))
	node_stop b
	node_stop a
}

test_a_node_without_majority_says_that_nothing_was_done() {
	cluster_net_create a b
	cluster_form a b
	expect_http 200 a PUT k -d before
	cable a control down
	wait_until 20 logged a 'error cluster: no majority of the members is seen'
	expect_http 503 a PUT k -d after
	expect_equal "outcome" "$(error outcome)" "not applied"
	expect_http 503 a GET k
	expect_equal "outcome" "$(error outcome)" "not read"
	cable a control up
	wait_until 40 is_there a k
	expect_equal "value" "$(cat "$WORK/body")" before
	node_stop b
	node_stop a
}

test_an_owner_that_is_silent_is_told() {
	cluster_net_create a b
	cluster_form a b
	expect_http 200 b PUT k -d before
	node_signal a STOP
	expect_http 503 b PUT k -d after
	expect_match "outcome" "$(error outcome)" "unknown|not applied"
	expect_http 503 b GET k
	node_signal a CONT
	wait_until 20 is_there b k
	expect_match "value" "$(cat "$WORK/body")" "before|after"
	node_stop b
	node_stop a
}

# refused NODE: whether a new connection is.
refused() {
	[ "$(code_of in_net "$1" curl -s -m 5 -o /dev/null http://127.0.0.1:7780/v1/counters)" = 7 ]
}

# Its worker holds the answer back until the node has been told to end, and refuses others. On a machine that stands still the answer
# may be that there was none in time: an answer all the same.
test_a_request_that_is_open_when_a_node_ends_is_answered() {
	local asker status start
	net_create a
	node_start a
	expect_http 200 a PUT k -d value
	start=$SECONDS
	hold_worker a
	in_net a curl -s -v -m 20 -o "$WORK/late" -w '%{http_code}' http://127.0.0.1:7780/v1/items/k \
		>"$WORK/late.status" 2>"$WORK/late.trace" &
	asker=$!
	echo $asker >>"$WORK/pids"
	wait_until 5 grep -q '^> GET ' "$WORK/late.trace"
	node_signal a TERM
	wait_until 5 refused a
	release_worker
	wait $asker || fail "the connection was closed without an answer"
	sed -i "/^$asker\$/d" "$WORK/pids"
	status=$(cat "$WORK/late.status")
	case $status in
	200) expect_equal "value" "$(cat "$WORK/late")" value ;;
	503) expect_match "answer" "$(cat "$WORK/late")" 'no answer in time' ;;
	*) fail "status $status" ;;
	esac
	node_end a
	expect_equal "exit code" "$NODE_CODE" 0
	expect_at_most "seconds" $((SECONDS - start)) 15
}

# Half a request is nothing to wait for.
test_a_node_does_not_wait_for_who_asks_nothing() {
	local half start
	net_create a
	node_start a
	in_net a bash -c 'exec 3<>/dev/tcp/127.0.0.1/7780; printf "GET /v1/status HTTP/1.1\r\nHost: 127." >&3; touch "$0"; cat <&3' \
		"$WORK/half" >/dev/null &
	half=$!
	echo $half >>"$WORK/pids"
	wait_until 5 [ -e "$WORK/half" ]
	start=$SECONDS
	node_stop a
	expect_at_most "seconds" $((SECONDS - start)) 6
	wait $half || true
	sed -i "/^$half\$/d" "$WORK/pids"
}

run_tests
