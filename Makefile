# SPDX-License-Identifier: BSD-3-Clause
# Godwit: build, test and measure. `make help` explains every target.

BUILD ?= build
ifeq ($(origin CC),default)
CC := gcc
endif
OPT ?= -O3
# V=1 shows whole commands.
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2))
SANITIZE ?=
PKGS_DPDK := libdpdk
PKGS_CONTROL := libevent libevent_pthreads libprotobuf-c jansson yaml-0.1 libsodium libcrypto

WARNINGS := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Werror
VERSION := $(shell cat VERSION)

# Library headers come in as system headers: their warnings are not ours.
dpdk_cflags = $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(PKGS_DPDK) 2>/dev/null))
control_cflags = $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(PKGS_CONTROL) 2>/dev/null))
dpdk_libs = $(shell pkg-config --libs $(PKGS_DPDK) 2>/dev/null)
control_libs = $(shell pkg-config --libs $(PKGS_CONTROL) 2>/dev/null)

CFLAGS_COMMON := -std=gnu11 $(OPT) -g -fno-omit-frame-pointer -fno-strict-overflow $(WARNINGS) $(SANITIZE) \
	-I. -I$(BUILD)/gen -D_GNU_SOURCE -DGODWIT_VERSION='"$(VERSION)"' -MMD -MP
# _LGPL_SOURCE lets liburcu inline its fast paths.
CFLAGS_SERVER = $(CFLAGS_COMMON) $(dpdk_cflags) -D_LGPL_SOURCE -DALLOW_EXPERIMENTAL_API
CFLAGS_CONTROL = $(CFLAGS_SERVER) $(control_cflags)
CFLAGS_CLIENT := $(CFLAGS_COMMON) -fPIC -fvisibility=hidden
LIBS_SERVER = $(dpdk_libs) -lurcu-qsbr -lurcu-common -lpthread -lm
LIBS_CONTROL = $(control_libs) $(LIBS_SERVER)

# ---- sources: one noun per file, found by folder ----
STORAGE_SRC := $(wildcard storage/*.c)
DATAPLANE_SRC := $(wildcard dataplane/*.c)
WIRE_SRC := $(wildcard dataplane/wire_*.c)
CLIENT_SRC := $(wildcard dataplane/client/*.c)
LOADGEN_SRC := $(filter-out dataplane/loadgen/main.c,$(wildcard dataplane/loadgen/*.c))
CONTROLPLANE_SRC := $(filter-out controlplane/main.c,$(wildcard controlplane/*.c))
CTL_SRC := $(filter-out controlplane/ctl/main.c,$(wildcard controlplane/ctl/*.c))
PROTO_SRC := $(wildcard controlplane/*.proto)
UNIT_SRC := $(filter-out tests/unit/unit_%.c,$(wildcard tests/unit/*.c tests/unit/*/test_*.c))

# Programs that run many nodes in one process, and what they share.
SIMULATION_PROGRAM_SRC := $(wildcard tests/simulation/test_*.c) $(wildcard tests/simulation/gossip_cost.c tests/simulation/simulate.c) \
	tests/simulation/failpoints.c
