# SPDX-License-Identifier: BSD-3-Clause
# The targets people call. Included by the Makefile; `make help` prints the text after '##'.
.DEFAULT_GOAL := all
.PHONY: help all deps demo test check check-units check-threads check-integration bench unit integration check-includes check-specification format clean

SANITIZE_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all

help: ## explain every target
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

all: $(PROGRAMS) $(LIB_CLIENT) $(LIB_CLIENT_SO) check-includes ## build everything into build/

deps: ## install the Debian packages the build needs (root)
	scripts/install-deps

demo: ## install what is missing, build, and show a cluster that grows and shrinks under load (root; under two minutes)
	scripts/install-deps
	$(MAKE) all examples
	scripts/demo

test: ## install what is missing, build, run all tests (root; no huge pages needed)
	scripts/install-deps
	$(MAKE) all
	scripts/run-tests

check: ## what must hold before a release: the tests, a clang build, and all tests again under ASan and UBSan, those with threads under TSan
	scripts/install-deps check
	$(MAKE) test
	$(MAKE) CC=clang BUILD=$(BUILD)/clang all build-tests
	$(MAKE) check-units
	$(MAKE) check-threads
	$(MAKE) check-integration

ASAN_MAKE = $(MAKE) BUILD=$(BUILD)/asan OPT=-O1 SANITIZE="$(SANITIZE_FLAGS)"

check-units: ## units, simulation and fuzz corpora under ASan and UBSan
	+$(ASAN_MAKE) unit fuzz-corpus simulation

# TSan sees nothing of DPDK and liburcu: tests/thread_notes.h tells it. Tests with workers on lcores are left out: the memory that
# rte_malloc() hands from one to the other would be a report each time. Addresses must not be random beyond what TSan knows.
THREADED_TESTS := $(patsubst tests/%.c,$(BUILD)/tsan/tests/%,$(shell grep -l pthread_create -r tests/unit --include='test_*.c'))
TSAN_FLAGS := -fsanitize=thread -Wno-tsan -DRTE_USE_C11_MEM_MODEL -include tests/thread_notes.h

check-threads: ## the tests with threads under TSan
	$(MAKE) BUILD=$(BUILD)/tsan OPT=-O1 SANITIZE="$(TSAN_FLAGS)" $(THREADED_TESTS)
	TSAN_OPTIONS=suppressions=$(CURDIR)/tests/threads.supp setarch -R scripts/run-units $(THREADED_TESTS)

check-integration: ## real nodes, clients and load generators under ASan and UBSan (root)
	+LSAN_OPTIONS=suppressions=$(CURDIR)/tests/leaks.supp:print_suppressions=0 $(ASAN_MAKE) integration

bench: ## measure a node against the echo ceiling of this machine (root; BENCH_QUICK=1: two short rounds)
	scripts/install-deps
	$(MAKE) all
	scripts/bench --build $(BUILD) $(if $(BENCH_QUICK),--quick)

