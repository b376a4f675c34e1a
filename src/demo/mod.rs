//! Demo: a fortnight of a small company, made up and sent through the real rooms, to see what ccotel
//! shows before anybody spends a cent.
//!
//! ```text
//! cast ─▶ calendar ─▶ work ─▶ happenings ─┬─▶ process ─▶ OTLP over HTTP ─▶ the rooms ─▶ report, page,
//! who      when       what                │   as Claude Code sends it      (agent)      destinations
//!                                         └─▶ truth: the totals, without any of that
//! ```
//!
//! The agent is a throw-away one: its files are in a directory of its own that is gone afterwards, and
//! its clock is the fortnight's. Nothing of the user's is touched; `--to-destinations` reads where
//! destinations are, and no more.
//!
//! The same seed, end and time zone give the same fortnight, to the last token. Costs are rounded to
//! 2⁻²⁰ of a dollar and times to an eighth of a second, so that sums of doubles are exact in any order,
//! and totals can be compared without a tolerance.

pub mod agent;
pub mod calendar;
pub mod cast;
pub mod destinations;
pub mod fill;
pub mod happening;
pub mod models;
pub mod process;
pub mod run;
pub mod truth;
mod work;

pub use calendar::Fortnight;
pub use truth::Truth;
