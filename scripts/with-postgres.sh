#!/usr/bin/env bash
# Runs a command beside a PostgreSQL server of its own: scripts/with-postgres.sh cargo nextest run
#
# The server listens on a free loopback port, keeps its files in a temporary directory, and is gone with the
# command, however that ends. The command finds it in RIVERGEN_TEST_POSTGRES_URL.
set -euo pipefail

[ $# -gt 0 ] || { echo "usage: $0 COMMAND [ARGUMENT…]" >&2; exit 2; }
bin=$("$(dirname "${BASH_SOURCE[0]}")/postgres-bin.sh") || { echo "$0: PostgreSQL's server programs are missing" >&2; exit 1; }

# PostgreSQL refuses to run as root.
account=$(id -un)
if [ "$(id -u)" -eq 0 ]; then
    account=nobody
    getent passwd postgres >/dev/null && account=postgres
fi
as_account=()
if [ "$(id -u)" -eq 0 ]; then
    as_account=(setpriv --reuid "$account" --regid "$(id -g "$account")" --clear-groups)
fi

folder=$(mktemp -d "${TMPDIR:-/tmp}/rivergen-postgres.XXXXXX")
server=
clean_up() {
    if [ -n "$server" ]; then
        # Immediate shutdown: nothing in it is needed again.
        kill -QUIT "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
(umask 077 && printf '%s' "$password" >"$folder/password")
chown -R "$account" "$folder"
(cd "$folder" && "${as_account[@]}" "$bin/initdb" --pgdata data --username rivergen --pwfile password \
    --auth scram-sha-256 --encoding UTF8 --locale C --no-sync) >"$folder/initdb.log" 2>&1 \
    || { cat "$folder/initdb.log" >&2; exit 1; }

# It is told to end should this script be killed. Durability is not what is tested, so the disk is not waited for.
start() {
    (cd "$folder" && exec "${as_account[@]}" setpriv --pdeathsig QUIT "$bin/postgres" -D data -p "$1" \
        -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=300 \
        -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c log_min_messages=fatal) \
        >"$folder/server.log" 2>&1 </dev/null &
    server=$!
}

# The server writes "ready" into its lock file when it accepts connections.
is_up() {
    grep -qs '^ready' "$folder/data/postmaster.pid"
}

for _ in 1 2 3 4 5; do
    port=$((20000 + RANDOM % 12000))
    start "$port"
    for _ in $(seq 300); do
        is_up && break
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    is_up && break
    kill -QUIT "$server" 2>/dev/null || true
    wait "$server" || true
    server=
done
[ -n "$server" ] || { cat "$folder/server.log" >&2; exit 1; }

export RIVERGEN_TEST_POSTGRES_URL="postgres://rivergen:$password@127.0.0.1:$port/postgres"
"$@"
