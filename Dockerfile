# syntax=docker/dockerfile:1

FROM rust:1.95-slim-bookworm AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
# The caches keep compiled dependencies from one build to the next; the binary leaves them by the copy.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --bin recoup \
    && install -D target/release/recoup /out/recoup

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin recoup \
    && install --directory --owner recoup --group recoup --mode 0750 /data
COPY --from=build /out/recoup /usr/local/bin/recoup
USER 10001:10001
# The embedded database and recoup.toml are looked for in the working directory.
WORKDIR /data
VOLUME /data
# Inside a container the loopback address would be out of reach.
ENV RECOUP__HTTP__LISTEN=0.0.0.0:8080
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 CMD ["recoup", "healthcheck"]
ENTRYPOINT ["recoup"]
CMD ["serve"]
