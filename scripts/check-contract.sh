#!/usr/bin/env bash
# Holds docs/openapi.json against the contract of the API, where that lies beside the checkout.
#
# Operations that are still missing are counted in the table and no failure. An operation that is there must have the
# contract's fields and statuses; what is left out on purpose stands, with its reason, in contract-differences.txt, and
# a line there that is no longer true is a failure too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tool=../shared/tools/contract-check
if [ ! -x "$tool" ]; then
    echo "There is no contract beside this checkout"
    exit 0
fi

# Its status is 1 as long as any operation of any module is missing.
report=$("$tool" docs/openapi.json --verbose) || [ $? -eq 1 ]
printf '%s\n' "$report" | awk '/^missing:/ { skip = 1 } /^[0-9]+ of / { skip = 0 } !skip'

found=$(printf '%s\n' "$report" | awk '/^differing:/ { on = 1; next } !/^  / { on = 0 } on { sub(/^  /, ""); print }' | sort)
allowed=$(grep -vE '^[[:space:]]*(#|$)' scripts/contract-differences.txt | sort || true)
new=$(comm -23 <(printf '%s\n' "$found") <(printf '%s\n' "$allowed"))
gone=$(comm -13 <(printf '%s\n' "$found") <(printf '%s\n' "$allowed"))
status=0
if [ -n "$new" ]; then
    printf '\nThese differ from the contract:\n%s\n' "$new" >&2
    status=1
fi
if [ -n "$gone" ]; then
    printf '\nThese lines of scripts/contract-differences.txt are no longer true; remove them:\n%s\n' "$gone" >&2
    status=1
fi
exit "$status"
