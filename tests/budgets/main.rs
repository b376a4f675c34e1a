//! Budgets, with a real agent that is sent a recorded session: the numbers of `report`, everywhere.

mod config;
mod desktop;
#[expect(dead_code, reason = "shared by test binaries, none of which uses all of it")]
#[path = "../harness/mod.rs"]
mod harness;
mod numbers;
