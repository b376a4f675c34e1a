//! What the tests with real parts share: the parts themselves, each started for one test and ended
//! with it, and a mock of the one thing that cannot be had, Anthropic's Messages API.
//!
//! ```text
//! Sandbox (home, repository, ccotel) ── claude ──▶ MockApi      the truth: tokens, tools, commits
//!                                         └─ OTLP ─▶ ccotel ──▶ Prometheus, Loki
//! ```
//!
//! Everything listens on loopback, on ports of the kernel's choice.

pub mod addresses;
pub mod cases;
pub mod claude;
pub mod http;
pub mod loki;
pub mod loki_otlp;
pub mod loki_rules;
pub mod loki_stand_in;
pub mod mock_api;
pub mod namespace;
pub mod page;
pub mod poll;
pub mod programs;
pub mod prometheus;
pub mod questions;
pub mod recorded;
pub mod remote_write;
pub mod sandbox;
pub mod scenario;
pub mod script;
pub mod server_process;
pub mod serving;
pub mod terminal;
pub mod totals;
pub mod transcripts;
pub mod victorialogs;
