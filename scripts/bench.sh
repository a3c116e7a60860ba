#!/usr/bin/env bash
# Builds the server and the benchmarks, optimised, and measures. Takes some minutes; leave the machine alone meanwhile.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/rivergen/target}"
cargo build --release --locked -p rivergen -p rivergen-bench --features rivergen/local-models
arguments=(--server "$CARGO_TARGET_DIR/release/rivergen")
if python=$(scripts/bench-tools.sh); then
    arguments+=(--python "$python")
fi
if [ -f console/dist/index.html ] && [ -d console/node_modules/playwright-core ] && [ -x "${CHROMIUM:-/usr/bin/chromium}" ]; then
    arguments+=(--console console)
fi
run=("$CARGO_TARGET_DIR/release/rivergen-bench" "${arguments[@]}" "$@")
if scripts/postgres-bin.sh >/dev/null; then
    exec scripts/with-postgres.sh "${run[@]}"
fi
exec "${run[@]}"
