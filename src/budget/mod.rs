//! Budget: how far what was spent has come, against what `[budget]` allows.
//!
//! ```text
//! history.db ──▶ standing ──▶ status, top, page, status line
//!                   │
//!                   ├──────▶ gauges: /metrics, Prometheus destinations
//!                   └──────▶ warnings: once per budget, period and threshold ──▶ the desktop
//! ```
//!
//! A standing is the answer to the question that `ccotel report --since today --by project` (and so
//! on) asks, so both are the same number. Nothing here stops anybody: a budget warns.

pub mod desktop;
pub mod standing;
pub mod warned;

pub use standing::{Level, Standing, standings};
