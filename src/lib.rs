//! ccotel: Claude Code, counted.
//!
//! Data walks through the rooms in one direction: `launch → receive → record → store → deliver`, and
//! `report` reads what the store kept. See ARCHITECTURE.md.

pub mod agent;
pub mod budget;
pub mod cli;
pub mod config;
pub mod deliver;
pub mod demo;
pub mod doctor;
pub mod exit;
pub mod import;
pub mod launch;
pub mod page;
pub mod paths;
pub mod receive;
pub mod record;
pub mod report;
pub mod service;
pub mod setup;
pub mod stack;
pub mod statusline;
pub mod store;
mod subprocess;
pub mod tags;
pub mod top;
pub mod verify;
