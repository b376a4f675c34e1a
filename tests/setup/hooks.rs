//! The hooks in real shells, each on a terminal of its own.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::harness::cases::Case;
use crate::harness::programs::Program;
use crate::harness::terminal::Terminal;
use crate::home::Home;

const END: Duration = Duration::from_mins(1);

/// A shell that reads one startup file of ours.
#[derive(Clone, Copy)]
struct Shell {
    name: &'static str,
    program: Program,
    /// How it reads what `ccotel init` prints.
    load: &'static str,
    remove: &'static str,
    arguments: &'static [&'static str],
    file: &'static str,
}

const BASH: Shell = Shell {
    name: "bash",
    program: Program::Bash,
    load: "eval -- \"$(ccotel init bash)\"\n",
    remove: "eval -- \"$(ccotel init --remove bash)\"",
    arguments: &["--noprofile", "-i"],
    file: ".bashrc",
};

/// What macOS has: without arrays of aliases, and with other words that are special.
const BASH_3: Shell = Shell { name: "bash_as_3_2", ..BASH };

const ZSH: Shell = Shell {
    name: "zsh",
    program: Program::Zsh,
    load: "eval \"$(ccotel init zsh)\"\n",
    remove: "eval \"$(ccotel init --remove zsh)\"",
    arguments: &["-d", "-i"],
    file: ".zshrc",
};

const FISH: Shell = Shell {
    name: "fish",
    program: Program::Fish,
    load: "ccotel init fish | source\n",
    remove: "ccotel init --remove fish | source",
    arguments: &["-i"],
    file: ".config/fish/config.fish",
};

/// What a startup file has before and after the hook, and what of it arrives.
const ALIASES: &[(&str, &str, &str)] = &[
    ("nothing", "", ""),
    ("arguments", "alias claude='claude --kept \"a b\"'\n", "[--kept][a b]"),
    ("by_command", "alias claude='command claude --kept'\n", "[--kept]"),
    ("a_program", "alias claude='PROGRAM --kept'\n", "[--kept]"),
    ("something_else", "alias claude='echo no'\n", ""),
];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for shell in [BASH, BASH_3, ZSH, FISH] {
        let mut add = |name: &str, run: fn(Shell) -> Result<()>| {
            let name = format!("hook_{}_{name}", shell.name);
            cases.push(Case::new(name, &[shell.program], move || run(shell)));
        };
        add("survives_aliases", survives_aliases);
        add("twice_and_removed", twice_and_removed);
        add("without_ccotel_is_plain", without_ccotel_is_plain);
        add("interrupts_and_job_control", interrupts_and_job_control);
        add("nested_shells", nested_shells);
        if shell.name != "fish" {
            add("strict_options", strict_options);
            add("functions_give_way", functions_give_way);
        }
    }
    cases
}

impl Shell {
    fn home(self, before: &str, after: &str) -> Result<Home> {
        let home = Home::new()?;
        let head = match self.name {
            "fish" => "function fish_prompt; echo -n 'READY> '; end\nset -g fish_greeting\n",
            "bash_as_3_2" => "BASH_COMPAT=3.2\nPS1='READY> '\n",
            _ => "PS1='READY> '\n",
        };
        home.write(self.file, &format!("{head}{before}{}{after}", self.load))?;
        Ok(home)
    }

    fn start(self, home: &Home) -> Result<Terminal> {
        let program =
            self.program.find().ok_or_else(|| anyhow::anyhow!("{}", self.program.missing()))?;
        let terminal = home.terminal(&program.to_string_lossy(), self.arguments)?;
        terminal.wait_for("a prompt", |screen| screen.contains("READY>"))?;
        Ok(terminal)
    }
}

/// Types a line, and waits for what it shall show.
fn types(terminal: &mut Terminal, line: &str, shows: &str) -> Result<()> {
    terminal.type_text(&format!("{line}\r"))?;
    terminal.wait_for(shows, |screen| screen.replace('\n', "").contains(shows))
}

fn ends(mut terminal: Terminal) -> Result<()> {
    terminal.type_text("exit 3\r")?;
    ensure!(terminal.finish(END)? == Some(3));
    Ok(())
}

fn survives_aliases(shell: Shell) -> Result<()> {
    for (name, alias, kept) in ALIASES {
        for first in [true, false] {
            let (before, after) = if first { (*alias, "") } else { ("", *alias) };
            let home = shell.home("", "")?;
            let program = home.path("other/claude");
            std::fs::create_dir(home.path("other"))?;
            std::os::unix::fs::symlink(std::env::current_exe()?, &program)?;
            let filled = |text: &str| text.replace("PROGRAM", &program.display().to_string());
            let text = home.read(shell.file)?;
            let text = text
                .replace(shell.load, &format!("{}{}{}", filled(before), shell.load, filled(after)));
            home.write(shell.file, &text)?;
            let mut terminal = shell.start(&home)?;
            let shows = format!("counted: {kept}[x y][it's][*]");
            types(&mut terminal, "claude 'x y' \"it's\" '*'", &shows)
                .map_err(|error| error.context(format!("alias {name}, first: {first}")))?;
            ends(terminal)?;
        }
    }
    Ok(())
}

