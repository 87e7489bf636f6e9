#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# libgodwit as applications meet it: what it exports and needs, and programs outside this tree that are built against an installed
# one, shared and static, as C99 and as C++, with each compiler there is.
# shellcheck source=tests/integration/lib.sh
. "$(dirname "$0")/lib.sh"

# install_library PREFIX: under $WORK/root, as a packager would.
install_library() {
	build_target "${BUILD#"$TOP"/}/stage/installed"
	flock "$BUILD" make -s -C "$TOP" BUILD="${BUILD#"$TOP"/}" install-client DESTDIR="$WORK/root" PREFIX="$1" \
		>"$WORK/output" 2>&1 || fail "make install-client PREFIX=$1"
	LIBRARY=$WORK/root$1/lib
	export PKG_CONFIG_SYSROOT_DIR=$WORK/root PKG_CONFIG_PATH=$LIBRARY/pkgconfig
}

declared_functions() {
	grep '^GODWIT_API' "$TOP/dataplane/client/godwit.h" | grep -o 'godwit_[a-z_]*(' | tr -d '(' | sort
}

# A library with a sanitizer or counters in it needs and has more than the one that is installed.
skip_when_instrumented() {
	! nm -D "$LIBRARY/libgodwit.so" | grep -Eq '__asan|gcov' || skip "built with a sanitizer or counters"
}

test_both_libraries_export_what_the_header_declares_and_nothing_else() {
	install_library /usr
	skip_when_instrumented
	[ "$(declared_functions | wc -l)" -gt 25 ] || fail "the header is misread: $(declared_functions)"
	expect_equal "exported by the shared library" \
		"$(nm -D --defined-only "$LIBRARY/libgodwit.so" | awk '{ print $2, $3 }' | sort)" \
		"$(declared_functions | sed 's/^/T /')"
	expect_equal "exported by the static library" \
		"$(nm -g --defined-only "$LIBRARY/libgodwit.a" | awk 'NF == 3 { print $2, $3 }' | sort)" \
		"$(declared_functions | sed 's/^/T /')"
}

test_it_needs_libc_alone_and_has_no_global_state() {
	install_library /usr
	skip_when_instrumented
	expect_equal "libraries it needs" \
		"$(objdump -p "$LIBRARY/libgodwit.so" | awk '$1 == "NEEDED" { print $2 }')" "libc.so.6"
	expect_equal "writable data" "$(nm "$LIBRARY/libgodwit.a" | grep -E ' [bBcCdD] ' || true)" ""
	expect_equal "threads, signals and exits it asks for" \
		"$(nm -u "$LIBRARY/libgodwit.a" | grep -E ' (pthread_|signal|sig|exit|abort|fork)' || true)" ""
}

test_its_names_carry_the_version() {
	local version
	version=$(cat "$TOP/VERSION")
	install_library /opt/godwit
	expect_equal "soname" "$(objdump -p "$LIBRARY/libgodwit.so" | awk '$1 == "SONAME" { print $2 }')" \
		"libgodwit.so.${version%%.*}"
	expect_equal "link for the loader" "$(readlink "$LIBRARY/libgodwit.so.${version%%.*}")" "libgodwit.so.$version"
	expect_equal "link for the linker" "$(readlink "$LIBRARY/libgodwit.so")" "libgodwit.so.${version%%.*}"
	[ -f "$LIBRARY/libgodwit.so.$version" ] || fail "no libgodwit.so.$version"
	expect_equal "version by pkg-config" "$(pkg-config --modversion godwit)" "$version"
	expect_equal "prefix" "$(sed -n 's/^prefix=//p' "$LIBRARY/pkgconfig/godwit.pc")" "/opt/godwit"
	expect_equal "what is installed" "$(cd "$WORK/root" && find . -type f | sort | tr '\n' ' ')" \
		"./opt/godwit/include/godwit.h ./opt/godwit/lib/libgodwit.a ./opt/godwit/lib/libgodwit.so.$version ./opt/godwit/lib/pkgconfig/godwit.pc "
}

# In the common part of C99 and C++.
write_program() {
	cat >"$1" <<-'PROGRAM'
		#include <godwit.h>
		#include <stdio.h>
		#include <string.h>

		int main(int argc, char **argv)
		{
			struct godwit *client;
			struct godwit_result result;
			enum godwit_status status = godwit_open(&client, argv[argc - 1], NULL);

			if (status != GODWIT_OK) {
				printf("%s %s\n", godwit_version(), godwit_status_text(status));
				return 1;
			}
			memset(&result, 0, sizeof(result));
			status = godwit_set(client, "outside", 7, argv[0], strlen(argv[0]), GODWIT_NO_TTL, NULL);
			if (status == GODWIT_OK)
				status = godwit_get(client, "outside", 7, &result);
			printf("%s %s %d\n", godwit_version(), godwit_status_text(status),
			       result.value_size == strlen(argv[0]) && memcmp(result.value, argv[0], result.value_size) == 0);
			godwit_close(client);
			return 0;
		}
	PROGRAM
}

# build_and_run COMPILER SOURCE FLAG...: shared and static, against the node of network a.
build_and_run() {
	local expected
	expected="$(cat "$TOP/VERSION") ok 1"
	# shellcheck disable=SC2046 # words are meant
	"$@" -Wall -Wextra -Werror -o "$WORK/shared" $(pkg-config --cflags --libs godwit) >"$WORK/output" 2>&1 ||
		fail "$* does not build"
	expect_equal "$*, shared" "$(in_net a env LD_LIBRARY_PATH="$LIBRARY" "$WORK/shared" "$NODE_ADDRESS")" "$expected"
	# shellcheck disable=SC2046
	"$@" -Wall -Wextra -Werror -o "$WORK/static" $(pkg-config --cflags godwit) "$LIBRARY/libgodwit.a" \
		>"$WORK/output" 2>&1 || fail "$* does not build statically"
	expect_equal "$*, static" "$(in_net a "$WORK/static" "$NODE_ADDRESS")" "$expected"
}

test_programs_outside_the_tree_build_and_run() {
	local compiler standard built=0
	install_library /usr
	skip_when_instrumented
	net_create a
	node_start a
	write_program "$WORK/program.c"
	cp "$WORK/program.c" "$WORK/program.cc"
	for compiler in gcc clang; do
		command -v $compiler >/dev/null || continue
		for standard in c99 gnu11; do
			build_and_run $compiler "$WORK/program.c" -std=$standard -pedantic
			built=$((built + 1))
		done
	done
	for compiler in g++ clang++; do
		command -v $compiler >/dev/null || continue
		build_and_run $compiler "$WORK/program.cc" -std=c++11 -pedantic
	done
	[ $built -gt 0 ] || fail "no C compiler was tried"
	node_stop a
}

# All of libc in the program as well: nothing of the shared library is needed at run time.
test_a_whole_static_program_runs() {
	install_library /usr
	skip_when_instrumented
	net_create a
	write_program "$WORK/program.c"
	# shellcheck disable=SC2046
	gcc -static -o "$WORK/program" "$WORK/program.c" $(pkg-config --cflags --static --libs godwit) \
		>"$WORK/output" 2>&1 || fail "it does not build"
	expect_equal "what it says without a server" "$(in_net a "$WORK/program" 127.0.0.1)" \
		"$(cat "$TOP/VERSION") no server answers"
}

run_tests
