//! The wrapper, run as a user runs it, around a `claude` that writes down what it was given.

mod failing;
mod finding;
mod given;
#[path = "../house/mod.rs"]
mod house;
mod layered;
mod passed;
