# Windlass: every way to build, run and check it. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

LISTEN ?= 127.0.0.1:8080
MANAGE ?= 127.0.0.1:8081
DATA ?= ./data

# Programs that no package of the system offers are installed here.
TOOLS := target/tools
export PATH := $(CURDIR)/$(TOOLS)/bin:$(PATH)

.PHONY: help
help: ## list what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 22

.PHONY: run
run: components host ## set up, build and serve on 127.0.0.1:8080 with SQLite in ./data
	@exec target/debug/windlass serve --listen $(LISTEN) --manage $(MANAGE) --data-dir $(DATA) --manifest spin.toml

.PHONY: host
host: ## build the binary windlass (with the features of the whole workspace, as the tests do)
	@cargo build --workspace --bins

.PHONY: components
components: ## build every component of spin.toml, finding or making the wasm target first
	@tools/build-components

.PHONY: test
test: check ## everything CI runs

.PHONY: check
check: setup format lint documentation dependencies components fixtures tests schemathesis ## the same as test

.PHONY: setup
setup: ## install what the tests need and the system lacks
	@tools/setup

.PHONY: format
format: ## is the code formatted? (`cargo fmt` formats it)
	@cargo fmt --all --check

.PHONY: lint
lint: ## clippy over everything, warnings denied
	@cargo clippy --workspace --all-targets -- -D warnings
	@shellcheck .ci/run tools/* tests/schemathesis/run

# rustdoc's own warnings; those of rustc are clippy's part, so that nothing is compiled twice.
.PHONY: documentation
documentation: ## the documentation builds without a warning
	@RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --quiet

.PHONY: dependencies
dependencies: ## licences, sources and bans of everything we link
	@tools/check-dependencies

.PHONY: fixtures
fixtures: ## build the components the tests load
	@tools/build-components --fixtures

.PHONY: tests
tests: ## unit and end-to-end tests, and the examples in the documentation
	@cargo nextest run --workspace
	@cargo test --workspace --doc --quiet

.PHONY: schemathesis
schemathesis: host components ## random requests made from the OpenAPI document
	@tests/schemathesis/run

.PHONY: bench
bench: components fixtures ## measure, and print the table of ratios
	@tools/wasmtime
	@cargo build --release --package windlass --package windlass-bench
	@target/release/windlass-bench

.PHONY: clean-data
clean-data: ## delete the data of `make run`
	@rm -rf $(DATA)
