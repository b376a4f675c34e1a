//! Statusline: one line for Claude Code's `statusLine` setting.
//!
//! ```text
//! Claude Code ──JSON on stdin──▶ input ──┬─▶ limits ──control socket, not waited for──▶ agent ──▶ gauges
//!                                 │      └─▶ line ◀── history.db, config, tags of the directory
//!                                 └─▶ chain: the user's own command, the same stdin, its output first
//! ```
//!
//! It never fails: what is absent is left out, and a line comes in any case. The history is read in
//! this process (a few milliseconds with a year of heavy use), so it works without an agent.

pub mod chain;
pub mod facts;
pub mod input;
pub mod limits;
pub mod line;
