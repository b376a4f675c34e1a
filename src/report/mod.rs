//! Report: questions to `history.db` and `imported.db`, answered as tables, lists, JSON or CSV.
//!
//! ```text
//! store ──pages──▶ history::sink ──▶ history.db ──▶ history::reader ──▶ answer ──▶ table | json | csv
//!                  (in the agent)                   (in any command) ├─▶ sessions, prompts, tools, models
//!                                                                    └─▶ story
//! ```
//!
//! The agent writes the history, every command reads it by itself: a report works while no agent
//! runs. Nothing here talks to a network.

pub mod answer;
pub mod csv;
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
pub mod summary;
pub mod table;
pub mod time;
pub mod tools;

#[cfg(test)]
mod lists_tests;
#[cfg(test)]
mod recorded;
