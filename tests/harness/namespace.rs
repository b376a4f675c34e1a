//! A test that needs namespaces of its own runs itself again in them.

use std::path::Path;
use std::process::Command;

use libtest_mimic::Failed;

/// Set for a test that runs inside.
pub const INSIDE_VARIABLE: &str = "CCOTEL_TEST_INSIDE";

/// This test alone, by this same program, below `unshare` with these options.
pub fn inside(unshare: &Path, options: &str, name: &str) -> Result<(), Failed> {
    let output = Command::new(unshare)
        .arg(options)
        .arg(std::env::current_exe()?)
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE_VARIABLE, "1")
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(String::from_utf8_lossy(&said).into_owned().into())
}
