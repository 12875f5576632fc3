# Builds the server from source and keeps the binary alone: docker build --tag muniment .
# The release is that of rust-toolchain.toml; naming it keeps rustup from fetching lints as well.
FROM rust:1.95.0-bookworm AS build
ENV RUSTUP_TOOLCHAIN=1.95.0
# aws-lc, the one crypto library, is C and assembly.
RUN apt-get update && apt-get install --yes --no-install-recommends cmake clang && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# All four crates, the migrations and the cache of queries; .dockerignore names what stays out.
COPY . .
ENV SQLX_OFFLINE=true
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked && cp target/release/muniment /muniment

# Certificates are all that the binary needs beside it; it runs as a user without rights.
FROM debian:bookworm-slim
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && useradd --system --no-create-home muniment
COPY --from=build /muniment /usr/local/bin/muniment
USER muniment
EXPOSE 8102
ENTRYPOINT ["muniment"]
CMD ["serve"]
