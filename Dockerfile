FROM rust:1-bookworm AS build
# aws-lc, the one crypto library, is C and assembly.
RUN apt-get update && apt-get install --yes --no-install-recommends cmake clang && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
ENV SQLX_OFFLINE=true
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked && cp target/release/muniment /muniment

FROM debian:bookworm-slim
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && useradd --system --no-create-home muniment
COPY --from=build /muniment /usr/local/bin/muniment
USER muniment
EXPOSE 8102
ENTRYPOINT ["muniment"]
CMD ["serve"]
