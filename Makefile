# The thin front of everything: `make run`, `make test`, `make lint`, `make bench`.
# What is installed lands in .tools/; what runs keeps its data in .fanfold/.
export PATH := $(CURDIR)/.tools/bin:$(PATH)
CARGO_DENY := 0.20.2
# The build that is installed, packaged and measured: optimized over all crates, with jemalloc
# (docs/decisions/0072). `make run` uses the profile look, which builds in a third of the time.
OPTIMIZED := --release --locked --features fanfold/jemalloc --package fanfold
# Where `make install` puts the program.
PREFIX ?= $(HOME)/.local
CARGO_FUZZ := 0.13.2
# How long `make fuzz` runs each target, and which it runs.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= documents xpath use_argument idempotency_key traceparent cursor media_types bundle costly

# How much `make chaos` does: 100,000 tasks under 300 faults in an hour.
CHAOS_REQUESTS ?= 10000
CHAOS_FAULTS ?= 300
CHAOS_SECONDS ?= 3600

# Tests mostly wait for servers, so two for each core run at once.
TEST_THREADS ?= $(shell echo $$((2 * $$(getconf _NPROCESSORS_ONLN))))

# testcontainers is built only where it is asked for: it brings a Docker client.
ifeq ($(TEST_BACKEND),containers)
FEATURES := --features harness/containers
endif

.PHONY: help run install test console-test lint api-fuzz conformance fuzz hostile chaos recipes quantlib-test ore-test bench bench-quick tools clean-data
help:
	@echo 'make run    everything on this machine: servers, all roles, one address (a build that is not optimized)'
	@echo 'make install  the optimized program to PREFIX/bin ($(PREFIX)/bin)'
	@echo 'make test   all tests, on servers of their own'
	@echo 'make lint   format, clippy, dependencies and their known vulnerabilities'
	@echo 'make api-fuzz  Schemathesis against the HTTP API; recipes: what the tests of examples/ and clients/ need'
	@echo 'make quantlib-test  the worker of examples/quantlib with 1,000 trades; fetches QuantLib (21 MB)'
	@echo 'make ore-test  the worker of examples/ore with trades in the XML of ORE; fetches ORE (78 MB)'
	@echo 'make console-test  the console in a real browser, which it installs where it can'
	@echo 'make conformance  the document engine against the W3C suite and libxml2, hydration against the oracle'
	@echo 'make fuzz   every parser of what strangers send, FUZZ_SECONDS (60) each; hostile: the program under everything that costs'
	@echo 'make chaos  a cluster under load and faults for CHAOS_SECONDS (3600); SEED replays a schedule'
	@echo 'make permissions-test  each role without each of its permissions at NATS and Redis in turn'
	@echo 'make bench  how fast it is, in under 6 minutes; bench-quick in one'

tools:
	@scripts/tools.sh

run: tools
	@echo 'run: building (the first time takes some minutes)'
	@cargo build --locked --profile look --package fanfold
	@exec target/look/fanfold up

install:
	@echo 'install: building the optimized program (some minutes)'
	@cargo build $(OPTIMIZED)
	@install -d $(DESTDIR)$(PREFIX)/bin
	@install -m 755 target/release/fanfold $(DESTDIR)$(PREFIX)/bin/fanfold
	@echo 'install: $(DESTDIR)$(PREFIX)/bin/fanfold'

test: tools .tools/bin/cargo-nextest
	@scripts/console-test.sh || echo 'test: NOT TESTED: the console in a browser'
	@scripts/recipes.sh || echo 'test: no Python or Node packages to be had; the recipes of examples/ are skipped'
	@echo 'test: building (the first time takes some minutes)'
	@if cargo nextest --version >/dev/null 2>&1; \
	then cargo nextest run --workspace --locked --test-threads $(TEST_THREADS) $(FEATURES); \
	else cargo test --workspace --locked --no-fail-fast $(FEATURES); fi