INTEGRATION_BIN := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/integration/*.c))

unit: $(UNIT_BIN) ## build and run the unit tests
	scripts/run-units $(UNIT_BIN)

integration: all examples $(INTEGRATION_BIN) ## run real nodes in network namespaces (root; JOBS=1: one test program at a time)
	BUILD=$(BUILD) tests/integration/run

# The client's tests share a server, those of godwitctl have it and an admin address.
$(filter $(BUILD)/tests/unit/client/% $(BUILD)/tests/unit/ctl/%,$(UNIT_BIN)): $(BUILD)/obj/tests/unit/client/fake_server.o
$(filter $(BUILD)/tests/unit/ctl/%,$(UNIT_BIN)): $(BUILD)/obj/tests/unit/ctl/fake_admin.o

.PHONY: install install-client examples
PREFIX ?= /usr/local
SO_MAJOR = $(firstword $(subst ., ,$(VERSION)))

install: all install-client ## install programs, libgodwit, godwit.h, godwit.pc under DESTDIR and PREFIX (/usr/local)
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(PROGRAMS) scripts/godwit-setup $(DESTDIR)$(PREFIX)/bin

install-client: $(LIB_CLIENT_SO) $(BUILD)/install/libgodwit.a ## install what applications need alone
	install -d $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/lib/pkgconfig
	install -m 644 dataplane/client/godwit.h $(DESTDIR)$(PREFIX)/include
	install -m 644 $(BUILD)/install/libgodwit.a $(DESTDIR)$(PREFIX)/lib
	install -m 755 $(LIB_CLIENT_SO).$(VERSION) $(DESTDIR)$(PREFIX)/lib
	ln -sf libgodwit.so.$(VERSION) $(DESTDIR)$(PREFIX)/lib/libgodwit.so.$(SO_MAJOR)
	ln -sf libgodwit.so.$(SO_MAJOR) $(DESTDIR)$(PREFIX)/lib/libgodwit.so
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' dataplane/client/godwit.pc.in \
		> $(DESTDIR)$(PREFIX)/lib/pkgconfig/godwit.pc
	$(if $(DESTDIR),,-ldconfig)

# What applications link statically is one object that shows the API's symbols alone.
$(BUILD)/install/libgodwit.a: $(CLIENT_OBJ)
	@mkdir -p $(@D)
	@rm -f $@
	$(call say,AR,$@)
	$(Q)$(LD) -r -o $(@D)/godwit.o $^
	$(Q)objcopy --localize-hidden $(@D)/godwit.o
	$(Q)$(AR) rcs $@ $(@D)/godwit.o

# The examples are built as an application would be: against an installed library, found by pkg-config.
EXAMPLES := $(patsubst docs/examples/%.c,$(BUILD)/examples/%,$(wildcard docs/examples/*.c))
STAGE := $(BUILD)/stage
STAGE_PKG_CONFIG := PKG_CONFIG_SYSROOT_DIR=$(STAGE) PKG_CONFIG_PATH=$(STAGE)/usr/local/lib/pkgconfig pkg-config

examples: $(EXAMPLES) ## build docs/examples against an installed libgodwit; check that docs show them
	@scripts/check-doc-examples

$(BUILD)/examples/%: docs/examples/%.c $(STAGE)/installed
	$(build_against_stage)

$(BUILD)/tests/integration/%: tests/integration/%.c $(STAGE)/installed
	$(build_against_stage)

define build_against_stage
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror $(SANITIZE) $< -o $@ $$($(STAGE_PKG_CONFIG) --cflags --libs godwit)
endef

$(STAGE)/installed: $(LIB_CLIENT_SO) $(BUILD)/install/libgodwit.a dataplane/client/godwit.h \
		dataplane/client/godwit.pc.in
	$(Q)$(MAKE) --no-print-directory install-client DESTDIR=$(STAGE) PREFIX=/usr/local >$(BUILD)/stage.log
	@touch $@

check-includes: ## fail on an include against the one direction of layers
	@scripts/check-includes

check-specification: ## fail when docs/specification.md names what does not exist, or a test that does not run
	@scripts/check-specification

format: ## format all C sources by .clang-format
	clang-format -i $$(git ls-files '*.c' '*.h')

clean: ## remove build/
	rm -rf $(BUILD)

# ---- many nodes in one process ----
.PHONY: simulation gossip-cost

simulation: $(SIMULATION_TEST_BIN) ## run the tests of many nodes on virtual time
	scripts/run-units $(SIMULATION_TEST_BIN)

$(BUILD)/simulate: $(BUILD)/tests/simulation/simulate
	$(Q)cp $< $@

$(BUILD)/failpoints: $(BUILD)/tests/simulation/failpoints
	$(Q)cp $< $@

.PHONY: failpoints
failpoints: $(BUILD)/failpoints ## print the matrix: each phase of a migration x each fault in it (FAILPOINT_SEEDS=1..1)
	$< --seeds $(or $(FAILPOINT_SEEDS),1..1)

.PHONY: soak
SOAK_MINUTES ?= 60
SOAK_FROM ?= $(shell date +%s)
soak: $(BUILD)/simulate ## run the simulation of whole clusters on new seeds (SOAK_MINUTES=60); build/simulate --help says more
	$< --seeds $(SOAK_FROM)000..18446744073709551615 --minutes $(SOAK_MINUTES)

gossip-cost: $(BUILD)/tests/simulation/gossip_cost ## print what gossip costs at 3 to 1,000 nodes
	$<

.PHONY: build-tests
build-tests: $(UNIT_BIN) $(SIMULATION_TEST_BIN) $(BUILD)/simulate $(BUILD)/failpoints $(FUZZ_BIN) ## build all test programs, run none

# Two nodes in one thread, as the unit tests have them.
$(BUILD)/tests/bench/bench_migration: $(BUILD)/obj/tests/bench/bench_migration.o \
		$(call obj,$(wildcard tests/unit/unit_*.c)) $(LIB_CONTROLPLANE) $(LIB_DATAPLANE) $(LIB_STORAGE)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SANITIZE) -o $@ $^ -lcunit $(LIBS_CONTROL)

.PHONY: negative-controls check-controls
mutants = $(patsubst %,$(BUILD)/controls/%/simulate,$(1))
CONTROLS := $(patsubst tests/controls/%.patch,%,$(sort $(wildcard tests/controls/*.patch)))
CONTROLS_CHEAP := replay-window held read-barrier

CONTROL_PROGRAMS := $(BUILD)/simulate $(BUILD)/failpoints $(BUILD)/handover

$(BUILD)/handover: $(BUILD)/tests/model/handover
	$(Q)cp $< $@

negative-controls: $(call mutants,$(CONTROLS)) $(CONTROL_PROGRAMS) ## take each protection away and see that the simulation or the model notices: a line for each
	@scripts/negative-controls $(BUILD)

check-controls: $(call mutants,$(CONTROLS_CHEAP)) $(CONTROL_PROGRAMS) ## see that all negative controls can be made, and run two
	@scripts/negative-controls --check $(BUILD) $(CONTROLS_CHEAP)

# A product that lacks one protection, in the simulator, the matrix of failpoints and the model: the files that the patch changes, then
# everything else as it is. What an object of these defines is not looked for in the libraries.
SIMULATION_OBJ := $(call obj,$(SIMULATION_SHARED_SRC)) $(call obj,$(wildcard tests/unit/unit_*.c))
MODEL_OBJ := $(call obj,$(wildcard tests/model/*.c))

$(BUILD)/controls/%/changed: tests/controls/%.patch scripts/mutant $(LIB_CONTROLPLANE) $(LIB_DATAPLANE) $(LIB_STORAGE)
	$(call say,MUTANT,$*)
	$(Q)scripts/mutant $< $(@D)
	$(Q)cd $(@D) && find . -name '*.c' | while read source; do (cd $(CURDIR) && \
		$(CC) $(CFLAGS_CONTROL) -O1 -w -c $(@D)/$$source -o $(@D)/$$source.o) || exit 1; done
	@touch $@

$(BUILD)/controls/%/simulate: $(BUILD)/controls/%/changed $(BUILD)/obj/tests/simulation/simulate.o \
		$(BUILD)/obj/tests/simulation/failpoints.o $(SIMULATION_OBJ) $(MODEL_OBJ) \
		$(LIB_CONTROLPLANE) $(LIB_DATAPLANE) $(LIB_STORAGE)
	$(Q)for program in failpoints simulate; do \
		$(CC) $(SANITIZE) -o $(@D)/$$program $$(find $(@D) -name '*.c.o') $(BUILD)/obj/tests/simulation/$$program.o \
		$(SIMULATION_OBJ) $(filter %.a,$^) -lcunit $(LIBS_CONTROL) || exit 1; done
	$(Q)$(CC) $(SANITIZE) -o $(@D)/handover $$(find $(@D) -name '*.c.o') $(MODEL_OBJ) $(filter %.a,$^) $(LIBS_CONTROL)

.PHONY: model
model: $(BUILD)/tests/model/handover ## visit every interleaving of a hand-over (two minutes; MODEL_DEEP=1: an hour)
	@scripts/model $< $(if $(MODEL_DEEP),deep)

.PHONY: coverage
COVERAGE_BUILD := $(BUILD)/coverage
COVERAGE_SUITES ?= unit fuzz-corpus simulation integration

# -Og leaves xxHash no room for the inlining it insists on.
COVERAGE_FLAGS := BUILD=$(COVERAGE_BUILD) OPT=-Og SANITIZE="--coverage -Wno-error -DXXH_NO_INLINE_HINTS"

coverage: ## run the tests in a build that counts, print lines and branches run by folder (COVERAGE_SUITES=...)
	find $(COVERAGE_BUILD) -name '*.gcda' -delete 2>/dev/null || true
	$(MAKE) $(COVERAGE_FLAGS) all build-tests examples $(patsubst $(BUILD)/%,$(COVERAGE_BUILD)/%,$(INTEGRATION_BIN))
	-+END_GENTLY=1 $(MAKE) -k -j1 $(COVERAGE_FLAGS) $(COVERAGE_SUITES)
	scripts/coverage $(COVERAGE_BUILD)

# ---- fuzzing ----
.PHONY: fuzz fuzz-corpus
FUZZ_SECONDS ?= 60
FUZZ_BUILD := $(BUILD)/fuzz
FUZZ_FLAGS := CC=clang LIBFUZZER=1 BUILD=$(FUZZ_BUILD) OPT=-O2 \
	SANITIZE="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all"

fuzz-corpus: $(FUZZ_BIN) ## run the fuzz targets over their committed inputs, without a fuzzer
	scripts/run-fuzz-corpus $(FUZZ_BIN)

fuzz: ## look for inputs that break a decoder (clang; FUZZ_SECONDS=60 each, TARGET=... for one)
	@command -v clang >/dev/null || { echo "make fuzz needs clang: apt-get install clang" >&2; exit 1; }
	$(MAKE) $(FUZZ_FLAGS) $(if $(TARGET),$(FUZZ_BUILD)/tests/fuzz/target_$(TARGET),fuzz-programs)
	scripts/fuzz $(FUZZ_BUILD) $(FUZZ_SECONDS) $(TARGET)

.PHONY: fuzz-programs
fuzz-programs: $(FUZZ_BIN)