SIMULATION_SHARED_SRC := $(filter-out $(SIMULATION_PROGRAM_SRC),$(wildcard tests/simulation/*.c))

# One program for each decoder; with LIBFUZZER=1 linked to look for inputs, else to run those of the corpus.
FUZZ_TARGET_SRC := $(wildcard tests/fuzz/target_*.c)
FUZZ_SHARED_SRC := $(filter-out $(FUZZ_TARGET_SRC) $(if $(LIBFUZZER),tests/fuzz/fuzz_replay.c),$(wildcard tests/fuzz/*.c))

obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
STORAGE_OBJ := $(call obj,$(STORAGE_SRC))
DATAPLANE_OBJ := $(call obj,$(DATAPLANE_SRC))
LOADGEN_OBJ := $(call obj,$(LOADGEN_SRC))
CONTROLPLANE_OBJ := $(call obj,$(CONTROLPLANE_SRC))
CTL_OBJ := $(call obj,$(CTL_SRC))
PROTO_OBJ := $(patsubst controlplane/%.proto,$(BUILD)/obj/gen/controlplane/%.pb-c.o,$(PROTO_SRC))
CLIENT_OBJ := $(patsubst %.c,$(BUILD)/client/%.o,$(WIRE_SRC) $(CLIENT_SRC))
SIMULATION_TEST_BIN := $(patsubst %.c,$(BUILD)/%,$(filter tests/simulation/test_%,$(SIMULATION_PROGRAM_SRC)))
UNIT_BIN := $(patsubst %.c,$(BUILD)/%,$(UNIT_SRC))
FUZZ_BIN := $(patsubst %.c,$(BUILD)/%,$(FUZZ_TARGET_SRC))

LIB_STORAGE := $(BUILD)/libstorage.a
LIB_DATAPLANE := $(BUILD)/libdataplane.a
LIB_CONTROLPLANE := $(BUILD)/libcontrolplane.a
LIB_LOADGEN := $(BUILD)/libloadgen.a
LIB_CTL := $(BUILD)/libctl.a
LIB_CLIENT := $(BUILD)/libgodwit.a
LIB_CLIENT_SO := $(BUILD)/libgodwit.so

PROGRAMS := $(if $(wildcard controlplane/main.c),$(BUILD)/godwitd) \
	$(if $(wildcard controlplane/ctl/main.c),$(BUILD)/godwitctl) \
	$(if $(wildcard dataplane/loadgen/main.c),$(BUILD)/godwit-bench)

include scripts/targets.mk

# ---- rules ----
$(BUILD)/obj/gen/%.pb-c.o: $(BUILD)/gen/%.pb-c.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) -std=gnu11 $(OPT) -g $(SANITIZE) -w -I$(BUILD)/gen -MMD -MP -c $< -o $@

$(BUILD)/gen/%.pb-c.c $(BUILD)/gen/%.pb-c.h &: %.proto
	@mkdir -p $(@D)
	$(call say,PROTOC,$<)
	$(Q)protoc-c --c_out=$(BUILD)/gen $<

$(BUILD)/obj/storage/%.o: storage/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS_SERVER) -c $< -o $@

$(BUILD)/obj/dataplane/%.o: dataplane/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS_SERVER) -c $< -o $@

$(BUILD)/obj/controlplane/%.o: controlplane/%.c | $(patsubst %.proto,$(BUILD)/gen/%.pb-c.h,$(PROTO_SRC))
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS_CONTROL) -c $< -o $@

$(BUILD)/obj/tests/%.o: tests/%.c | $(patsubst %.proto,$(BUILD)/gen/%.pb-c.h,$(PROTO_SRC))
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS_CONTROL) -c $< -o $@

# The client library knows no DPDK: its objects are built apart, position independent, symbols hidden.
$(BUILD)/client/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS_CLIENT) -c $< -o $@

$(LIB_STORAGE): $(STORAGE_OBJ)
$(LIB_DATAPLANE): $(DATAPLANE_OBJ)
$(LIB_CONTROLPLANE): $(CONTROLPLANE_OBJ) $(PROTO_OBJ)
$(LIB_LOADGEN): $(LOADGEN_OBJ)
$(LIB_CTL): $(CTL_OBJ)
$(LIB_CLIENT): $(CLIENT_OBJ)
$(BUILD)/%.a:
	@mkdir -p $(@D)
	@rm -f $@
	$(call say,AR,$@)
	$(Q)$(AR) rcs $@ $^

$(LIB_CLIENT_SO): $(CLIENT_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) -shared $(SANITIZE) -Wl,-soname,libgodwit.so.$(firstword $(subst ., ,$(VERSION))) -Wl,-z,defs -o $@.$(VERSION) $^
	$(Q)ln -sf $(notdir $@).$(VERSION) $@.$(firstword $(subst ., ,$(VERSION)))
	$(Q)ln -sf $(notdir $@).$(VERSION) $@

$(BUILD)/godwitd: $(BUILD)/obj/controlplane/main.o $(LIB_CONTROLPLANE) $(LIB_DATAPLANE) $(LIB_STORAGE)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SANITIZE) -o $@ $^ $(LIBS_CONTROL)

$(BUILD)/godwitctl: $(BUILD)/obj/controlplane/ctl/main.o $(LIB_CTL) $(LIB_CLIENT)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SANITIZE) -o $@ $^ $(control_libs) -lpthread

$(BUILD)/godwit-bench: $(BUILD)/obj/dataplane/loadgen/main.o $(LIB_LOADGEN) $(LIB_DATAPLANE) $(LIB_STORAGE)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SANITIZE) -o $@ $^ $(LIBS_SERVER) -ljansson

$(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(call obj,$(wildcard tests/unit/unit_*.c)) \
		$(LIB_CTL) $(LIB_CONTROLPLANE) $(LIB_LOADGEN) $(LIB_DATAPLANE) $(LIB_STORAGE) $(LIB_CLIENT)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SANITIZE) -o $@ $(filter %.o,$^) $(filter %.a,$^) -lcunit $(LIBS_CONTROL)

$(BUILD)/tests/simulation/%: $(BUILD)/obj/tests/simulation/%.o $(call obj,$(SIMULATION_SHARED_SRC)) \
		$(call obj,$(wildcard tests/unit/unit_*.c)) $(LIB_CONTROLPLANE) $(LIB_DATAPLANE) $(LIB_STORAGE)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SANITIZE) -o $@ $^ -lcunit $(LIBS_CONTROL)

$(BUILD)/tests/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(call obj,$(FUZZ_SHARED_SRC)) $(call obj,$(wildcard tests/unit/unit_*.c)) \
		$(LIB_CTL) $(LIB_CONTROLPLANE) $(LIB_DATAPLANE) $(LIB_STORAGE) $(LIB_CLIENT)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SANITIZE) $(if $(LIBFUZZER),-fsanitize=fuzzer) -o $@ $(filter %.o,$^) $(filter %.a,$^) -lcunit $(LIBS_CONTROL)

$(BUILD)/tests/model/%: $(BUILD)/obj/tests/model/%.o $(call obj,$(wildcard tests/model/model_*.c)) \
		$(LIB_CONTROLPLANE) $(LIB_DATAPLANE) $(LIB_STORAGE)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SANITIZE) -o $@ $^ $(LIBS_CONTROL)

$(BUILD)/tests/bench/%: $(BUILD)/obj/tests/bench/%.o $(LIB_LOADGEN) $(LIB_DATAPLANE) $(LIB_STORAGE)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(SANITIZE) -o $@ $^ $(LIBS_SERVER)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
.SECONDARY:
.DELETE_ON_ERROR:
