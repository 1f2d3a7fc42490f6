# syntax=docker/dockerfile:1.7

FROM rust:1.95.0-slim-bookworm AS build
# jemalloc is built with make.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# The mounts outlive the layer: a changed source file does not build the dependencies again.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --locked --release --package tally \
    && install -D --strip target/release/tally /out/tally

FROM debian:12.11-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --home-dir /var/lib/tally --shell /usr/sbin/nologin tally \
    && install --directory --owner tally --group tally /var/lib/tally/data
COPY --from=build /out/tally /usr/local/bin/tally

USER 10001
WORKDIR /var/lib/tally
VOLUME /var/lib/tally/data
ENV TALLY_SERVER__BIND=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["tally", "ping", "--url", "http://127.0.0.1:8080"]
ENTRYPOINT ["tally"]
CMD ["serve"]
