//! What is between a terminal, or a program, and Claude Code: nothing that either can tell.

use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::harness::cases::Case;
use crate::home::Home;

const END: Duration = Duration::from_mins(1);

/// Sets a title, follows the size of its terminal, and ends with a code of its own.
const TERMINAL_PROGRAM: &str = r#"#!/bin/sh
printf '\033]0;claude works\007'
echo "began $(stty size)"
trap 'echo "resized $(stty size)"' WINCH
trap 'echo interrupted' INT
while [ -t 0 ]; do read -r line && echo "got $line" && [ "$line" = end ] && exit 42; done
"#;

pub fn cases() -> Vec<Case> {
    let case = |name: &str, run: fn() -> Result<()>| Case::new(name, &[], run);
    vec![
        case("wrapped_a_terminal_program_sees_its_terminal", a_terminal_program_sees_its_terminal),
        case("wrapped_bytes_pass_untouched_without_a_terminal", bytes_pass_untouched),
        case("wrapped_without_ccotel_the_program_itself_runs", without_ccotel),
    ]
}

fn a_terminal_program_sees_its_terminal() -> Result<()> {
    let home = Home::new()?;
    home.run(&["setup", "--yes", "--without", "service"])?;
    std::fs::remove_file(home.path("claude's bin/claude"))?;
    home.executable("claude", TERMINAL_PROGRAM)?;
    let shim = home.home(".local/share/ccotel/shims/claude").display().to_string();
    let mut terminal = home.terminal(&shim, &[])?;
    terminal.wait_for("its size", |screen| screen.contains("began 40 120"))?;
    terminal.resize(30, 90)?;
    terminal.wait_for("its new size", |screen| screen.contains("resized 30 90"))?;
    terminal.type_text("\u{3}")?;
    terminal.wait_for("the interrupt", |screen| screen.contains("interrupted"))?;
    terminal.type_text("word\r")?;
    terminal.wait_for("a line", |screen| screen.contains("got word"))?;
    ensure!(terminal.written().contains("\u{1b}]0;claude works\u{7}"));
    terminal.type_text("end\r")?;
    ensure!(terminal.finish(END)? == Some(42));
    Ok(())
}

/// As an editor does it: no terminal, pipes, the wrapper in front of a program of its own.
fn bytes_pass_untouched() -> Result<()> {
    let home = Home::new()?;
    home.run(&["setup", "--yes", "--without", "service"])?;
    let wrapper = home.home(".local/share/ccotel/shims/ccotel-wrap");
    let mut command = home.command("setsid");
    // It gets options that no cat takes.
    home.executable("bundled", "#!/bin/sh\nexec cat\n")?;
    command.arg("--wait").arg(&wrapper).arg(home.path("the bin/bundled"));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("setsid")?;
    let mut random = fastrand::Rng::with_seed(5);
    let sent: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(1 << 20).collect();
    let mut stdin = child.stdin.take().context("a pipe")?;
    let copy = sent.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&copy));
    let mut came = Vec::new();
    child.stdout.take().context("a pipe")?.read_to_end(&mut came)?;
    let mut said = String::new();
    child.stderr.take().context("a pipe")?.read_to_string(&mut said)?;
    ensure!(child.wait()?.success() && said.is_empty(), "{said}");
    writer.join().ok().context("the writer")??;
    ensure!(came == sent, "{} bytes of {} came", came.len(), sent.len());
    Ok(())
}

/// A package that was removed before `ccotel uninstall` ran leaves settings that name the wrapper.
fn without_ccotel() -> Result<()> {
    let home = Home::new()?;
    home.run(&["setup", "--yes", "--without", "service"])?;
    home.run(&["agent", "stop"])?;
    std::fs::rename(home.ccotel(), home.path("gone"))?;
    let wrapper = home.home(".local/share/ccotel/shims/ccotel-wrap");
    let output =
        home.command(&wrapper).args(["sh", "-c", "echo \"$1\"; exit 9", "-", "a b"]).output()?;
    ensure!(output.stdout == b"a b\n" && output.status.code() == Some(9), "{output:?}");
    ensure!(output.stderr.is_empty(), "{output:?}");
    std::fs::rename(home.path("gone"), home.ccotel())?;
    Ok(())
}
