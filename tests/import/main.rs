//! `ccotel import` from outside: the real binary, a home of its own, and transcripts whose truth is known.

mod beside_the_agent;
mod changing;
mod choices;
mod counting;
#[expect(dead_code, reason = "shared by test binaries, none of which uses all of it")]
#[path = "../harness/mod.rs"]
mod harness;
mod interrupted;
mod lines;
mod prices;
mod privacy;
mod steps;
mod world;