fn twice_and_removed(shell: Shell) -> Result<()> {
    let home = shell.home("", shell.load)?;
    let mut terminal = shell.start(&home)?;
    types(&mut terminal, "claude once", "counted: [once]")?;
    // Nothing of ours is left to run at a prompt.
    let hooks = match shell.name {
        "fish" => "functions -q __ccotel_first_prompt; and echo there; or echo no-hook-is-left",
        "zsh" => "echo \"no-hook-is-${precmd_functions[*]-left}${${precmd_functions[*]}:-left}\"",
        _ => "echo \"no-hook-is-${PROMPT_COMMAND-left}\"",
    };
    types(&mut terminal, hooks, "no-hook-is-left")?;
    types(&mut terminal, shell.remove, "READY>")?;
    types(&mut terminal, "claude twice", "plain: [twice]")?;
    types(&mut terminal, shell.remove, "READY>")?;
    types(&mut terminal, "claude thrice", "plain: [thrice]")?;
    ends(terminal)
}

fn without_ccotel_is_plain(shell: Shell) -> Result<()> {
    let home = shell.home("", "")?;
    let mut terminal = shell.start(&home)?;
    types(&mut terminal, "claude first", "counted: [first]")?;
    home.run(&["agent", "stop"])?;
    std::fs::rename(home.ccotel(), home.path("gone"))?;
    types(&mut terminal, "claude second", "plain: [second]")?;
    let status = if shell.name == "fish" { "echo code-$status" } else { "echo code-$?" };
    types(&mut terminal, status, "code-7")?;
    ends(terminal)?;
    std::fs::rename(home.path("gone"), home.ccotel())?;
    Ok(())
}

/// A `claude` that waits, as a shell script.
const WAITING: &str = r#"#!/bin/sh
trap 'echo interrupted; exit 130' INT
trap 'echo resumed' CONT
while [ "$1" = --settings ]; do shift 2; done
echo "waiting for $1"
while [ -t 0 ]; do read -r line && echo "got $line" && [ "$line" = end ] && exit 5; done
"#;

fn interrupts_and_job_control(shell: Shell) -> Result<()> {
    let home = shell.home("", "")?;
    std::fs::remove_file(home.path("claude's bin/claude"))?;
    home.executable("claude", WAITING)?;
    let status = if shell.name == "fish" { "echo code-$status" } else { "echo code-$?" };
    let mut terminal = shell.start(&home)?;
    types(&mut terminal, "claude one", "waiting for one")?;
    terminal.type_text("\u{3}")?;
    terminal.wait_for("its own end", |screen| screen.contains("interrupted"))?;
    types(&mut terminal, status, "code-130")?;
    types(&mut terminal, "claude two", "waiting for two")?;
    types(&mut terminal, "hello", "got hello")?;
    terminal.type_text("\u{1a}")?;
    terminal.wait_for("the shell", |screen| screen.trim_end().ends_with("READY>"))?;
    types(&mut terminal, "fg", "resumed")?;
    types(&mut terminal, "again", "got again")?;
    types(&mut terminal, "end", "got end")?;
    // Of a function that was stopped and continued, zsh and fish lose the status, of any function.
    let code = if shell.name.starts_with("bash") { "code-5" } else { "code-0" };
    types(&mut terminal, status, code)?;
    ends(terminal)
}

fn nested_shells(shell: Shell) -> Result<()> {
    let home = shell.home("", "")?;
    let mut terminal = shell.start(&home)?;
    let program = shell.program.find().unwrap_or_default();
    let inner = format!("{} {}", program.display(), shell.arguments.join(" "));
    types(&mut terminal, &format!("clear; {inner}"), "READY>")?;
    types(&mut terminal, "claude inner", "counted: [inner]")?;
    types(&mut terminal, "exit", "READY>")?;
    types(&mut terminal, "claude outer", "counted: [outer]")?;
    ends(terminal)
}

/// An interactive shell in which everything that may fail ends it.
fn strict_options(shell: Shell) -> Result<()> {
    let home =
        shell.home("set -eu\nset -o noclobber\n", "alias claude='command claude --kept'\n")?;
    let mut terminal = shell.start(&home)?;
    types(&mut terminal, "claude strict || echo code-$?", "counted: [--kept][strict]")?;
    terminal.wait_for("its code", |screen| screen.contains("code-7"))?;
    types(&mut terminal, "echo \"options-$-\"", "options-")?;
    types(&mut terminal, shell.remove, "READY>")?;
    types(&mut terminal, "claude plain || echo code-again", "plain: [--kept][plain]")?;
    ends(terminal)
}

fn functions_give_way(shell: Shell) -> Result<()> {
    let theirs = "claude() { echo no; }\n";
    let home = shell.home(theirs, "")?;
    let mut terminal = shell.start(&home)?;
    types(&mut terminal, "claude x", "counted: [x]")?;
    ends(terminal)
}
