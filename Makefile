# The verbs of this repository. CI runs `make test` and nothing else.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.NOTPARALLEL:
.DEFAULT_GOAL := help

build := $(or $(CARGO_TARGET_DIR),target)
newman := $(build)/newman
servers := tests/servers/with.sh
step = printf '\n== %s\n'

.PHONY: help
help: ## Say what there is to make
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

.PHONY: run
run: compiler ## Start Tally with demo data
	@cargo run -- serve --demo

.PHONY: test
test: newman lint compose ## Everything that must hold before a change is merged
	@$(step) "build"
	@cargo build --workspace
	@$(servers) $(MAKE) --no-print-directory embedded scaled-out
	@$(step) "Postman collection against the demo"
	@tests/postman/run.sh "$(build)/debug/tally" "$(newman)"
	@$(step) "speed beside DuckDB"
	@TALLY_BENCH_PROFILE=debug bench/run.sh --small

.PHONY: lint
lint: compiler ## Formatting, clippy and rustdoc, without a warning
	@$(step) "formatting"
	@cargo fmt --all --check
	@$(step) "clippy"
	@cargo clippy --workspace --all-targets -- -D warnings
	@$(step) "rustdoc"
	@RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

.PHONY: bench
bench: compiler ## Measure Tally beside DuckDB, ClickHouse and GoAccess, and write docs/benchmarks.md; up to an hour
	@$(servers) bench/run.sh

.PHONY: soak
soak: compiler ## Five minutes of ingest and reports at once: flat memory, few files, a right report
	@bench/run.sh --soak 300

# The tests in one of the two shapes. Those of several processes are the same in both.
.PHONY: embedded scaled-out
embedded: without := --skip scaled_out::
embedded scaled-out:
	@$(step) "tests, $@"
	@TALLY_TEST_SHAPE=$@ cargo test --workspace -- $(without)

.PHONY: compose
compose: ## The compose files, as far as that can be seen without containers
	@$(step) "compose files"
	@tests/compose/run.sh "$(build)/compose"

.PHONY: bless
bless: compiler ## Write the generated documents anew
	@$(step) "tests, which write what they would compare"
	@BLESS=1 $(servers) cargo test --workspace

.PHONY: newman
newman:
	@tests/postman/install.sh "$(newman)"

.PHONY: compiler
compiler:
	@command -v cargo >/dev/null || { echo "cargo is not on the PATH: install Rust 1.95 or later with rustup" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "cc is not on the PATH: jemalloc, SQLite and zstd are built from C; install a C compiler (Debian: apt-get install build-essential)" >&2; exit 1; }
