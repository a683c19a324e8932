# The thin front of everything: `make run`, `make test`, `make lint`, `make bench`.
# What is installed lands in .tools/; what runs keeps its data in .fanfold/.
export PATH := $(CURDIR)/.tools/bin:$(PATH)
CARGO_DENY := 0.20.2
CARGO_FUZZ := 0.13.2
# How long `make fuzz` runs each target, and which it runs.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= documents xpath use_argument idempotency_key traceparent cursor media_types bundle costly

# How much `make chaos` does: 100,000 tasks under 300 faults in an hour.
CHAOS_REQUESTS ?= 10000
CHAOS_FAULTS ?= 300
CHAOS_SECONDS ?= 3600

# testcontainers is built only where it is asked for: it brings a Docker client.
ifeq ($(TEST_BACKEND),containers)
FEATURES := --features harness/containers
endif

.PHONY: help run test lint api-fuzz conformance fuzz hostile chaos recipes bench bench-quick tools clean-data
help:
	@echo 'make run    everything on this machine: servers, all roles, one address'
	@echo 'make test   all tests, on servers of their own'
	@echo 'make lint   format, clippy, dependencies and their known vulnerabilities'
	@echo 'make api-fuzz  Schemathesis against the HTTP API; recipes: what the tests of examples/ need'
	@echo 'make conformance  the document engine against the W3C suite and libxml2, hydration against the oracle'
	@echo 'make fuzz   every parser of what strangers send, FUZZ_SECONDS (60) each; hostile: the program under everything that costs'
	@echo 'make chaos  a cluster under load and faults for CHAOS_SECONDS (3600); SEED replays a schedule'
	@echo 'make bench  how fast it is, in under 6 minutes; bench-quick in one'

tools:
	@scripts/tools.sh

run: tools
	@echo 'run: building (the first time takes some minutes)'
	@cargo build --release --locked --package fanfold
	@exec target/release/fanfold up

test:
	@scripts/tools.sh tests
	@scripts/recipes.sh || echo 'test: no Python or Node packages to be had; the recipes of examples/ are skipped'
	@echo 'test: building (the first time takes some minutes)'
	@if cargo nextest --version >/dev/null 2>&1; \
	then cargo nextest run --workspace --locked $(FEATURES); \
	else cargo test --workspace --locked --no-fail-fast $(FEATURES); fi

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
	@cargo build --release --locked --package fanfold --package hostile
	@target/release/hostile $(HOSTILE)

# SEED repeats a schedule and a load; CHAOS has further flags, or kinds of faults.
chaos: tools
	@cargo build --release --locked --package fanfold --package chaos
	@target/release/chaos --requests $(CHAOS_REQUESTS) --faults $(CHAOS_FAULTS) --seconds $(CHAOS_SECONDS) \
	$(if $(SEED),--seed $(SEED)) $(CHAOS)

recipes:
	@scripts/recipes.sh

bench: tools
	@cargo build --release --locked --package fanfold --package bench
	@target/release/bench $(BENCH)

bench-quick: tools
	@cargo build --release --locked --package fanfold --package bench
	@target/release/bench --quick W1 W2 $(BENCH)

lint: .tools/bin/cargo-deny
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features harness/containers --locked -- -D warnings
	cargo check --manifest-path fuzz/Cargo.toml --all-targets --locked --quiet --target-dir target
	cargo-deny --locked check bans licenses sources
	@scripts/advisories.sh
	@! cargo tree --locked --package fanfold --edges normal,build,features | grep 'feature "testing"' \
	|| { echo 'lint: the program is built with what only tests may have (feature testing)'; exit 1; }

.tools/bin/cargo-deny:
	@echo 'lint: installing cargo-deny $(CARGO_DENY) into .tools/ (a minute or two)'
	@cargo install --quiet --debug --locked --version $(CARGO_DENY) cargo-deny --root .tools --target-dir .tools/build
	@rm -rf .tools/build

.tools/bin/cargo-fuzz:
	@echo 'fuzz: installing cargo-fuzz $(CARGO_FUZZ) into .tools/ (a minute or two)'
	@cargo install --quiet --debug --locked --version $(CARGO_FUZZ) cargo-fuzz --root .tools --target-dir .tools/build
	@rm -rf .tools/build

clean-data:
	rm -rf .fanfold
