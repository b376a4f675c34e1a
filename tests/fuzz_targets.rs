//! The fuzz targets (`fuzz/`), over their first inputs and a fixed number of damaged ones: the same
//! in every run. `just fuzz` goes on from there for as long as one likes.

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::path::Path;

use fuzz::{seeds, targets};

/// Damaged inputs a target. Enough to reach its promises, and few enough for every `cargo test`.
const DAMAGED: usize = 300;
/// Bytes changed in one of them, at most.
const CHANGES_MAX: usize = 4;

fn run(target: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (_, body) = targets::ALL.iter().find(|(name, _)| *name == target).expect("a target");
    let inputs = seeds::of(target, root);
    assert!(inputs.len() > 3, "{target} starts from something");
    for input in &inputs {
        body(input);
    }
    let mut damage = Damage(0x9e37_79b9_7f4a_7c15);
    for index in 0..DAMAGED {
        body(&damage.of(&inputs[index % inputs.len()]));
    }
}

/// Numbers by xorshift64 (Marsaglia 2003): the same in every run.
struct Damage(u64);

impl Damage {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let bound = u64::try_from(bound.max(1)).expect("a length");
        usize::try_from(self.0 % bound).expect("below a length")
    }

    /// Cut somewhere in one of three times, and with a few bytes changed.
    fn of(&mut self, input: &[u8]) -> Vec<u8> {
        let length = if self.below(3) == 0 { self.below(input.len() + 1) } else { input.len() };
        let mut damaged = input[..length].to_vec();
        for _ in 0..=self.below(CHANGES_MAX) {
            let at = self.below(length);
            if let Some(byte) = damaged.get_mut(at) {
                *byte = u8::try_from(self.below(256)).expect("a byte");
            }
        }
        damaged
    }
}

#[test]
fn otlp_protobuf() {
    run("otlp_protobuf");
}

#[test]
fn otlp_json() {
    run("otlp_json");
}

#[test]
fn otlp_same_in_both() {
    run("otlp_same_in_both");
}

#[test]
fn gzip_body() {
    run("gzip_body");
}

#[test]
fn project_file() {
    run("project_file");
}

#[test]
fn config_file() {
    run("config_file");
}

#[test]
fn resource_attributes() {
    run("resource_attributes");
}

#[test]
fn stored_rows() {
    run("stored_rows");
}
