# One image for `tuberry api`, `tuberry worker` and `tuberry migrate`.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin tuberry

FROM debian:bookworm-slim
RUN useradd --system --no-create-home tuberry
COPY --from=build /src/target/release/tuberry /usr/local/bin/tuberry
USER tuberry
EXPOSE 8080
ENTRYPOINT ["tuberry"]
CMD ["api"]
