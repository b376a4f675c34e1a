//! What is fuzzed, and where fuzzing starts from. `cargo test` runs the same code over the same
//! inputs (`tests/fuzz_targets.rs`), so that it cannot rot.

#[path = "../../src/receive/json/tests/dialect.rs"]
mod dialect;
mod plain;
pub mod seeds;
pub mod targets;
