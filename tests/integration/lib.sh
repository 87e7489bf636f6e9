# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# What integration tests share: namespaces, real godwitd processes in them, and assertions. Sourced by test_*.sh:
#
#	. "$(dirname "$0")/lib.sh"
#	test_answers_ping() {
#		net_create a
#		node_start a
#		in_net a ping -c 1 -W 2 10.77.0.2 >/dev/null || fail "no answer to ping"
#		node_stop a
#	}
#	run_tests
#
# Every function named test_* is a case. It runs in a shell of its own with `set -e`, starts with nothing, and whatever
# it leaves behind - processes, namespaces, files in $WORK - is removed when it ends, also by failure or interrupt. One
# case prints one line, `ok   NAME` or `FAIL NAME`, and what its nodes logged when it failed.
#
# The network `a` of a case is a namespace with a name of its own:
#
#	+-- namespace godwit-<pid>-<case>-a -----------------------------+
#	|  clients, godwitctl        godwitd                             |
#	|  kernel 10.77.0.1/24 ----- tap godwit0 ---- node 10.77.0.2     |
#	|  lo 127.0.0.1 ------------ admin 127.0.0.1:7780                |
#	+----------------------------------------------------------------+
set -u
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${BUILD:-build}
case $BUILD in /*) ;; *) BUILD=$TOP/$BUILD ;; esac
GODWITD=${GODWITD:-$BUILD/godwitd}
GODWITCTL=${GODWITCTL:-$BUILD/godwitctl}
# shellcheck disable=SC2034 # for the tests
NODE_ADDRESS=10.77.0.2
# shellcheck disable=SC2034
HOST_ADDRESS=10.77.0.1

# Seconds a node may take to get ready, and to end; machines that run other things meanwhile are slow.
READY_S_MAX=30
END_S_MAX=15

# Small and polite to other tests; a case may set more after these.
NODE_DEFAULTS=(--set storage.memory=64M --set data.idle=adaptive)

# ---- outcome ----

# fail MESSAGE: the case fails here.
fail() {
	echo "  ${FUNCNAME[1]}:${BASH_LINENO[0]}: $*" >&2
	exit 1
}

# skip REASON: the case cannot run on this machine; it counts as passed and says so.
skip() {
	echo "$*" >"$WORK/skipped"
	exit 0
}

# expect_equal WHAT ACTUAL EXPECTED
expect_equal() {
	[ "$2" = "$3" ] || fail "$1: expected '$3', not '$2'"
}

# expect_match WHAT ACTUAL REGEX (extended, somewhere in ACTUAL)
expect_match() {
	[[ $2 =~ $3 ]] || fail "$1: expected something like '$3', not '$2'"
}

# expect_at_most WHAT NUMBER MAX
expect_at_most() {
	[ "$2" -le "$3" ] || fail "$1: expected at most $3, not $2"
}

# code_of COMMAND...: runs it with its output in $WORK/output and prints its exit code.
code_of() {
	local code=0
	"$@" >"$WORK/output" 2>&1 || code=$?
	echo $code
}

# wait_until SECONDS COMMAND...: tries until it succeeds; fails the case when it never does.
wait_until() {
	local end=$((SECONDS + $1 + 1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || fail "waited in vain for: $*"
		sleep 0.05
	done
}

# build_target TARGET: made from within a test, one test at a time; `make integration` has made them all before.
build_target() {
	flock "$BUILD" make -s -C "$TOP" BUILD="${BUILD#"$TOP"/}" "$1" >"$WORK/output" 2>&1 || fail "make $1"
}

# ---- networks ----

net_name() {
	echo "${GODWIT_TEST_PREFIX:-godwit}-$$-$CASE_NUMBER-$1"
}

# net_create NAME: a namespace with loopback up.
net_create() {
	local name
	name=$(net_name "$1")
	echo "$name" >>"$WORK/namespaces"
	ip netns add "$name"
	ip -n "$name" link set lo up
}

# in_net NAME COMMAND...
in_net() {
	local name
	name=$(net_name "$1")
	shift
	ip netns exec "$name" "$@"
}

# link_create A DEVICE B DEVICE [QUEUES]: a veth pair between two networks, both ends up.
link_create() {
	local a b
	a=$(net_name "$1")
	b=$(net_name "$3")
	ip -n "$a" link add "$2" numrxqueues "${5:-1}" numtxqueues "${5:-1}" type veth \
		peer name "$4" numrxqueues "${5:-1}" numtxqueues "${5:-1}" netns "$b"
	ip -n "$a" link set "$2" up
	ip -n "$b" link set "$4" up
}

# ---- nodes: NAME is a network's, or NETWORK/NODE for several in one ----

node_log() {
	echo "$WORK/${1//\//.}.log"
}

node_pid() {
	cat "$WORK/${1//\//.}.pid"
}

# node_launch NODE [ARGUMENT...]: starts godwitd and returns at once.
node_launch() {
	local node=$1
	shift
	# no function in between, so that $! is the number of godwitd itself
	: >"$(node_log "$node")"
	ip netns exec "$(net_name "${node%%/*}")" "$GODWITD" "${NODE_DEFAULTS[@]}" "$@" \
		>>"$(node_log "$node")" 2>&1 &
	echo $! >"$WORK/${node//\//.}.pid"
	echo $! >>"$WORK/pids"
}

# Whether the node logged it is ready; fails the case when it ended instead.
node_is_ready() {
	grep -q ' node: ready ' "$(node_log "$1")" && return 0
	kill -0 "$(node_pid "$1")" 2>/dev/null || fail "godwitd of $1 ended before it was ready"
	return 1
}

# node_start NODE [ARGUMENT...]: starts godwitd and waits until it is ready.
node_start() {
	node_launch "$@"
	wait_until $READY_S_MAX node_is_ready "$1"
}

node_is_gone() {
	case $(cut -d ' ' -f 3 "/proc/$(node_pid "$1")/stat" 2>/dev/null) in
	Z | "") return 0 ;;
	*) return 1 ;;
	esac
}

# node_end NODE: waits for its end; NODE_CODE = its exit code.
node_end() {
	wait_until $END_S_MAX node_is_gone "$1"
	node_reap "$1"
}

# After this its number may be given to another process, so it is forgotten.
node_reap() {
	local pid
	pid=$(node_pid "$1")
	NODE_CODE=0
	wait "$pid" 2>/dev/null || NODE_CODE=$?
	sed -i "/^$pid\$/d" "$WORK/pids"
}

# node_kill NODE: kill -9, as by the kernel when memory runs out.
node_kill() {
	node_signal "$1" KILL
	node_reap "$1"
}

# node_signal NODE SIGNAL
node_signal() {
	kill -s "$2" "$(node_pid "$1")"
}

# node_stop NODE: SIGTERM, and it must exit with 0.
node_stop() {
	node_signal "$1" TERM
	node_end "$1"
	expect_equal "exit code of godwitd $1" "$NODE_CODE" 0
}

# ctl NODE ARGUMENT...: godwitctl in the node's network.
ctl() {
	local net=${1%%/*}
	shift
	in_net "$net" "$GODWITCTL" --timeout 5s "$@"
}

# counter NODE NAME: its value, "" when there is no such counter.
counter() {
	ctl "$1" -o json counters |
		python3 -c 'import json, sys
print("".join(str(c["value"]) for c in json.load(sys.stdin)["counters"] if c["name"] == sys.argv[1]))' "$2"
}

# hold_worker NODE: stops its worker 0 until release_worker.
hold_worker() {
	mkfifo "$WORK/hold"
	python3 "$TOP/tests/integration/hold_thread.py" "$(node_pid "$1")" rte-worker-1 \
		<"$WORK/hold" >"$WORK/holding" &
	HOLDER=$!
	echo "$HOLDER" >>"$WORK/pids"
	exec 8>"$WORK/hold"
	wait_until 5 grep -q holding "$WORK/holding"
}

release_worker() {
	exec 8>&-
	wait "$HOLDER"
	sed -i "/^$HOLDER\$/d" "$WORK/pids"
}

# logged NODE TEXT: whether its log has a line with it.
logged() {
	grep -q -- "$2" "$(node_log "$1")"
}

# ---- running ----

# Asks what the case left to end, and waits; who is stopped or does not listen stays.
end_gently() {
	local pid end=$((SECONDS + END_S_MAX))
	while read -r pid; do
		kill -s TERM "$pid" 2>/dev/null
	done <"$WORK/pids"
	while read -r pid; do
		while [ -d "/proc/$pid" ] && ! grep -q '^State:.*[ZT]' "/proc/$pid/status" && [ $SECONDS -lt $end ]; do
			sleep 0.05
		done
	done <"$WORK/pids"
}

# Ends what the case left; processes are its own children, so their numbers cannot have been given to others. With END_GENTLY
# programs may do what they do at their end, such as write down what of them ran.
case_clean() {
	trap - EXIT
	set +e
	local pid name
	if [ -f "$WORK/pids" ]; then
		[ -z "${END_GENTLY:-}" ] || end_gently
		while read -r pid; do
			kill -s KILL "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
		done <"$WORK/pids"
	fi
	if [ -f "$WORK/namespaces" ]; then
		while read -r name; do
			# whoever is in there was started by the case
			ip netns pids "$name" 2>/dev/null | xargs -r kill -s KILL
			ip netns delete "$name" 2>/dev/null
		done <"$WORK/namespaces"
	fi
}

show_logs() {
	local log
	for log in "$WORK"/*.log "$WORK"/sanitizer.log.* "$WORK/output"; do
		[ -s "$log" ] && sed "s|^|  $(basename "$log"): |" "$log"
	done
}

run_case() {
	CASE_NUMBER=$((CASE_NUMBER + 1))
	WORK=$(mktemp -d "${TMPDIR:-/tmp}/godwit-test-XXXXXX")
	(
		trap case_clean EXIT
		trap 'exit 130' INT TERM
		set -eE
		export RUNTIME_DIRECTORY=$WORK # DPDK's
		# of programs that were built with sanitizers; see make check-integration
		export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}log_path=$WORK/sanitizer.log
		export UBSAN_OPTIONS=${UBSAN_OPTIONS:+$UBSAN_OPTIONS:}print_stacktrace=1:log_path=$WORK/sanitizer.log
		"$1"
	)
	local code=$?
	! compgen -G "$WORK/sanitizer.log.*" >/dev/null || code=1
	if [ $code -eq 0 ] && [ -f "$WORK/skipped" ]; then
		echo "ok   $SUITE/$1 # skipped: $(cat "$WORK/skipped")"
	elif [ $code -eq 0 ]; then
		echo "ok   $SUITE/$1"
	else
		show_logs
		echo "FAIL $SUITE/$1"
		FAILED=1
	fi
	rm -rf "$WORK"
	[ $code -ne 130 ] || exit 130
}

# run_tests: runs the cases named in $CASES, or all; the program's last call. Exit code 0 only when all passed.
run_tests() {
	SUITE=$(basename "$0")
	SUITE=${SUITE%.sh}
	FAILED=0
	CASE_NUMBER=0
	if [ "$(id -u)" != 0 ]; then
		echo "FAIL $SUITE: needs root for namespaces and tap interfaces"
		exit 1
	fi
	trap : INT TERM # the case cleans up, then this ends
	local case
	for case in ${CASES:-$(declare -F | awk '$3 ~ /^test_/ { print $3 }')}; do
		run_case "$case"
	done
	exit $FAILED
}
