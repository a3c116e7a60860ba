#!/usr/bin/env bash
# Installs what `make test` needs and this machine lacks.
#
# Debian packages are installed where this runs as root; elsewhere they are named, and the exit status is 1.
# The cargo tools are built from their sources, which needs no root. What is there already costs nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The version that deny.toml is written for.
CARGO_DENY_VERSION=0.20

fail() {
    printf 'install-test-tools: %s\n' "$*" >&2
    exit 1
}

has() {
    command -v "$1" >/dev/null 2>&1
}

packages=()
has cc || packages+=(build-essential)
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

# Servers that stand in for Amazon's and Azure's. Without them their tests say that they are skipped.
stores=$HOME/.cache/rivergen/object-stores
wanted=$(cat tests/interop/object-stores/{requirements.txt,package-lock.json} | cksum)
if ! has npm || ! python3 -m venv --help >/dev/null 2>&1; then
    echo "npm or Python's venv are missing: the tests against stand-ins for AWS and Azure will be skipped"
elif [ "$(cat "$stores/installed" 2>/dev/null)" != "$wanted" ]; then
    mkdir -p "$stores"
    cp tests/interop/object-stores/{requirements.txt,package.json,package-lock.json} "$stores/"
    if (cd "$stores" && npm ci --no-audit --no-fund --silent && python3 -m venv python \
        && python/bin/pip install --quiet --disable-pip-version-check -r requirements.txt) </dev/null; then
        echo "$wanted" >"$stores/installed"
    else
        echo "the stand-ins for AWS and Azure could not be installed: their tests will be skipped"
    fi
fi

# A stand-in for SQL Server. Without it its tests say that they are skipped.
tds=$HOME/.cache/rivergen/tds-interop
if ! python3 -m venv --help >/dev/null 2>&1; then
    echo "python3 with venv is missing: the tests of SQL Server will be skipped"
elif ! cmp -s tests/interop/tds/requirements.txt "$tds/requirements.txt"; then
    # The requirements come last: what is there counts as installed.
    if python3 -m venv "$tds" && "$tds/bin/pip" install --quiet --disable-pip-version-check \
        --requirement tests/interop/tds/requirements.txt </dev/null; then
        cp tests/interop/tds/requirements.txt "$tds/"
    else
        echo "pysqlbridge, sqlglot or duckdb could not be installed: the tests of SQL Server will be skipped"
    fi
fi

# Foreign servers from npm, each with a lock of its own. Without them the tests that want them say that they are skipped.
install_npm() {
    local name=$1 tests=$2 folder=$HOME/.cache/rivergen/$1
    if ! has node || ! has npm; then
        echo "node and npm are missing: $tests will be skipped"
    elif ! cmp -s "tests/interop/$name/package-lock.json" "$folder/package-lock.json"; then
        mkdir -p "$folder"
        cp "tests/interop/$name/package.json" "$folder/"
        # The lock comes last: what is there counts as installed.
        cp "tests/interop/$name/package-lock.json" "$folder/npm-shrinkwrap.json"
        if (cd "$folder" && npm ci --no-audit --no-fund --silent </dev/null); then
            mv "$folder/npm-shrinkwrap.json" "$folder/package-lock.json"
        else
            echo "$name could not be installed: $tests will be skipped"
        fi
    fi
}
install_npm oidc-provider "the tests of social login"
install_npm graphql-yoga "the tests of GraphQL"

# Another engine's answers to TPC-H. Without them these tests say that they are skipped.
scripts/bench-tools.sh >/dev/null || echo "DuckDB or tpchgen-cli could not be installed: the tests of TPC-H will be skipped"
# Object stores and clients of tus that others wrote, for the tests of storage. Without them those say that they are skipped.
storage=$HOME/.cache/rivergen/storage-interop
if ! python3 -m venv --help >/dev/null 2>&1; then
    echo "python3 with venv is missing: the tests of S3 and of tuspy will be skipped"
elif ! cmp -s tests/interop/storage/requirements.txt "$storage/requirements.txt"; then
    # The requirements come last: what is there counts as installed.
    if python3 -m venv "$storage" && "$storage/bin/pip" install --quiet --requirement tests/interop/storage/requirements.txt; then
        cp tests/interop/storage/requirements.txt "$storage/"
    else
        echo "moto and tuspy could not be installed: the tests of S3 and of tuspy will be skipped"
    fi
fi
if ! has node || ! has npm; then
    echo "node and npm are missing: the tests of Azure and of tus-js-client will be skipped"
elif ! cmp -s tests/interop/storage/package-lock.json "$storage/package-lock.json"; then
    mkdir -p "$storage"
    cp tests/interop/storage/package.json "$storage/"
    cp tests/interop/storage/package-lock.json "$storage/npm-shrinkwrap.json"
    if (cd "$storage" && npm ci --no-audit --no-fund --silent </dev/null); then
        mv "$storage/npm-shrinkwrap.json" "$storage/package-lock.json"
    else
        echo "azurite and tus-js-client could not be installed: the tests that use them will be skipped"
    fi
fi

# Brokers of Kafka that another client's library mocks. Without them their tests say that they are skipped.
kafka=$HOME/.cache/rivergen/kafka
if ! python3 -m venv --help >/dev/null 2>&1; then
    echo "python3 with venv is missing: the tests of Kafka against librdkafka will be skipped"
elif ! cmp -s tests/interop/kafka/requirements.txt "$kafka/requirements.txt"; then
    # The requirements come last: what is there counts as installed.
    if python3 -m venv "$kafka" && "$kafka/bin/pip" install --quiet --disable-pip-version-check --requirement tests/interop/kafka/requirements.txt; then
        cp tests/interop/kafka/requirements.txt "$kafka/"
    else
        echo "librdkafka could not be installed: the tests of Kafka against it will be skipped"
    fi
fi

# The engines that the connectors of ClickHouse and of SQL services run against. Without them the tests say that they
# are skipped.
services=$HOME/.cache/rivergen/services
wanted=crates/connectors/tests/support/requirements.txt
if ! cmp -s "$wanted" "$services/requirements.txt"; then
    # The list comes last: what is there counts as installed.
    if python3 -m venv "$services" && "$services/bin/pip" install --quiet --requirement "$wanted" </dev/null; then
        cp "$wanted" "$services/requirements.txt"
    else
        echo "chdb, DuckDB, fakesnow and sqlglot could not be installed: the tests of ClickHouse and SQL services will be skipped"
    fi
fi
