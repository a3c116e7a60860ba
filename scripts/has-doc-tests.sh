#!/usr/bin/env bash
# Status 0 where some documentation comment has an example that rustdoc would compile.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
find crates bench tests -name '*.rs' -path '*/src/*' -print0 | xargs -0 awk '
    FNR == 1 { inside = 0 }
    match($0, /^[ \t]*\/\/[\/!][ \t]*```/) {
        if (inside) { inside = 0; next }
        inside = 1
        info = substr($0, RSTART + RLENGTH)
        if (info !~ /text|ignore|json|toml|sql|console|sh/) { found = 1; print FILENAME ":" FNR }
    }
    END { exit !found }
'
