# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Clusters for integration tests, over lib.sh. Node number N (from 1) is the only node of its namespace:
#
#	+-- namespace a ------------------+        +-- namespace hub ----------+
#	|  godwitd, node.name: a          |        |                           |
#	|    bus      control 10.88.0.N --+-- veth-+-- control  10.88.0.254    |
#	|    data     data 10.77.0.N -----+-- veth-+-- data     10.77.0.254    |
#	|    admin    lo 127.0.0.1:7780   |        |  clients                  |
#	+---------------------------------+        +---------------------------+

# cluster_net_create NODE...: namespaces, bridges and links; a key for all.
cluster_net_create() {
	local bridge node number=0
	net_create hub
	for bridge in control data; do
		ip -n "$(net_name hub)" link add $bridge type bridge
		ip -n "$(net_name hub)" link set $bridge up
	done
	ip -n "$(net_name hub)" address add 10.77.0.254/24 dev data
	ip -n "$(net_name hub)" address add 10.88.0.254/24 dev control
	in_net hub ethtool -K data tx off >/dev/null 2>&1
	"$GODWITCTL" cluster key >"$WORK/key"
	for node in "$@"; do
		number=$((number + 1))
		echo $number >"$WORK/$node.number"
		net_create "$node"
		cluster_link "$node" control
		cluster_link "$node" data
		ip -n "$(net_name "$node")" address add "$(control_address "$node")/24" dev control
	done
}

# cluster_link NODE control|data: connects it to that bridge, as a cable does.
cluster_link() {
	link_create "$1" "$2" hub "$2-$1"
	ip -n "$(net_name hub)" link set "$2-$1" master "$2"
}

control_address() {
	echo "10.88.0.$(cat "$WORK/$1.number")"
}

data_address() {
	echo "10.77.0.$(cat "$WORK/$1.number")"
}

# cluster_launch NODE [ARGUMENT...]: starts it as a member-to-be, which knows of all nodes.
cluster_launch() {
	local node=$1 seeds file
	shift
	seeds=$(for file in "$WORK"/*.number; do echo "10.88.0.$(cat "$file"):7800"; done | paste -sd ,)
	node_launch "$node" --set node.name="$node" --set cluster.name=test \
		--set cluster.listen="$(control_address "$node"):7800" --set cluster.key_file="$WORK/key" \
		--set cluster.join="$seeds" --set cluster.probe_ms="${CLUSTER_PROBE_MS:-250}" --set data.port.kind=af_packet --set data.port.device=data \
		--set data.address="$(data_address "$node")/24" --set cluster.auto_rebalance=off "$@"
}

# cluster_start NODE [ARGUMENT...]: the same, and waits until it is ready.
cluster_start() {
	cluster_launch "$@"
	wait_until $READY_S_MAX node_is_ready "$1"
}

# cluster_form NODE...: starts them all; the first one founds the cluster, and every one sees all alive.
cluster_form() {
	local node
	cluster_start "$1" --set cluster.bootstrap=on --set cluster.join=none
	wait_until 10 logged "$1" 'cluster: member '
	for node in "${@:2}"; do
		cluster_launch "$node"
	done
	for node in "${@:2}"; do
		wait_until $READY_S_MAX node_is_ready "$node"
	done
	for node in "$@"; do
		wait_until 30 sees_states "$node" "$(printf '%s=alive ' "$@")"
	done
}

# states_at NODE: what it thinks of all nodes, "a=alive b=dead ", by name.
states_at() {
	ctl "$1" -o json nodes 2>/dev/null | python3 -c 'import json, sys
print("".join(sorted(n["name"] + "=" + n["state"] + " " for n in json.load(sys.stdin)["nodes"])), end="")' 2>/dev/null
}

# sees_states NODE "a=alive b=dead "
sees_states() {
	[ "$(states_at "$1")" = "$2" ]
}

# cluster_value NODE PATH: a field of GET /v1/cluster, such as node.serving or bus.refused.forged.
cluster_value() {
	ctl "$1" -o json cluster status | python3 -c 'import json, sys
value = json.load(sys.stdin)
for key in sys.argv[1].split("."):
    value = value[key]
print(value)' "$2"
}

# cluster_value_is NODE PATH VALUE
cluster_value_is() {
	[ "$(cluster_value "$1" "$2" 2>/dev/null)" = "$3" ]
}

# generation_at NODE OF: the generation NODE knows of OF.
generation_at() {
	ctl "$1" -o json nodes | python3 -c 'import json, sys
print(next(n["generation"] for n in json.load(sys.stdin)["nodes"] if n["name"] == sys.argv[1]))' "$2"
}

# partitions_at NODE: "COUNT OWNER EPOCH STATE" lines, as NODE sees it.
partitions_at() {
	ctl "$1" -o json partitions | python3 -c 'import collections, json, sys
count = collections.Counter((p["owner"], p["epoch"], p["state"]) for p in json.load(sys.stdin)["partitions"])
for (owner, epoch, state), number in sorted(count.items(), key=str):
    print(number, owner, epoch, state)'
}

# sees_partitions NODE "64 a 1 owned"
sees_partitions() {
	[ "$(partitions_at "$1")" = "$2" ]
}

# item NODE ARGUMENT...: godwitctl on items of that node, from the hub.
item() {
	local address
	address=$(data_address "$1")
	shift
	in_net hub "$GODWITCTL" --timeout 3s --server "$address" "$@"
}

# cable NODE control|data up|down
cable() {
	ip -n "$(net_name hub)" link set "$2-$1" "$3"
}

# owns AT NODE COUNT: whether NODE owns so many partitions, as AT sees it.
owns() {
	[ "$(ctl "$1" -o json partitions | python3 -c 'import json, sys
print(sum(p["owner"] == sys.argv[1] for p in json.load(sys.stdin)["partitions"]))' "$2")" = "$3" ]
}

# fill NODE COUNT: so many items of that node.
fill() {
	local i
	for i in $(seq 1 "$2"); do
		item "$1" set "key-$i" "value-$i" >/dev/null
	done
}

# check_items NODE COUNT: whether all are there.
check_items() {
	local i
	for i in $(seq 1 "$2"); do
		expect_equal "key-$i at $1" "$(item "$1" get "key-$i")" "value-$i"
	done
}
