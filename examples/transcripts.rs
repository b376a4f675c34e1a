//! Writes made-up transcripts, and prints what an import of them must come to:
//!
//! ```sh
//! cargo run --release --example transcripts -- FOLDER 500000000 [SEED]
//! ```

#[expect(dead_code, reason = "shared with tests")]
#[path = "../tests/harness/transcripts.rs"]
mod transcripts;

use std::path::Path;

use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let [folder, bytes, rest @ ..] = &arguments[..] else {
        anyhow::bail!("give a folder and a number of bytes");
    };
    let seed = rest.first().map_or(Ok(1), |seed| seed.parse()).context("the seed is a number")?;
    let mut generator = transcripts::Generator::new(Path::new(folder), seed);
    generator.write(bytes.parse().context("the bytes are a number")?)?;
    println!("{}", serde_json::to_string_pretty(&generator.truth)?);
    Ok(())
}
