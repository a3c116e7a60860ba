# The commands of a developer's day. Each recipe is one line; what is longer stands in scripts/.

# Outside the checkout, so that a fresh clone finds the dependencies built.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/rivergen/target
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin
RELEASE := $(CARGO_TARGET_DIR)/release/rivergen

.DEFAULT_GOAL := help
.PHONY: help demo test build lint fmt docs openapi bench

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## Build both and start them with a demo organization (DEMO_ARGS="--listen 127.0.0.1:9000")
	$(RELEASE) demo $(DEMO_ARGS)

test: ## Install what the tests need and run everything: format, lints, licences, docs, tests
	scripts/test.sh

build: ## Build the console and the server, optimised
	scripts/build-console.sh
	cargo build --release --locked -p rivergen --features local-models

lint: ## Format check and lints only
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

fmt: ## Format all code
	cargo fmt --all

docs: ## Bring the generated parts of docs/ up to date
	scripts/check-docs.sh --write

openapi: ## Write docs/openapi.json from the code
	cargo run --quiet --locked --bin rivergen -- openapi > docs/openapi.json.new
	mv docs/openapi.json.new docs/openapi.json

bench: ## Measure a release build; prints a table of ratios (takes some minutes)
	scripts/build-console.sh
	scripts/bench.sh
