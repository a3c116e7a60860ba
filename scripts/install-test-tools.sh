#!/usr/bin/env bash
# Installs what `make test` needs and this machine lacks.
#
# Debian packages are installed where this runs as root; elsewhere they are named, and the exit status is 1.
# The cargo tools are built from their sources, which needs no root. What is there already costs nothing.
# With RIVERGEN_REQUIRE_TOOLS=0, tests whose programs cannot be installed are named and later passed over.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The version that deny.toml is written for.
CARGO_DENY_VERSION=0.20

fail() {
    printf 'install-test-tools: %s\n' "$*" >&2
    exit 1
}

# What the tests named after it cannot do without.
lacking() {
    [ "${RIVERGEN_REQUIRE_TOOLS:-1}" = 0 ] || fail "$1: $2 cannot run. RIVERGEN_REQUIRE_TOOLS=0 passes over them"
    echo "$1: $2 will be skipped"
}

has() {
    command -v "$1" >/dev/null 2>&1
}

packages=()
{ has cc && has make; } || packages+=(build-essential)
# The test of PostgreSQL over TLS makes a certificate.
has openssl || packages+=(openssl)
# The browser of the passkeys' tests.
has chromium || has chromium-browser || has google-chrome || packages+=(chromium)
scripts/postgres-bin.sh >/dev/null || packages+=(postgresql)
# The bastion host of the tests of SSH tunnels.
[ -x /usr/sbin/sshd ] || packages+=(openssh-server)
has mariadbd || [ -x /usr/sbin/mariadbd ] || packages+=(mariadb-server)
# The server of the Redis connector's tests.
has redis-server || packages+=(redis-server)
# What the SAML provider of the tests signs and encrypts with.
has xmlsec1 || packages+=(xmlsec1)
python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)
if [ -x ../shared/tools/contract-check ] && ! python3 -c 'import yaml' 2>/dev/null; then
    packages+=(python3-yaml)
fi
if [ ${#packages[@]} -gt 0 ]; then
    if [ "$(id -u)" -ne 0 ] || ! has apt-get; then
        fail "missing: ${packages[*]}. Install with: sudo apt-get install ${packages[*]}"
    fi
    printf 'Installing %s\n' "${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq </dev/null
    apt-get install -y -qq --no-install-recommends "${packages[@]}" </dev/null >/dev/null
fi

node_suits() {
    has npm && node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' 2>/dev/null
}
# Older Debian packages are too old, so it is not installed from there.
node_suits || lacking "Node 20.19 or later with npm is missing" "the tests of the console and of foreign clients and servers"

has cargo || fail "missing: Rust with cargo, rustfmt and clippy; see CONTRIBUTING.md"
cargo fmt --version >/dev/null 2>&1 || fail "missing: rustfmt. Install with: rustup component add rustfmt"
cargo clippy --version >/dev/null 2>&1 || fail "missing: clippy. Install with: rustup component add clippy"

# Built without optimisation: they run for seconds, and build in a third of the time.
build_tool() {
    local name=$1 version=$2
    printf 'Building %s %s, once (some minutes)\n' "$name" "$version"
    env -u CARGO_TARGET_DIR cargo install --locked --debug --quiet "$name" --version "$version" </dev/null
}

cargo nextest --version >/dev/null 2>&1 || build_tool cargo-nextest '^0.9' \
    || fail "cargo-nextest is missing and could not be built"

if ! cargo deny --version >/dev/null 2>&1; then
    # check-dependencies.sh says what it then cannot check.
    if (cd / && timeout 60 cargo info --quiet cargo-deny >/dev/null 2>&1 </dev/null); then
        build_tool cargo-deny "^$CARGO_DENY_VERSION" || fail "cargo-deny could not be built"
    else
        echo "cargo-deny is missing, and the registry that it comes from is not reachable"
    fi
fi

# Servers that stand in for Amazon's and Azure's.
stores=$HOME/.cache/rivergen/object-stores
wanted=$(cat tests/interop/object-stores/{requirements.txt,package-lock.json} | cksum)
if [ "$(cat "$stores/installed" 2>/dev/null)" != "$wanted" ]; then
    mkdir -p "$stores"
    cp tests/interop/object-stores/{requirements.txt,package.json,package-lock.json} "$stores/"
    if (cd "$stores" && npm ci --no-audit --no-fund --silent && python3 -m venv python \
        && python/bin/pip install --quiet --disable-pip-version-check -r requirements.txt) </dev/null; then
        echo "$wanted" >"$stores/installed"
    else
        lacking "the stand-ins for AWS and Azure could not be installed" "their tests"
    fi
fi

# Foreign servers and clients from npm, each folder with a lock of its own.
install_npm() {
    local name=$1 wanted=$2 tests=$3 folder=$HOME/.cache/rivergen/$1
    if ! cmp -s "$wanted/package-lock.json" "$folder/package-lock.json"; then
        mkdir -p "$folder"
        cp "$wanted/package.json" "$folder/"
        # The lock comes last: what is there counts as installed.
        cp "$wanted/package-lock.json" "$folder/npm-shrinkwrap.json"
        if (cd "$folder" && npm ci --no-audit --no-fund --silent </dev/null); then
            mv "$folder/npm-shrinkwrap.json" "$folder/package-lock.json"
        else
            lacking "$name could not be installed" "$tests"
        fi
    fi
}
install_npm oidc-provider tests/interop/oidc-provider "the tests of social login"
install_npm graphql-yoga tests/interop/graphql-yoga "the tests of GraphQL"
install_npm oauth-interop tests/interop/oauth "the test of OAuth with openid-client"
install_npm storage-interop tests/interop/storage "the tests of Azure and of tus-js-client"

# Foreign servers and engines from Python's index, each in an environment of its own.
install_python() {
    local name=$1 wanted=$2 tests=$3 folder=$HOME/.cache/rivergen/$1
    if ! cmp -s "$wanted" "$folder/requirements.txt"; then
        # The requirements come last: what is there counts as installed.
        if python3 -m venv "$folder" && "$folder/bin/pip" install --quiet --disable-pip-version-check \
            --requirement "$wanted" </dev/null; then
            cp "$wanted" "$folder/requirements.txt"
        else
            lacking "$name could not be installed" "$tests"
        fi
    fi
}
install_python storage-interop tests/interop/storage/requirements.txt "the tests of S3 and of tuspy"
install_python pysaml2 tests/interop/saml/requirements.txt "the tests of SAML"
install_python tds-interop tests/interop/tds/requirements.txt "the tests of SQL Server"
install_python oracle-interop tests/interop/oracle/requirements.txt "the tests of Oracle"
install_python kafka tests/interop/kafka/requirements.txt "the tests of Kafka against librdkafka"
install_python scim-interop tests/interop/scim/requirements.txt "the test of SCIM with scim2-tester"
install_python oauth-interop tests/interop/oauth/requirements.txt "the test of OAuth with Authlib"
install_python services crates/connectors/tests/connectors/support/requirements.txt "the tests of ClickHouse and SQL services"

# Another engine's answers to TPC-H.
scripts/bench-tools.sh >/dev/null || lacking "DuckDB or tpchgen-cli could not be installed" "the tests of TPC-H"
