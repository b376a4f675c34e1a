//! However it ends, the terminal is as it was before.

use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ccotel::top::terminal::Screen;
use rustix::process::{Signal, kill_process_group};
use rustix::termios::Termios;

use crate::harness::cases::Case;
use crate::harness::sandbox::Sandbox;
use crate::harness::terminal::Terminal;
use crate::live::with_rich_session;

/// Set for the program in a terminal that is to panic.
pub const PANIC_VARIABLE: &str = "CCOTEL_TEST_PANIC";

const DEADLINE: Duration = Duration::from_mins(1);

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("ending::by_each_key_the_terminal_is_as_before", &[], by_keys),
        Case::new("ending::by_signals_the_terminal_is_as_before", &[], by_signals),
        Case::new("ending::by_a_panic_the_terminal_is_as_before", &[], by_panic),
        Case::new("ending::stopped_and_continued_it_is_given_back_and_taken", &[], stopped),
    ]
}

/// Keeps the terminal open after a program, so that its modes can be looked at: the last one to
/// leave takes them along.
fn and_then_wait(command: &Command) -> Command {
    let mut shell = Command::new("/bin/sh");
    // Traps are the shell's own; what it starts has none.
    let script = r#"trap : TERM HUP INT; echo before; "$@"; echo "ended with $?"; read -r line"#;
    shell.args(["-c", script, "sh"]);
    shell.arg(command.get_program()).args(command.get_args()).env_clear();
    if let Some(directory) = command.get_current_dir() {
        shell.current_dir(directory);
    }
    let set = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    shell.envs(set);
    shell
}

/// What `tcgetattr` tells, comparable.
fn modes(terminal: &Terminal) -> Result<String> {
    let Termios { input_modes, output_modes, control_modes, local_modes, .. } = terminal.modes()?;
    Ok(format!("{input_modes:?} {output_modes:?} {control_modes:?} {local_modes:?}"))
}

/// Starts it below a shell, and waits until it has drawn. The modes are those from before.
fn started(sandbox: &Sandbox) -> Result<(Terminal, String)> {
    let cooked = Terminal::start(Command::new("cat"))?;
    let before = modes(&cooked)?;
    let command = and_then_wait(&sandbox.ccotel(&["top"]));
    let terminal = Terminal::start_sized(command, 24, 80)?;
    terminal.wait_for("the session", |screen| screen.contains("sonnet-4-5"))?;
    ensure!(terminal.is_taken() == (true, true), "the alternate screen, without a cursor");
    ensure!(modes(&terminal)? != before, "raw while it runs");
    Ok((terminal, before))
}

fn is_as_before(terminal: &Terminal, before: &str, code: &str) -> Result<()> {
    terminal.wait_for("the end", |screen| screen.contains(&format!("ended with {code}")))?;
    ensure!(terminal.is_taken() == (false, false), "{:?}", terminal.is_taken());
    let screen = terminal.screen();
    ensure!(screen.starts_with("before\n"), "what was there is gone:\n{screen}");
    ensure!(modes(terminal)? == before, "{} is not {before}", modes(terminal)?);
    Ok(())
}

fn by_keys() -> Result<()> {
    let sandbox = with_rich_session()?;
    for keys in ["q", "\x1b", "\x03", "\rq\x1b", "?q\x03"] {
        let (mut terminal, before) = started(&sandbox)?;
        terminal.type_text(keys)?;
        is_as_before(&terminal, &before, "0").with_context(|| format!("{keys:?}"))?;
    }
    Ok(())
}

fn by_signals() -> Result<()> {
    let sandbox = with_rich_session()?;
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let (terminal, before) = started(&sandbox)?;
        kill_process_group(terminal.foreground()?, signal)?;
        is_as_before(&terminal, &before, "0").with_context(|| format!("{signal:?}"))?;
    }
    Ok(())
}

fn by_panic() -> Result<()> {
    let cooked = Terminal::start(Command::new("cat"))?;
    let before = modes(&cooked)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.env(PANIC_VARIABLE, "1");
    let terminal = Terminal::start_sized(and_then_wait_inheriting(&command), 24, 80)?;
    is_as_before(&terminal, &before, "101")?;
    let screen = terminal.screen();
    ensure!(screen.contains("the terminal was taken"), "its message is not there:\n{screen}");
    Ok(())
}

fn and_then_wait_inheriting(command: &Command) -> Command {
    let mut shell = and_then_wait(command);
    shell.envs(std::env::vars_os()).env("TERM", "xterm-256color");
    shell
}

/// In a process of its own.
pub fn panic_with_the_terminal_taken() -> ! {
    let (news, _told) = UnixStream::pair().expect("a pair of sockets");
    let _screen = Screen::take(news).expect("a terminal");
    panic!("the terminal was taken");
}

/// As people do it: from a shell with job control.
fn stopped() -> Result<()> {
    let sandbox = with_rich_session()?;
    let mut shell = sandbox.command("bash");
    shell.args(["--norc", "--noprofile", "-i"]).env("PS1", "prompt> ");
    let top = sandbox.ccotel(&["top"]).get_program().to_string_lossy().into_owned();
    let mut terminal = Terminal::start_sized(shell, 24, 80)?;
    terminal.wait_for("a prompt", |screen| screen.contains("prompt> "))?;
    terminal.type_text(&format!("'{top}' top\n"))?;
    terminal.wait_for("the session", |screen| screen.contains("sonnet-4-5"))?;
    for _ in 0..2 {
        terminal.type_text("\x1a")?;
        terminal.wait_for("the shell", |screen| screen.contains("Stopped"))?;
        ensure!(terminal.is_taken() == (false, false), "{:?}", terminal.is_taken());
        // Echo works again, and the shell reads what is typed.
        terminal.type_text("echo $((6*7))\n")?;
        terminal.wait_for("an answer", |screen| screen.contains("\n42"))?;
        terminal.type_text("clear; fg\n")?;
        terminal.wait_for("the session again", |screen| {
            screen.contains("sonnet-4-5") && screen.contains("q quit")
        })?;
        ensure!(terminal.is_taken() == (true, true), "{:?}", terminal.is_taken());
    }
    terminal.type_text("q")?;
    terminal.wait_for("the shell", |screen| !screen.contains("q quit"))?;
    ensure!(terminal.is_taken() == (false, false), "{:?}", terminal.is_taken());
    terminal.type_text("exit\n")?;
    ensure!(terminal.finish(DEADLINE)? == Some(0), "the shell ends well");
    Ok(())
}
