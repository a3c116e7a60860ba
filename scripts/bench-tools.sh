#!/usr/bin/env bash
# Makes a Python environment with DuckDB (and pytz, which it needs for times with a zone), the yardstick of the query
# benchmarks, and prints its interpreter.
# Status 1 where it cannot be made; the benchmarks then do without.
set -euo pipefail
venv="${XDG_CACHE_HOME:-$HOME/.cache}/rivergen/bench-venv"
python="$venv/bin/python"
if ! "$python" -c 'import duckdb, pytz' 2>/dev/null; then
    python3 -m venv "$venv" >&2
    timeout 300 "$venv/bin/pip" install --quiet --disable-pip-version-check 'duckdb==2.0.*' pytz >&2
    "$python" -c 'import duckdb, pytz'
fi
echo "$python"
