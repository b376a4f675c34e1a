//! Report: questions to `history.db`, answered as tables or JSON.
//!
//! ```text
//! store ──pages──▶ history::sink ──▶ history.db ──▶ history::reader ──▶ answer ──▶ table | json
//!                  (in the agent)                   (in `ccotel report`)
//! ```
//!
//! The agent writes the history, every command reads it by itself: a report works while no agent
//! runs. Nothing here talks to a network.

pub mod answer;
pub mod facets;
pub mod groups;
pub mod history;
mod ids;
pub mod json;
pub mod latency;
pub mod live;
pub mod models;
pub mod prompts;
pub mod question;
pub mod row;
pub mod sessions;
pub mod story;
pub mod table;
pub mod time;
pub mod tools;

#[cfg(test)]
mod lists_tests;
#[cfg(test)]
mod recorded;
