# syntax=docker/dockerfile:1
# One image for `tuberry api`, `tuberry worker` and `tuberry migrate`. It writes nothing: a read-only root file system will do.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# Dependencies are kept from build to build by the builder (BuildKit), which Docker has used by itself since version 23.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin tuberry && strip --strip-debug -o /tuberry target/release/tuberry

FROM debian:bookworm-slim AS base
# Authorities for a Redis that speaks TLS.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
# A fixed number, so that orchestrators can see that it is not root.
RUN useradd --system --no-create-home --uid 10001 tuberry
COPY --from=build /tuberry /usr/local/bin/tuberry
WORKDIR /
USER 10001
ENTRYPOINT ["tuberry"]

# The demo brings a PostgreSQL of its own.
FROM base AS demo
USER root
RUN apt-get update && apt-get install -y --no-install-recommends postgresql && rm -rf /var/lib/apt/lists/* \
    && install -d -o 10001 /data
USER 10001
CMD ["demo", "--data-dir", "/data"]

FROM base
EXPOSE 8080
# For `api`; a worker's is `tuberry health worker`, with a WORKER_LISTEN.
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s CMD ["tuberry", "health", "api"]
CMD ["api"]
