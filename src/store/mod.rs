//! Store: the only owner of `queue.db`.
//!
//! One thread holds the one connection; everybody else speaks to it through a [`handle::Handle`].
//!
//! ```text
//! request ─▶ inbox row, synced ─▶ answer            one transaction a group of requests
//!                └─▶ fold ─▶ counters ─▶ tick ─▶ samples row   one transaction a tick
//! lanes:   samples ─▶ remote_write, OTLP metrics    inbox events ─▶ Loki, OTLP logs    inbox spans ─▶ OTLP
//! history: samples and events, read at its own pace
//! ```
//!
//! Beside it lie `queue.high-water.json` ([`high_water`]) and `queue.reserve` ([`reserve`]); whether the database
//! is still the only one of its install is decided in [`install`], and what happens when the disk fails in
//! [`health`].
//!
//! A crash between any two steps changes nothing: counters are what folding the rows gives, a tick is all
//! or nothing, and a frozen batch is sent again with the same boundaries.

mod batch;
mod cardinality;
pub mod core;
mod counts;
mod delivery;
mod fold;
pub mod handle;
mod health;
mod high_water;
mod history_page;
mod inbox;
mod install;
mod lanes;
mod machine;
mod meta;
mod migration;
mod projection;
pub mod quarantine;
mod reserve;
mod retention;
pub mod row;
mod salvage;
mod sampler;
pub mod samples;
mod schema;
mod series;
mod sessions;
mod stats;
pub mod stream;
pub mod tally;
#[cfg(test)]
mod tests;
mod thinning;
mod thread;
mod tick;
mod unreadable;
mod wire;

pub use cardinality::LABEL_VALUES_MAX;
pub use core::Options;
pub use meta::prepare;
pub use sampler::AHEAD_MS_MAX;
pub use schema::OpenError;
pub use series::SERIES_MAX;
pub use thread::{Clock, GROUP_REQUESTS_MAX, QUEUE_COMMANDS_MAX, Store, open};
