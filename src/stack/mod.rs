//! The stack: Prometheus, Loki and Grafana with the dashboards, in containers on this machine.
//!
//! ```text
//! data directory/stack/
//!   compose.yaml, prometheus.yml, loki.yaml, …   the files of stack/ in the repository
//!   grafana/                                     dashboards and alert rules
//!   .env                                         ports, profiles, the password: 0600, generated once
//! ```
//!
//! The files are in the binary and are written at each `up`, so that an update of ccotel updates them.
//! What is the user's stays: `.env`, and `grafana/alerts/budgets.yaml` once it is there.

pub mod ask;
pub mod engine;
pub mod files;
pub mod health;
pub mod settings;
