//! Writes what fuzzing starts from, made of `tests/fixtures`, to `fuzz/corpus`: `just fuzz-corpus`.

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use fuzz::{seeds, targets};

fn main() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (target, _) in targets::ALL {
        let corpus = root.join("fuzz/corpus").join(target);
        let cannot = || format!("cannot write to {}", corpus.display());
        fs::create_dir_all(&corpus).with_context(cannot)?;
        let seeds = seeds::of(target, root);
        for (index, seed) in seeds.iter().enumerate() {
            fs::write(corpus.join(format!("seed-{index:03}")), seed).with_context(cannot)?;
        }
        println!("{target}: {} inputs", seeds.len());
    }
    Ok(())
}
