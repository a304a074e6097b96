#!/usr/bin/env bash
# Checks docker-compose.yml with .env.example in the place of .env, where a client of Compose is installed; elsewhere it says so.
set -euo pipefail
cd "$(dirname "$0")/.."

if docker compose version >/dev/null 2>&1; then
  compose=(docker compose)
elif command -v docker-compose >/dev/null; then
  compose=(docker-compose)
else
  echo "docker-compose.yml: NOT checked, there is no docker compose" >&2
  exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp docker-compose.yml Dockerfile "$work"
cp .env.example "$work/.env"
cd "$work"
for profile in '' demo; do
  COMPOSE_PROFILES=$profile "${compose[@]}" config >"$work/config"
  for service in postgres redis migrate api personal-worker $profile; do
    grep -q "^  $service:" "$work/config" || { echo "docker-compose.yml: no service $service" >&2; exit 1; }
  done
done
echo "docker-compose.yml: checked by ${compose[*]}"
