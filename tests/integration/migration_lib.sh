# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Moves of partitions for integration tests, over cluster_lib.sh.

# So slow that a partition of 1 MB is on its way for some 10 seconds: the first batch of
# 256 KiB goes at once, the next one has to wait for seconds.
SLOW=(--set storage.partitions=1 --set migration.rate=64K)

# one_by_one KEYS BYTES: as many keys in the only partition of node a, in this order: key0 is the first one scanned.
one_by_one() {
	in_net hub "$BUILD/godwit-bench" --server "$(data_address a)" --load "$1" --keys "$1" --value-size "$2" \
		--duration 0 --retries 50 --timeout 200 --quiet >"$WORK/output" || fail "cannot load"
}

# api NODE METHOD PATH [JSON]
api() {
	in_net "$1" curl -s -m 10 -X "$2" -H 'Content-Type: application/json' ${4:+-d "$4"} "http://127.0.0.1:7780$3"
}

# move PARTITION NODE: begins it.
move() {
	expect_match "move of $1 to $2" "$(api "$2" POST /v1/migrations "{\"partition\": $1, \"node\": \"$2\"}")" '"to": "'"$2"
}

# jobs_at NODE: "PARTITION ROLE PHASE" lines of the jobs that node takes part in.
jobs_at() {
	api "$1" GET /v1/migrations | python3 -c 'import json, sys
for job in json.load(sys.stdin)["jobs"]:
    if job["from" if job["role"] == "source" else "to"] == sys.argv[1]:
        print(job["partition"], job["role"], job["phase"])' "$1"
}

# is_phase NODE "0 source copying"
is_phase() {
	[[ $(jobs_at "$1") == *"$2"* ]]
}

is_idle() {
	[ -z "$(jobs_at "$1")" ]
}

# counts NODE NAME VALUE
counts() {
	[ "$(counter "$1" "$2")" = "$3" ]
}

# slow_pair: a with 1 MB in its only partition, on its slow way to b.
slow_pair() {
	cluster_net_create a b c
	cluster_start a --set cluster.bootstrap=on --set cluster.join=none "${SLOW[@]}"
	wait_until 10 logged a 'cluster: member '
	one_by_one 1k 1000
	cluster_start b "${SLOW[@]}"
	cluster_start c "${SLOW[@]}"
	wait_until 20 sees_states a "a=alive b=alive c=alive "
	wait_until 20 sees_states b "a=alive b=alive c=alive "
	item a set key value >/dev/null
	move 0 b
	wait_until 10 is_phase a "0 source copying"
}
