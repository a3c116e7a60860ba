#!/usr/bin/env bash
# Drives the console in Chromium, on a demo of the server: scripts/test-console.sh [FILE…]
#
# Two files run beside each other, and what fails is tried once more: console/tests/run.mjs.
#
# RIVERGEN_BIN names the server; without it the one that is built beside the tests. Screenshots are left in
# console/screenshots.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export RIVERGEN_BIN=${RIVERGEN_BIN:-${CARGO_TARGET_DIR:-$HOME/.cache/rivergen/target}/debug/rivergen-under-test}

if [ ! -f console/dist/index.html ]; then
    echo "the console is not built: its tests are skipped"
    [ "${RIVERGEN_REQUIRE_TOOLS:-0}" != 1 ] || exit 1
    exit 0
fi
[ -x "$RIVERGEN_BIN" ] || cargo build --workspace --locked --bin rivergen-under-test
exec scripts/with-postgres.sh node console/tests/run.mjs "$@"
