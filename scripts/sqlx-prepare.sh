#!/usr/bin/env bash
# Regenerates .sqlx, the query metadata that makes `sqlx::query!` compile without a database; with --check, fails when it is stale.
#
#   scripts/sqlx-prepare.sh [--check]
#   scripts/sqlx-prepare.sh PACKAGE…     only adds the queries of these packages (while another one does not compile)
#
# A throw-away PostgreSQL gets apalis' migrations and then ours, and the macros of the packages below describe their queries
# against it. Queries under #[cfg(test)] are not prepared: tests use unchecked `sqlx::query`.
#
# Only our packages are expanded against the database: apalis-postgres uses the same macros and the same DATABASE_URL, so it is
# built first, offline, from its own metadata, as a dependency of each package. Nobody else's build is disturbed: a compiler argument that differs in every run
# (the folder of incremental state) gives our packages artefacts of their own, which are removed again.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$HOME/.cargo/bin:$PATH"
packages=(tuberry-storage tuberry-jobs)

mode=replace
case ${1-} in
  --check) mode=check ;;
  tuberry-*) mode=add packages=("$@") ;;
  '') ;;
  *) echo "usage: $0 [--check | PACKAGE…]" >&2; exit 2 ;;
esac

bin=$(scripts/postgres-bin.sh)
work=$(mktemp -d "${TMPDIR:-/tmp}/tuberry-sqlx.XXXXXX")
chmod 755 "$work"
cluster=$work/cluster
mkdir -m 700 "$cluster" "$work/queries" "$work/incremental"
server=

cleanup() {
  if [[ -n $server ]]; then
    kill -INT "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# PostgreSQL refuses to run as root.
as=()
if ((EUID == 0)); then
  user=$(id -un postgres 2>/dev/null || echo nobody)
  chown "$user" "$cluster"
  as=(setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups)
fi

(cd / && "${as[@]}" "$bin/initdb" -D "$cluster/data" -U tuberry -A trust -E UTF8 --locale=C.UTF-8 --no-sync) >"$work/initdb.log" 2>&1 ||
  { cat "$work/initdb.log" >&2; exit 1; }
(cd / && exec "${as[@]}" "$bin/postgres" -D "$cluster/data" -k "$cluster" -c listen_addresses= -c fsync=off) >"$work/server.log" 2>&1 &
server=$!
for _ in $(seq 200); do
  grep -q '^ready' "$cluster/data/postmaster.pid" 2>/dev/null && break
  kill -0 "$server" 2>/dev/null || { cat "$work/server.log" >&2; exit 1; }
  sleep 0.05
done

# Without the platform, `cargo metadata` would download the packages of every other one.
host=$(rustc -vV | sed -n 's/^host: //p')
apalis=$(cargo metadata --format-version 1 --locked --filter-platform "$host" |
  python3 -c 'import json, os, sys; print(*(os.path.dirname(p["manifest_path"]) for p in json.load(sys.stdin)["packages"] if p["name"] == "apalis-postgres"))')
sql() { PGOPTIONS='-c client_min_messages=warning' "$bin/psql" -h "$cluster" -U tuberry -d postgres -XqAt -v ON_ERROR_STOP=1 "$@"; }
sql -c 'create schema apalis'
for file in "$apalis"/migrations/*.sql migrations/*.sql; do
  sql -f "$file" >/dev/null
done

unset DATABASE_URL
for package in "${packages[@]}"; do
  # Its dependencies, with just the features that it asks for; it may itself fail while its metadata is stale.
  SQLX_OFFLINE=true cargo check --locked -q -p "$package" --lib 2>/dev/null || true
  DATABASE_URL="postgres://tuberry@localhost/postgres?host=$cluster" SQLX_OFFLINE=false SQLX_OFFLINE_DIR="$work/queries" \
    cargo rustc --locked -q -p "$package" --lib --profile check --message-format=json-render-diagnostics -- \
    -C incremental="$work/incremental" >"$work/artifacts.json"
  # The artefacts of this run are of no use to anybody.
  name=${package//-/_}
  grep -oE "[^\"]*/deps/lib${name}-[0-9a-f]+\.rmeta" "$work/artifacts.json" | sort -u | while read -r artifact; do
    hash=$(basename "$artifact" .rmeta)
    hash=${hash##*-}
    rm -rf "$(dirname "$artifact")"/{lib,}"$name-$hash".* "$(dirname "$artifact")/../.fingerprint/$package-$hash"
  done || true
done

if [[ $mode == check ]]; then
  if ! diff -rq "$work/queries" .sqlx; then
    echo ".sqlx is stale: run scripts/sqlx-prepare.sh and commit it" >&2
    exit 1
  fi
  echo ".sqlx is current ($(find .sqlx -name '*.json' | wc -l) queries)"
else
  mkdir -p .sqlx
  if [[ $mode == replace ]]; then find .sqlx -name 'query-*.json' -delete; fi
  find "$work/queries" -name 'query-*.json' -exec install -m 644 -t .sqlx {} +
  echo ".sqlx: $(find .sqlx -name '*.json' | wc -l) queries"
fi