# The console in a real browser, and against real servers. CONSOLE_PICTURES names a folder for pictures.
console-test: tools
	@scripts/console-test.sh
	@cargo nextest run --locked --package fanfold --test e2e --no-capture -E 'test(/^console::/)'

api-fuzz: tools
	@cargo build --locked --package fanfold
	@scripts/api-fuzz.sh

# SEED chooses what is generated; the oracle of hydration takes 10,000 documents here.
conformance:
	@scripts/conformance.sh $(SEED)
	@ORACLE_DOCUMENTS=10000 ORACLE_SEED=$(or $(SEED),22) cargo test --quiet --locked --package domain --test oracle -- --nocapture

# The stable toolchain will do: the targets are built with the flags of the unstable one.
fuzz: .tools/bin/cargo-fuzz
	@scripts/fuzz.sh '$(FUZZ_SECONDS)' $(FUZZ_TARGETS)

hostile: tools
	@cargo build $(OPTIMIZED) --package hostile
	@target/release/hostile $(HOSTILE)

# SEED repeats a schedule and a load; CHAOS has further flags, or kinds of faults.
chaos: tools
	@cargo build $(OPTIMIZED) --package chaos
	@target/release/chaos --requests $(CHAOS_REQUESTS) --faults $(CHAOS_FAULTS) --seconds $(CHAOS_SECONDS) \
	$(if $(SEED),--seed $(SEED)) $(CHAOS)

recipes:
	@scripts/recipes.sh

# A large wheel has an environment of its own: .tools/quantlib.
quantlib-test: tools
	@scripts/example-venv.sh quantlib
	@cargo build --locked --package fanfold
	@.tools/quantlib/bin/python examples/quantlib/test.py

ore-test: tools
	@scripts/example-venv.sh ore
	@cargo build --locked --package fanfold
	@.tools/ore/bin/python examples/ore/test.py

bench: tools
	@cargo build $(OPTIMIZED) --package bench
	@target/release/bench $(BENCH)

bench-quick: tools
	@cargo build $(OPTIMIZED) --package bench
	@target/release/bench --quick W1 W2 $(BENCH)

lint: .tools/bin/cargo-deny
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features harness/containers --locked -- -D warnings
	cargo check --manifest-path fuzz/Cargo.toml --all-targets --locked --quiet --target-dir target
	cargo-deny --locked check bans licenses sources
	@scripts/advisories.sh
	@scripts/console-types.sh
	@! cargo tree --locked --package fanfold --edges normal,build,features | grep 'feature "testing"' \
	|| { echo 'lint: the program is built with what only tests may have (feature testing)'; exit 1; }

.tools/bin/cargo-deny:
	@scripts/pinned.sh cargo-deny || { echo 'lint: building cargo-deny $(CARGO_DENY) into .tools/ (some minutes)'; \
	cargo install --quiet --debug --locked --version $(CARGO_DENY) cargo-deny --root .tools --target-dir .tools/build \
	&& rm -rf .tools/build; }

# Runs the tests of all crates beside each other. Without it `cargo test` runs one crate at a time.
.tools/bin/cargo-nextest:
	@cargo nextest --version >/dev/null 2>&1 || scripts/pinned.sh cargo-nextest || true

.tools/bin/cargo-fuzz:
	@echo 'fuzz: installing cargo-fuzz $(CARGO_FUZZ) into .tools/ (a minute or two)'
	@cargo install --quiet --debug --locked --version $(CARGO_FUZZ) cargo-fuzz --root .tools --target-dir .tools/build
	@rm -rf .tools/build

clean-data:
	rm -rf .fanfold

# Each role loses each of its permissions at NATS and Redis in turn; `make test` takes away some.
.PHONY: permissions-test
permissions-test: tools
	@PERMISSIONS=all cargo nextest run --locked --package fanfold --test e2e -E 'test(permissions::)' $(FEATURES)
