#!/usr/bin/env bash
# Prints the folder of the newest PostgreSQL (14 or later) server binaries; fails with one line when there is none.
# The order is that of src/embedded/binaries.rs: PATH, Debian's folders (newest first), pg_config, Homebrew.
set -euo pipefail

candidates() {
  local path
  if path=$(command -v postgres); then dirname "$(readlink -f "$path")"; fi
  find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -t/ -k5,5nr || true
  if command -v pg_config >/dev/null; then pg_config --bindir; fi
  ls -d /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin 2>/dev/null | sort -rV || true
}

while read -r folder; do
  [[ -x $folder/postgres && -x $folder/initdb ]] || continue
  version=$("$folder/postgres" --version | sed -E 's/^[^0-9]*([0-9]+).*/\1/')
  if ((version >= 14)); then
    echo "$folder"
    exit 0
  fi
done < <(candidates)

echo "no PostgreSQL 14 or later found: apt install postgresql (or: brew install postgresql)" >&2
exit 1
