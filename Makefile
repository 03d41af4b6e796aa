# Every target installs what it lacks. Builds are kept outside the checkout, so
# that a fresh clone does not start from nothing.

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/sluice
export CARGO_TARGET_DIR ?= $(CACHE)/target
export PATH := $(HOME)/.cargo/bin:$(PATH)
export SLUICE_BIN := $(CARGO_TARGET_DIR)/release/sluice
# What the demo shows is what the tests test, and dependencies are compiled once: the
# same members and features everywhere.
BUILD := cargo build --release --locked --workspace --all-features

.DEFAULT_GOAL := help
.PHONY: help setup build demo test fuzz soak mutants check bench gen release-proto fmt clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install what is missing to build (Rust, a C compiler)
	@tools/setup

build: setup ## Build the sluice binary
	$(BUILD) --bin sluice

demo: build ## Upload real files, kill the server half-way, compare what comes back (ENGINE=aws: on a local AWS; KEEP=1 leaves it running)
	@tools/demo

test: setup ## Run every test; SLUICE_SEED=… repeats a random one
	@tools/run-tests

fuzz: setup ## Feed each fuzz target for SECONDS (60)
	@tools/fuzz/run $(or $(SECONDS),60)

soak: setup ## The long version of every random test, then every mutant
	@SLUICE_SOAK=1 tools/run-tests
	@tests/mutants/run

mutants: setup ## Break one promise after the other; every break must be caught
	@tests/mutants/run

check: setup ## Lints, format, contract, generated code and dependencies
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --release --locked --workspace --all-features --no-deps --quiet --lib --bins --examples
	tools/check-proto
	sdk-gen/generate --check
	for language in go python typescript; do sdk-gen/$$language/run check || exit; done
	tools/check-dependencies
	tests/mutants/run --check

bench: setup ## Measure beside the limits of this machine; prints the table of bench/README.md
	$(BUILD) --bin sluice --bin sluice-bench
	$(CARGO_TARGET_DIR)/release/sluice-bench

gen: ## Generate the SDKs' code and docs/api from the contract (Rust: at build time)
	@sdk-gen/generate
	@tools/check-proto

release-proto: ## Take the contract as released: later changes must not break it
	tools/release-proto

fmt: setup ## Format the code and the contract
	cargo fmt --all
	tools/buf/run format --write

clean: ## Remove what was built
	cargo clean
