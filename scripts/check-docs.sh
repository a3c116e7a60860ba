#!/usr/bin/env bash
# Keeps the parts of docs/ that repeat the code equal to it: the settings and the error codes.
# With --write it brings them up to date.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
write=${1:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0

# The settings with their comments.
settings() {
    printf '```toml\n'
    cat crates/server/src/defaults.toml
    printf '```\n'
}

# One row for each line of the catalogue: Variant "CODE" status "message";
errors() {
    printf '| Status | Code | Says, where nothing more precise is known |\n| --- | --- | --- |\n'
    sed -n 's/^    [A-Z][A-Za-z]* "\([A-Za-z_]*\)" \([0-9]\{3\}\) "\(.*\)";$/| \2 | `\1` | \3 |/p' crates/kernel/src/error.rs \
        | sed 's/\\"/"/g'
}

# The document with what stands between its two markers replaced.
replaced() {
    awk -v name="$2" -v part="$3" '
        $0 == "<!-- end of " name " -->" { inside = 0; ended++ }
        !inside { print }
        $0 == "<!-- " name ", made by scripts/check-docs.sh -->" {
            inside = 1; begun++
            while ((getline line < part) > 0) print line
        }
        END { exit !(begun == 1 && ended == 1) }
    ' "$1"
}

keep() {
    local file=$1 name=$2
    "$name" >"$work/$name"
    if ! replaced "$file" "$name" "$work/$name" >"$work/document"; then
        printf '%s: needs the markers of the part "%s" once\n' "$file" "$name" >&2
        status=1
    elif [ "$write" = --write ]; then
        cp "$work/document" "$file"
    elif ! diff -u --label "$file" --label "$file as it should be" "$file" "$work/document"; then
        printf '%s: run `make docs`\n' "$file" >&2
        status=1
    fi
}

keep docs/configuration.md settings
keep docs/errors.md errors

# Every code of the catalogue must have become a row.
codes=$(grep -cE '^    [A-Z][A-Za-z]* "[A-Za-z_]+" ' crates/kernel/src/error.rs)
rows=$(($(wc -l <"$work/errors") - 2))
if [ "$codes" -ne "$rows" ]; then
    printf 'crates/kernel/src/error.rs: %d codes, but %d rows were made of them\n' "$codes" "$rows" >&2
    status=1
fi

# Links between the documents lead somewhere.
while IFS=: read -r file link; do
    target=${link#*](}
    target=${target%)}
    target=${target%%#*}
    if [ -n "$target" ] && [ ! -e "$(dirname "$file")/$target" ]; then
        printf '%s: the link %s leads nowhere\n' "$file" "$target" >&2
        status=1
    fi
done < <(grep -oE '\]\([^):]+\)' README.md CONTRIBUTING.md docs/*.md)

exit "$status"
