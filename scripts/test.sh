#!/usr/bin/env bash
# Everything that must pass before a change is accepted, cheapest first; stops at the first failure.
#
#   tools ─ console ─ format ─ documents ─ contract ─ licences ─ lints ─ documentation tests
#         ─ tests (SQLite and PostgreSQL) ─ console in a browser
#
# Installs what is missing, needs no network once that and the dependencies are there, and leaves the
# checkout as it was. What cannot be installed fails it; with RIVERGEN_REQUIRE_TOOLS=0 the tests that want it are passed
# over. Arguments are handed to `cargo nextest run`: scripts/test.sh -E 'test(signup)'.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/rivergen/target}"
export PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
# A test that is passed over proves nothing.
export RIVERGEN_REQUIRE_TOOLS="${RIVERGEN_REQUIRE_TOOLS:-1}"
# Everything is built once here: state for building it again in steps would only fill the disk.
export CARGO_INCREMENTAL=0

step() {
    printf '\n== %s (after %d s)\n' "$1" "$SECONDS"
}

step "Tools"
scripts/install-test-tools.sh

step "Console: types and build"
scripts/build-console.sh
if [ -x console/node_modules/.bin/prettier ]; then
    (cd console && npm run --silent check)
fi

step "Format"
cargo fmt --all --check

step "Documents"
scripts/check-docs.sh

step "Contract"
scripts/check-contract.sh

step "Licences, bans and sources of dependencies"
scripts/check-dependencies.sh

step "Lints"
cargo clippy --workspace --all-targets --locked -- -D warnings

# Starting rustdoc for every crate is slow, so it is done only where an example would run.
if scripts/has-doc-tests.sh; then
    step "Documentation tests"
    cargo test --doc --workspace --locked
fi

step "Tests"
# Twice the cores: tests wait for the disk and for each other's servers about half of their time.
scripts/with-postgres.sh cargo nextest run --workspace --locked --profile ci --test-threads "$(($(nproc) * 2))" "$@"

# What is asked for by name is a part of the tests above.
if [ $# -eq 0 ]; then
    step "Console in a browser"
    scripts/test-console.sh
fi
