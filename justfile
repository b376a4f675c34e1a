# What a change must pass before it is merged. CI runs the same.
check: lint test

# Formatting, lints, licences
lint:
    cargo fmt --check
    cargo clippy --all-targets --locked -- -D warnings
    cargo deny check

# All tests. Those with real parts need `claude` and `prometheus`; see CONTRIBUTING.md
test:
    cargo test --locked

# Everything from a clean Debian, as CI does it on Linux
ci:
    .ci/run

# The design's numbers, printed beside their goals
measure:
    cargo build --release --locked
    cargo run --release --locked --example measure -- target/release/ccotel

# So many SIGKILLs of a release build under load, pauses and power cuts with them; a seed in CCOTEL_CRASH_SEED
crash kills="1000":
    cargo build --release --locked
    CCOTEL_TEST_CCOTEL=target/release/ccotel CCOTEL_CRASH_KILLS={{kills}} cargo test --locked --test crash

# Each write of a worker's life fails once, with EIO and with ENOSPC: all of them, where `cargo test` takes some
each-write:
    CCOTEL_TEST_EACH_WRITE=1 cargo test --locked --test bad_days each_write -- --nocapture

# Fuzzes one target for so many seconds; `just fuzz-corpus` first. Needs cargo-fuzz, see CONTRIBUTING.md
fuzz TARGET SECONDS="600":
    cargo fuzz run --sanitizer none {{TARGET}} -- -max_total_time={{SECONDS}} -timeout=10 -rss_limit_mb=2048 -max_len=65536

# Writes what fuzzing starts from, made of the fixtures, to fuzz/corpus
fuzz-corpus:
    cargo run --locked --example fuzz_corpus
