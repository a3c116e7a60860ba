#!/usr/bin/env bash
# Makes a Python environment with DuckDB (and pytz, which it needs for times with a zone), the yardstick of queries, and
# tpchgen-cli, which makes the tables of TPC-H; prints its interpreter.
# Status 1 where it cannot be made; tests and benchmarks then do without.
set -euo pipefail
venv="${XDG_CACHE_HOME:-$HOME/.cache}/rivergen/bench-venv"
python="$venv/bin/python"
if ! "$python" -c 'import duckdb, pytz' 2>/dev/null || [ ! -x "$venv/bin/tpchgen-cli" ]; then
    python3 -m venv "$venv" >&2
    timeout 300 "$venv/bin/pip" install --quiet --disable-pip-version-check 'duckdb==2.0.*' pytz 'tpchgen-cli==4.*' >&2
    "$python" -c 'import duckdb, pytz'
fi
echo "$python"
