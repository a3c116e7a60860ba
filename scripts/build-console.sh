#!/usr/bin/env bash
# Builds the web console into console/dist, from where the server takes it into its binary.
#
# Needs Node 20.19 or later with npm. Without them nothing is built and the status is 0: the server is complete without the
# console, and says on its first page that it has none.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../console"

usable() {
    command -v npm >/dev/null && node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' 2>/dev/null
}
if ! usable; then
    echo "Node 20.19 with npm is missing: the server is built without the web console" >&2
    exit 0
fi

# npm keeps a copy of the lock beside what it installed; it is older where the lock has changed since.
if [ ! node_modules/.package-lock.json -nt package-lock.json ]; then
    npm ci --no-audit --no-fund --silent
    touch node_modules/.package-lock.json
fi

# The same inputs give the same files, so that cargo builds the server anew only where something has changed.
wanted=$(find src public scripts index.html vite.config.ts tsconfig.json package-lock.json ../docs/openapi.json -type f -not -name schema.d.ts -print0 \
    | sort -z | xargs -0 cksum | cksum)
if [ "$(cat dist/.inputs 2>/dev/null)" != "$wanted" ]; then
    is_first=$([ -d dist ] || echo yes)
    npm run --silent build
    echo "$wanted" >dist/.inputs
    # Until now the server's build has watched this file.
    [ -z "$is_first" ] || touch package.json
fi
