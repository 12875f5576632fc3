# Shortcuts: `just` lists them. None is needed; each line also works by hand.

# Queries are checked against the committed cache (.sqlx), so building needs no database.
export SQLX_OFFLINE := "true"

cache := env("XDG_CACHE_HOME", env("HOME") / ".cache") / "muniment"

_list:
    @just --list --unsorted

# Serve with a private Postgres, a demo project and printed keys
dev *flags:
    cargo run -- dev {{ flags }}

# Run all tests, or those that `filter` names, such as `--test it webhooks`
test *filter="--workspace":
    cargo test {{ filter }}

# Check formatting, lints and dependencies
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    if command -v cargo-deny > /dev/null; then cargo deny check --allow duplicate bans licenses sources; fi

# Try every operation of the reference with schemathesis, for so long per access
schemathesis seconds="300":
    MUNIMENT_SCHEMATHESIS_SECONDS={{ seconds }} cargo test --test it schemathesis:: -- --test-threads 1 --nocapture

# Check everything that continuous integration checks
ci:
    .ci/run

# Measure the figures of docs/operations.md, or the named sections, such as `items webhooks`
bench *sections:
    cargo bench --bench figures -- {{ sections }}

# Run an empty Postgres until Ctrl-C, and print its URL
postgres:
    cargo run --example private_postgres {{ cache }}

# Refresh .sqlx after a change to a query or a migration; DATABASE_URL names an empty database
sqlx:
    #!/usr/bin/env bash
    set -euo pipefail
    : "${DATABASE_URL:?names an empty Postgres database; \`just postgres\` prints one}"
    for migration in migrations/postgres/*.sql; do
        psql --quiet --set ON_ERROR_STOP=1 --file "$migration" "$DATABASE_URL"
    done
    rm -rf .sqlx
    mkdir .sqlx
    # Crates that are up to date would write nothing.
    touch src/lib.rs event_store/src/lib.rs projections/src/lib.rs
    SQLX_OFFLINE=false SQLX_OFFLINE_DIR="$PWD/.sqlx" cargo check --workspace

# Fuzz the checker of tenants' queries; needs cargo-fuzz and a nightly toolchain
fuzz seconds="300":
    mkdir -p fuzz/corpus/statement
    cd fuzz && cargo +nightly fuzz run statement corpus/statement seeds/statement -- -dict=statement.dict -max_len=400 -max_total_time={{ seconds }}
