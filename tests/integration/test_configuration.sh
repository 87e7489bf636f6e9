#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Mistakes of the operator: each is one line that says where, what, and what to do; nothing is left behind.
# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

# refused CODE REGEX ARGUMENT...: godwitd must refuse to start with this exit code, and the only line of level error, or the
# only line at all, must match.
refused() {
	local code=$1 regex=$2
	shift 2
	expect_equal "exit code of godwitd $*" \
		"$(code_of in_net a timeout 30 "$GODWITD" "${NODE_DEFAULTS[@]}" "$@")" "$code"
	expect_match "message of godwitd $*" "$(cat "$WORK/output")" "$regex"
	expect_equal "lines of error of godwitd $*" \
		"$(grep -vc ' \(info\|warning\) ' "$WORK/output")" 1
}

test_check_config_names_file_line_key_and_what_was_expected() {
	net_create a
	printf 'data:\n  workers: 65\n  adress: 10.0.0.1/24\n' >"$WORK/bad.yaml"
	expect_equal "exit code" "$(code_of "$GODWITD" --check-config -c "$WORK/bad.yaml")" 2
	expect_equal "messages" "$(cat "$WORK/output")" \
		"$WORK/bad.yaml:2: data.workers: expected a number, 1..64, not '65'
$WORK/bad.yaml:3: data.adress: unknown key; godwitd --help-config lists those there are"
}

test_the_example_is_good_and_print_config_reads_back() {
	expect_equal "exit code" "$(code_of "$GODWITD" --check-config -c "$TOP/docs/godwitd.yaml")" 0
	"$GODWITD" --print-config --set data.workers=3 --set data.cores=0-2 >"$WORK/printed.yaml"
	expect_equal "exit code" "$(code_of "$GODWITD" --check-config -c "$WORK/printed.yaml")" 0
	"$GODWITD" --print-config -c "$WORK/printed.yaml" >"$WORK/again.yaml"
	cmp "$WORK/printed.yaml" "$WORK/again.yaml" || fail "what is printed does not read back"
}

test_help_and_version() {
	expect_match "help" "$("$GODWITD" --help)" '--check-config'
	expect_match "help of options" "$("$GODWITD" --help-config)" 'data.port.kind'
	expect_equal "version" "$("$GODWITD" --version)" "godwitd $(cat "$TOP/VERSION")"
	expect_equal "version" "$("$GODWITCTL" version)" "godwitctl $(cat "$TOP/VERSION")"
	expect_equal "exit code of a wrong option" "$(code_of "$GODWITD" --wrong)" 2
	expect_equal "exit code of a wrong command" "$(code_of "$GODWITCTL" wrong)" 2
}

test_what_the_machine_lacks_is_named() {
	net_create a
	refused 1 "storage.memory: this machine has [0-9]+ MiB" --set storage.memory=4T
	refused 1 "data.cores: expected CPUs that this process may use" --set data.cores=1000
	refused 1 "storage.huge_pages: [0-9]+ free huge pages are needed, there are [0-9]+: run" \
		--set storage.huge_pages=on --set storage.memory=4T
	refused 1 "EAL argument --no-huge: godwitd decides this" -- --no-huge
}

test_a_file_that_is_none_is_named() {
	net_create a
	refused 2 "/nonexistent.yaml: cannot read it: No such file" -c /nonexistent.yaml
	refused 2 "$WORK: cannot read it: Is a directory" -c "$WORK"
}

test_an_interface_that_exists_is_not_taken() {
	net_create a
	in_net a ip tuntap add dev godwit0 mode tap
	refused 1 "interface godwit0 exists already" --set data.port.device=godwit0
	in_net a ip link show godwit0 >/dev/null || fail "the foreign interface is gone"
}

test_an_interface_that_is_missing_is_named() {
	net_create a
	refused 1 "no network interface 'absent0'" --set data.port.kind=af_packet \
		--set data.port.device=absent0
}

test_queues_that_nobody_would_serve_are_named() {
	net_create a
	net_create b
	link_create a eth0 b eth0 2
	refused 1 "interface eth0 receives on 2 queues, of which 1 would be served: run 'ethtool -L eth0 tx 1 rx 1'" \
		--set data.port.kind=af_xdp --set data.port.device=eth0
}

test_the_admin_port_in_use_is_named() {
	net_create a
	node_start a
	refused 1 "admin address 127.0.0.1:7780 is in use" --set data.port.device=godwit1 \
		--set data.address=10.78.0.2/24
	! in_net a ip link show godwit1 >/dev/null 2>&1 || fail "the interface is left behind"
	node_stop a
}

test_a_memif_socket_in_use_is_named() {
	net_create a
	node_start a --set data.port.kind=memif --set "data.port.device=$WORK/m.sock"
	refused 1 "another process serves memif on $WORK/m.sock" --set data.port.kind=memif \
		--set "data.port.device=$WORK/m.sock" --set admin.listen=127.0.0.1:7781
	node_stop a
}

test_a_memif_socket_without_its_folder_is_named() {
	net_create a
	refused 1 "cannot create memif socket $WORK/none/m.sock: there is no such folder" \
		--set data.port.kind=memif --set "data.port.device=$WORK/none/m.sock"
	chmod 755 "$WORK"
	cp "$GODWITD" "$WORK/godwitd"
	expect_equal "exit code" "$(code_of in_net a setpriv --reuid=nobody --regid=nogroup --clear-groups \
		"$WORK/godwitd" "${NODE_DEFAULTS[@]}" --set data.port.kind=memif \
		--set "data.port.device=$WORK/m.sock")" 1
	expect_match "message" "$(cat "$WORK/output")" \
		'cannot create memif socket .* \(Permission denied\): choose a path in a folder this user may write to'
}

test_a_missing_privilege_is_named() {
	net_create a
	chmod 755 "$WORK"
	cp "$GODWITD" "$WORK/godwitd"
	expect_equal "exit code" "$(code_of in_net a setpriv --reuid=nobody --regid=nogroup \
		--clear-groups "$WORK/godwitd" "${NODE_DEFAULTS[@]}")" 1
	expect_match "message" "$(cat "$WORK/output")" \
		'error dataplane: cannot create a tap interface .* run as root or with CAP_NET_ADMIN'
}

test_a_bad_token_file_is_named() {
	net_create a
	refused 1 "admin.token_file: cannot read /nonexistent" --set admin.token_file=/nonexistent
	echo short >"$WORK/token"
	refused 1 "expected a token of at least 16 characters" --set "admin.token_file=$WORK/token"
	refused 2 "admin.listen: expected a loopback address, or admin.token_file" \
		--set admin.listen=0.0.0.0:7780
}

test_a_token_opens_the_admin_address_to_others() {
	net_create a
	echo "a token of more than 16 characters" >"$WORK/token"
	node_start a --set admin.listen=0.0.0.0:7780 --set "admin.token_file=$WORK/token"
	expect_equal "exit code without token" "$(code_of ctl a --admin 10.77.0.1:7780 status)" 5
	expect_match "message" "$(cat "$WORK/output")" 'answered 401: expected the header'
	expect_equal "exit code with token" "$(code_of ctl a --admin 10.77.0.1:7780 \
		--token-file "$WORK/token" status)" 0
	node_stop a
}

run_tests
