#!/usr/bin/env bash
# Prints the directory of PostgreSQL's server programs (initdb, postgres); status 1 where there is none.
# Debian keeps them out of the PATH; the newest version wins.
set -euo pipefail
for program in $(printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -rV) "$(command -v initdb || true)"; do
    if [ -x "$program" ] && [ -x "$(dirname "$program")/postgres" ]; then
        dirname "$program"
        exit 0
    fi
done
exit 1
