//! Deliver: one task a destination, from the store's lanes to its backend.
//!
//! ```text
//!            freeze                 encode               send              classify
//! store ──▶ FrozenBatch ─▶ Delivery ──────▶ Encoded ────────▶ Answer ───────────▶ Outcome
//!   ▲                        │  ▲                             or Failure             │
//!   └──────── settle ────────┘  └──── halve, wait, park, other version ◀─────────────┘
//! ```
//!
//! A lane's batch has its boundaries on disk before it is sent, and is settled only when every
//! record of it has its fate: delivered, expired, compacted or quarantined. What is stopped in
//! between is frozen still, and sent again with the same boundaries. One request is in flight for a
//! destination at any time; its lanes wait, retry and park by themselves.
//!
//! This room decides nothing about what is collected or kept: that is `record` and `store`.

pub mod backoff;
pub mod client;
pub mod credentials;
pub mod delivery;
pub mod event_limits;
pub mod failure;
pub mod horizon;
pub mod lane;
pub mod learned;
pub mod loki;
pub mod manager;
pub mod negotiation;
pub mod opening;
pub mod otlp;
pub mod outcome;
pub mod own_address;
pub mod probe;
pub mod readable;
pub mod remote_write_v1;
pub mod remote_write_v2;
pub mod split;
pub mod status;
pub mod task;
pub mod wire;

#[cfg(test)]
mod samples;

pub use manager::Manager;
pub use status::DestinationStatus;
pub use task::{OwnValue, OwnValues};

/// The wall clock, in milliseconds since the epoch.
pub fn wall_clock_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
