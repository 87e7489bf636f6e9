# SPDX-License-Identifier: BSD-3-Clause
# The targets people call. Included by the Makefile; `make help` prints the text after '##'.
.DEFAULT_GOAL := all
.PHONY: help all deps test check unit integration check-includes format clean

SANITIZE_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all

help: ## explain every target
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

all: $(PROGRAMS) $(LIB_CLIENT) $(LIB_CLIENT_SO) check-includes ## build everything into build/

deps: ## install the Debian packages the build needs (root)
	scripts/install-deps

test: ## install what is missing, build, run all tests (root; no huge pages needed)
	scripts/install-deps
	$(MAKE) all
	scripts/run-tests

check: ## what must hold before a commit: the tests, a clang build, units under ASan and UBSan
	$(MAKE) test
	$(MAKE) CC=clang BUILD=$(BUILD)/clang all
	$(MAKE) BUILD=$(BUILD)/asan OPT=-O1 SANITIZE="$(SANITIZE_FLAGS)" unit

unit: $(UNIT_BIN) ## build and run the unit tests
	scripts/run-units $(UNIT_BIN)

integration: all ## run real nodes in network namespaces (root)
	BUILD=$(BUILD) tests/integration/run

# The client's tests share a server.
$(filter $(BUILD)/tests/unit/client/%,$(UNIT_BIN)): $(BUILD)/obj/tests/unit/client/fake_server.o

check-includes: ## fail on an include against the one direction of layers
	@scripts/check-includes

format: ## format all C sources by .clang-format
	clang-format -i $$(git ls-files '*.c' '*.h')

clean: ## remove build/
	rm -rf $(BUILD)
