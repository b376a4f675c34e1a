//! The shell files, as their linters see them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::harness::cases::Case;
use crate::harness::programs::Program;

const SHELL_FILES: &[&str] =
    &[".bash", "install.sh", "files.sh", "archive.sh", "postinst", "prerm"];

pub fn cases() -> Vec<Case> {
    let lint = |name: &str,
                program: Program,
                arguments: &'static [&'static str],
                ends: &'static [&'static str]| {
        Case::new(format!("lint_{name}"), &[program], move || clean(program, arguments, ends))
    };
    vec![
        lint("shellcheck", Program::Shellcheck, &["--severity=style"], SHELL_FILES),
        lint("shfmt", Program::Shfmt, &["-d", "-i", "2", "-ci"], SHELL_FILES),
        lint("fish_indent", Program::FishIndent, &["--check"], &[".fish"]),
        lint("zsh", Program::Zsh, &["-n"], &[".zsh"]),
        lint("fish", Program::Fish, &["--no-execute"], &[".fish"]),
        lint("ruby", Program::Ruby, &["-c"], &[".rb"]),
    ]
}

fn clean(program: Program, arguments: &[&str], ends: &[&str]) -> Result<()> {
    let files = files(ends)?;
    ensure!(!files.is_empty(), "no file ends with {ends:?}");
    for file in files {
        let found = program.find().context("it was there")?;
        let output = Command::new(found).args(arguments).arg(&file).output()?;
        let said = [output.stdout, output.stderr].concat();
        ensure!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&said));
    }
    Ok(())
}

/// Of `hooks` and `packaging`.
fn files(ends: &[&str]) -> Result<Vec<PathBuf>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut directories = vec![root.join("hooks"), root.join("packaging")];
    let mut found = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                directories.push(path);
            } else if ends.iter().any(|end| path.to_string_lossy().ends_with(end)) {
                found.push(path);
            }
        }
    }
    Ok(found)
}
