#!/usr/bin/env bash
# Installs what demo and tests need on a fresh Debian with Rust, make and Python 3: with apt as root, else it says what is missing.
# Nothing happens, in a fraction of a second, when everything is there. Our own things stay in target/.
#
#   scripts/setup.sh [demo]     demo: only what the demo needs
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$HOME/.cargo/bin:$PATH"

if ! command -v cargo >/dev/null; then
  echo "Rust is missing: https://rustup.rs" >&2
  exit 1
fi
wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
found=$(cargo --version | cut -d' ' -f2)
if ! printf '%s\n' "$wanted" "$found" | sort -V -C; then
  echo "Rust $found is too old, $wanted or later is needed: https://rustup.rs" >&2
  exit 1
fi

packages=()
for tool in cc ld; do
  command -v "$tool" >/dev/null || { packages+=(gcc libc6-dev); break; }
done
scripts/postgres-bin.sh >/dev/null 2>&1 || packages+=(postgresql)

npm=target/npm
locked=tests/web/package-lock.json
npm_is_current() { [[ -f $npm/node_modules/axe-core/axe.min.js ]] && cmp -s "$locked" "$npm/package-lock.json"; }
venv=target/venv
requirements=scripts/requirements.txt
venv_is_current() { [[ -x $venv/bin/python ]] && cmp -s "$requirements" "$venv/requirements.txt"; }
if [[ ${1-} != demo ]]; then
  command -v redis-server >/dev/null || packages+=(redis-server)
  # Makes the certificate of a Redis that speaks TLS.
  command -v openssl >/dev/null || packages+=(openssl)
  # Poolers are detected: a test needs one.
  [[ -x /usr/sbin/pgbouncer ]] || command -v pgbouncer >/dev/null || packages+=(pgbouncer)
  # The portal is tested in a real browser, and judged there by axe-core of npm.
  command -v chromium >/dev/null || packages+=(chromium fonts-dejavu-core)
  command -v chromedriver >/dev/null || packages+=(chromium-driver)
  npm_is_current || command -v npm >/dev/null || packages+=(npm)
  if ! venv_is_current && ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
    packages+=(python3-venv)
  fi
fi

if ((${#packages[@]})); then
  if ((EUID == 0)) && command -v apt-get >/dev/null; then
    echo "setup: apt-get install ${packages[*]}" >&2
    # The packages would start servers of their own; ours are private.
    policy=/usr/sbin/policy-rc.d
    made_policy=
    if [[ ! -e $policy ]]; then
      printf '#!/bin/sh\nexit 101\n' >"$policy"
      chmod 755 "$policy"
      made_policy=1
      trap 'rm -f "$policy"' EXIT
    fi
    install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${packages[@]}")
    log=$(mktemp)
    { "${install[@]}" || { apt-get update -q && "${install[@]}"; }; } >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
    rm -f "$log"
    if [[ -n $made_policy ]]; then
      rm -f "$policy"
      trap - EXIT
    fi
  else
    echo "Missing: ${packages[*]}. Install them, for example: sudo apt-get update && sudo apt-get install ${packages[*]}" >&2
    exit 1
  fi
fi

if [[ ${1-} == demo ]]; then exit 0; fi
if ! venv_is_current; then
  echo "setup: $venv with $(grep -c == "$requirements") packages of PyPI (Telethon and aiogram judge the simulator, schemathesis the REST interface; redis is a producer, cryptography an old Tuberry)" >&2
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$requirements"
  cp "$requirements" "$venv/requirements.txt"
fi

if ! npm_is_current; then
  echo "setup: $npm with axe-core of npm (it judges the portal's pages)" >&2
  rm -rf "$npm"
  mkdir -p "$npm"
  cp tests/web/package.json "$locked" "$npm/"
  npm ci --prefix "$npm" --ignore-scripts --no-audit --no-fund --loglevel=error >&2
fi
