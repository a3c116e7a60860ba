#!/usr/bin/env bash
# Holds the dependencies against deny.toml: licences, bans, sources; and security advisories where their database
# can be reached, because it is not part of the project and a build must not depend on it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! cargo deny --version >/dev/null 2>&1; then
    echo "NOT CHECKED: cargo-deny is not installed and could not be had"
    exit 0
fi

cargo deny --locked --log-level error check --hide-inclusion-graph licenses bans sources

database=https://github.com/RustSec/advisory-db
if GIT_TERMINAL_PROMPT=0 timeout 10 git ls-remote --quiet "$database" HEAD >/dev/null 2>&1; then
    timeout 300 cargo deny --locked --log-level error check advisories
else
    echo "Security advisories are not checked: their database is not reachable"
fi
