#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A node whose memory is full, freed, evicted, expired, and one whose index grows under load; what each case does is in memory.py.
# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

# memory CASE [godwitd's arguments]: against a node with 16 MiB for items.
memory() {
	local case=$1
	shift
	net_create a
	node_start a --set storage.memory=16M "$@"
	in_net a python3 "$TOP/tests/integration/memory.py" "$case" >"$WORK/output" 2>&1 || fail "memory.py $case"
	node_stop a
}

test_a_full_node_refuses_loses_nothing_and_takes_other_sizes() {
	memory full
}

test_eviction_makes_room_and_keeps_what_is_read() {
	memory eviction --set storage.eviction=on
}

test_items_expire_to_the_millisecond() {
	memory ttl
}

test_expired_items_give_their_memory_back() {
	memory sweep
}

# bench ARGUMENT...: over memif, writing its result as JSON.
bench() {
	in_net a timeout 90 "$BUILD/godwit-bench" --port "memif:$WORK/memif.sock" --server "$NODE_ADDRESS" \
		--ip "$HOST_ADDRESS/24" --quiet --verify --warmup 0 --json "$WORK/result" "$@" \
		>"$WORK/output" 2>&1 || fail "godwit-bench $*"
	grep -q '"valid": true' "$WORK/result" || fail "godwit-bench: the result is not valid"
}

# From the smallest index there is, ten times doubled while keys are loaded, read and added.
test_an_index_grows_under_load() {
	local items grown
	net_create a
	node_start a --set storage.memory=256M --set storage.capacity=1 --set data.port.kind=memif \
		--set "data.port.device=$WORK/memif.sock"
	bench --load 300k --ops 16 --mix get=1,insert=1 --duration 1
	# RETRY is no failure: the client asks again
	python3 - "$WORK/result" >"$WORK/outcome" <<-'PYTHON' || fail "$(cat "$WORK/outcome")"
		import json, sys
		with open(sys.argv[1], encoding="ascii") as file:
		    result = json.load(file)
		statuses = {name: kind["statuses"] for name, kind in result["operations"].items()}
		checked = result["verification"]
		good = set(statuses["get"]) <= {"ok", "retry"} and set(statuses["insert"]) <= {"ok", "retry"}
		print(statuses, checked)
		sys.exit(not (good and checked["checked"] >= 300000 and checked["wrong"] == checked["missing"] == 0))
	PYTHON
	items=$(ctl a -o json status | python3 -c 'import json, sys; print(json.load(sys.stdin)["items"]["count"])')
	grown=$(ctl a -o json status | python3 -c 'import json, sys; print(json.load(sys.stdin)["workers"][0]["index_grown"])')
	[ "$items" -ge 300000 ] || fail "$items items"
	[ "$grown" -ge 8 ] || fail "the index grew $grown times only"
	node_stop a
}

run_tests
