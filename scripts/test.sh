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

# Whether eight gigabytes of files can lie in memory beside the tests, and can be run from there.
has_memory_for_files() {
    local free available probe
    free=$(df --output=avail -k /dev/shm 2>/dev/null | tail -1)
    available=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo 2>/dev/null)
    [ "${free:-0}" -ge 8388608 ] && [ "${available:-0}" -ge 12582912 ] || return 1
    probe=$(mktemp /dev/shm/rivergen.XXXXXX 2>/dev/null) || return 1
    printf '#!/bin/sh\n' >"$probe" && chmod +x "$probe" && "$probe" 2>/dev/null
    local usable=$?
    rm -f "$probe"
    return "$usable"
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
# Each test makes a database or a folder and throws it away. On a disk, the thousand files of a PostgreSQL database take
# longer than most tests; in memory, where there is plenty, they cost nothing.
if has_memory_for_files; then
    export TMPDIR=/dev/shm
fi
# No test trusts a server because the machine does. Without optimisation it takes a tenth of a test to read the 140 or so
# certificates of a machine, so each reads this one.
certificate="$PWD/tests/tests/api/sso/certificates/one.pem"
# Twice the cores: tests wait for the disk and for each other's servers about half of their time.
SSL_CERT_FILE="$certificate" SSL_CERT_DIR='' scripts/with-postgres.sh \
    cargo nextest run --workspace --locked --profile ci --test-threads "$(($(nproc) * 2))" "$@"

# What is asked for by name is a part of the tests above.
if [ $# -eq 0 ]; then
    step "Console in a browser"
    scripts/test-console.sh
fi
