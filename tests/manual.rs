//! Completions and manual pages: made of the command line's own definitions, so each command has both.

#![expect(clippy::unwrap_used, reason = "tests; clippy knows them by #[test] only")]

use std::path::Path;
use std::process::{Command, Output};

const CCOTEL: &str = env!("CARGO_BIN_EXE_ccotel");

fn ccotel(arguments: &[&str]) -> Output {
    Command::new(CCOTEL).args(arguments).output().unwrap()
}

fn printed(arguments: &[&str]) -> String {
    let output = ccotel(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The commands that `--help` lists.
fn commands(of: &[&str]) -> Vec<String> {
    let help = printed(&[of, &["--help"]].concat());
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let words = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let words = words.map(|line| line.split_whitespace().next().unwrap().to_owned());
    words.filter(|word| word != "help").collect()
}

#[test]
fn every_command_has_a_page() {
    let dir = tempfile::tempdir().unwrap();
    printed(&["man", "--dir", dir.path().to_str().unwrap()]);
    let page = |name: &str| std::fs::read_to_string(dir.path().join(format!("{name}.1"))).unwrap();
    assert!(page("ccotel").contains(".TH ccotel 1"), "{}", page("ccotel"));
    let shown = commands(&[]);
    assert!(shown.len() > 10, "{shown:?}");
    for command in shown {
        let page = page(&format!("ccotel-{command}"));
        assert!(page.contains("Examples:"), "{command}: {page}");
        assert!(page.contains(&format!(".TH ccotel-{command} 1")), "{command}: {page}");
        assert_eq!(page, printed(&["man", &command]), "{command}");
    }
    for command in commands(&["agent"]) {
        assert!(page(&format!("ccotel-agent-{command}")).contains(".SH SYNOPSIS"), "{command}");
    }
}

#[test]
fn bash_completes_commands_and_options() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("ccotel.bash");
    std::fs::write(&script, printed(&["completions", "bash"])).unwrap();
    assert_eq!(completed(&script, &["ccotel", "rep"]), ["report"]);
    assert_eq!(completed(&script, &["ccotel", "report", "--si"]), ["--since"]);
    assert_eq!(completed(&script, &["ccotel", "agent", "st"]), ["start", "stop"]);
}

/// What bash offers for the last of the words.
fn completed(script: &Path, words: &[&str]) -> Vec<String> {
    let program = "source \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); \
                   _ccotel \"$1\" \"${@: -1}\" \"${@: -2:1}\"; printf '%s\\n' \"${COMPREPLY[@]}\"";
    let mut bash = Command::new("bash");
    bash.args(["--noprofile", "--norc", "-c", program, "bash"]).arg(script).args(words);
    let output = bash.output().unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn zsh_and_fish_know_every_command() {
    for shell in ["zsh", "fish"] {
        let script = printed(&["completions", shell]);
        for command in commands(&[]) {
            assert!(script.contains(&command), "{shell}: {command}");
        }
    }
}

#[test]
fn what_cannot_be_done_is_one_sentence() {
    let cases: [(&[&str], i32, &str); 4] = [
        (&["man", "quack"], 2, "ccotel: `ccotel` has no command `quack`; see `ccotel --help`\n"),
        (
            &["man", "agent", "quack"],
            2,
            "ccotel: `ccotel agent` has no command `quack`; see `ccotel agent --help`\n",
        ),
        (
            &["man", "--dir", "/nowhere/at/all"],
            1,
            "ccotel: cannot write /nowhere/at/all/ccotel.1: it does not exist; name a directory you may write to\n",
        ),
        (
            &["completions", "quack"],
            2,
            "ccotel: `quack` is no SHELL, which is one of bash, elvish, fish, powershell, zsh; see `ccotel completions --help`\n",
        ),
    ];
    for (arguments, code, sentence) in cases {
        let output = ccotel(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), sentence, "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}
