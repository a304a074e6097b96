# Everything that people and CI run. `make setup` installs what is missing on a fresh Debian; the other targets call it.
SHELL := /bin/bash
export PATH := $(HOME)/.cargo/bin:$(PATH)
export CARGO_TERM_COLOR ?= auto
# A server on the machine is none of our business: tests and demo bring their own.
unexport DATABASE_URL DATABASE_DIRECT_URL REDIS_URL

.PHONY: demo test chaos check audit bench bench-queue bench-fleet setup fmt clippy floors doc

## A whole Tuberry with a simulated Telegram. Options: make demo ARGS="--workers 3 --no-traffic"
demo: setup
	@cargo run --locked --bin tuberry -- demo $(ARGS)

## Every test.
test: setup
	cargo test --workspace --locked

## Ten minutes of random faults against four workers. Options: CHAOS_MINUTES=30 CHAOS_SEED=1 make chaos
chaos: setup
	cargo test --locked --test integration -- --ignored --exact --nocapture scenarios::chaos::many_minutes_of_faults_lose_nothing_and_share_no_key

## What CI runs before the tests.
check: setup fmt clippy floors doc
	scripts/sqlx-prepare.sh --check
	scripts/check-compose.sh

fmt:
	cargo fmt --all --check

clippy:
	cargo clippy --workspace --all-targets --locked -- -D warnings

floors:
	cargo test --locked --test integration -- floors::

doc:
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" cargo doc --workspace --no-deps --document-private-items --locked

## Figures of docs/performance.md. Options: BENCH_WORKERS=2 make bench
bench: setup
	cargo bench --locked --bench conversation

## Figures of the queue beside pgbench's. Options: BENCH_PEERS=1 (graphile-worker, from npm), BENCH_ONLY=drain,ordered
bench-queue: setup
	cargo bench --locked --bench queue

## Figures of the fleet beside Telethon's. Options: BENCH_ONLY=idle,failover,handover,messages,peer, BENCH_ACCOUNTS=100
bench-fleet: setup
	cargo bench --locked --bench fleet

## Dependencies: bans, licences, sources; advisories where their database can be reached.
audit:
	@cargo deny --version >/dev/null 2>&1 || { echo "cargo-deny is missing: cargo install --locked cargo-deny"; exit 1; }
	cargo deny check bans licenses sources
	@if cargo deny fetch db; then cargo deny check advisories; \
	else echo "advisories: NOT checked, their database (RustSec's, on GitHub) cannot be reached" >&2; fi

## Installs what is missing, or says what to install.
setup:
	@scripts/setup.sh
