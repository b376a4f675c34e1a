//! Packages: the deb from installation to purge, the formula without Homebrew, the installer.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};

use crate::harness::cases::Case;
use crate::harness::programs::Program;
use crate::home::Home;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("package_formula_builds_and_tests_itself", &[Program::Ruby], formula),
        Case::new("package_installer_installs_what_the_sums_say", &[], installer),
        Case::new(
            "package_deb_from_installation_to_purge",
            &[Program::CargoDeb, Program::CleanRoot, Program::Zsh, Program::Fish],
            deb,
        ),
        Case::new(
            "package_rpm_from_installation_to_removal",
            &[
                Program::CargoGenerateRpm,
                Program::Rpm,
                Program::CleanRoot,
                Program::Zsh,
                Program::Fish,
            ],
            rpm,
        ),
        Case::new("package_deb_is_clean", &[Program::CargoDeb, Program::Lintian], deb_is_clean),
    ]
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn succeeded(command: &mut Command) -> Result<Output> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let printed = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{command:?} ended with {}: {printed}{said}", output.status);
    Ok(output)
}

fn formula() -> Result<()> {
    let ruby = Program::Ruby.find().context("it was there")?;
    let homebrew = root().join("packaging/homebrew");
    let mut command = Command::new(ruby);
    command.arg(homebrew.join("dry_run.rb")).arg(homebrew.join("ccotel.rb"));
    let output = succeeded(command.arg(env!("CARGO_BIN_EXE_ccotel")))?;
    let said = String::from_utf8(output.stdout)?;
    for step in [
        "license MIT",
        "depends_on rust:build",
        "run cargo install --locked",
        "completions BIN/ccotel completions",
        "install MAN1",
        "service run OPT_BIN/ccotel agent run --wait",
        "test passed",
    ] {
        ensure!(said.contains(step), "{step} is not in\n{said}");
    }
    // What the formula calls is there.
    let mut completions = Command::new(env!("CARGO_BIN_EXE_ccotel"));
    succeeded(completions.args(["completions", "zsh"]))?;
    Ok(())
}

fn installer() -> Result<()> {
    let home = Home::new()?;
    let releases = home.path("releases");
    std::fs::create_dir(&releases)?;
    files()?;
    let target = match std::env::consts::OS {
        "macos" => format!("{}-apple-darwin", std::env::consts::ARCH),
        _ => format!("{}-unknown-linux-gnu", std::env::consts::ARCH),
    };
    let archive = releases.join(format!("ccotel-{target}.tar.gz"));
    // Something small that answers like a release: the archive's layout is what matters.
    let program = home.path("program");
    std::fs::write(&program, "#!/bin/sh\necho ccotel 9.9.9\n")?;
    let mut pack = Command::new(root().join("packaging/archive.sh"));
    succeeded(pack.arg(&program).arg(&archive))?;
    let again = releases.join("again.tar.gz");
    let mut pack = Command::new(root().join("packaging/archive.sh"));
    succeeded(pack.arg(&program).arg(&again))?;
    if cfg!(target_os = "linux") {
        ensure!(std::fs::read(&archive)? == std::fs::read(&again)?, "the same input, other bytes");
    }
    let sums = succeeded(
        home.command("sh").current_dir(&releases).args(["-c", "sha256sum * || shasum -a 256 *"]),
    )?;
    std::fs::write(releases.join("SHA256SUMS"), sums.stdout)?;
    let install = |home: &Home| {
        let mut command = home.command("sh");
        command.arg(root().join("packaging/install/install.sh"));
        command.env("CCOTEL_INSTALL_FROM", format!("file://{}", releases.display()));
        command
    };
    let before = home.snapshot()?;
    std::fs::write(&archive, [std::fs::read(&archive)?, b"x".to_vec()].concat())?;
    let output = install(&home).output()?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(!output.status.success() && said.contains("nothing was installed"), "{said}");
    ensure!(home.snapshot()? == before);
    std::fs::copy(&again, &archive)?;
    let output = succeeded(&mut install(&home))?;
    let said = String::from_utf8(output.stdout)?;
    ensure!(said.contains("ccotel 9.9.9") && said.contains(".local/bin/ccotel setup"), "{said}");
    let made = home.snapshot()?;
    ensure!(made.len() == before.len() + 3, "one program in two directories: {made:#?}");
    Ok(())
}

/// Manual pages and completions, where `Cargo.toml` lists them.
fn files() -> Result<()> {
    static MADE: Mutex<bool> = Mutex::new(false);
    let mut made = MADE.lock().map_err(|_| anyhow::anyhow!("they could not be made before"))?;
    if !*made {
        let mut command = Command::new(root().join("packaging/files.sh"));
        succeeded(command.arg(env!("CARGO_BIN_EXE_ccotel")))?;
        *made = true;
    }
    Ok(())
}

/// The package of the binary that was built with the tests.
fn package(into: &Path, version: &str) -> Result<PathBuf> {
    // It works in one directory of the checkout.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().map_err(|_| anyhow::anyhow!("another one failed"))?;
    files()?;
    let file = into.join(format!("ccotel_{version}.deb"));
    let mut command = Command::new(Program::CargoDeb.find().context("it was there")?);
    command.current_dir(root()).args(["deb", "--no-build", "--fast", "--profile", "dev"]);
    command.args(["--deb-version", version, "--output"]).arg(&file);
    succeeded(&mut command)?;
    Ok(file)
}

/// The same as an rpm.
fn rpm_package(into: &Path, release: &str) -> Result<PathBuf> {
    files()?;
    let file = into.join(format!("ccotel-{release}.rpm"));
    let mut command = Command::new(Program::CargoGenerateRpm.find().context("it was there")?);
    command.current_dir(root()).args(["generate-rpm", "--profile", "dev"]);
    // Quick to pack; what is in it is what matters.
    command.args(["--payload-compress", "none", "--output"]).arg(&file);
    succeeded(command.args(["--set-metadata", &format!("release = \"{release}\"")]))?;
    Ok(file)
}

fn deb() -> Result<()> {
    let work = tempfile::tempdir()?;
    in_a_clean_root(&package(work.path(), "0.1.0-1")?, &package(work.path(), "0.1.0-2")?)
}

fn rpm() -> Result<()> {
    let work = tempfile::tempdir()?;
    in_a_clean_root(&rpm_package(work.path(), "1")?, &rpm_package(work.path(), "2")?)
}

fn in_a_clean_root(first: &Path, next: &Path) -> Result<()> {
    let mut command = Command::new("unshare");
    command
        .args(["-mp", "--fork", "--kill-child", "bash"])
        .arg(root().join("tests/setup/in_a_clean_root.sh"));
    let output = succeeded(command.arg(first).arg(next).arg(std::env::current_exe()?))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(said.trim_end().ends_with("== done"), "{said}");
    Ok(())
}

fn deb_is_clean() -> Result<()> {
    let work = tempfile::tempdir()?;
    let file = package(work.path(), "0.1.0-1")?;
    let mut command = Command::new(Program::Lintian.find().context("it was there")?);
    succeeded(command.args(["--fail-on", "error,warning", "--allow-root"]).arg(file))?;
    Ok(())
}
