//! Every command called wrongly: one sentence, what to do, and the right exit code.

#![expect(clippy::unwrap_used, reason = "tests; clippy knows them by #[test] only")]

mod house;

use ccotel::cli::Cli;
use clap::{Command, CommandFactory};
use house::House;

/// What was typed, the exit code, and what the sentence says.
const WRONG: &[(&[&str], i32, &str)] = &[
    (&["repot"], 2, "`ccotel` knows no command `repot`; did you mean `report`?"),
    (&["--jsn"], 2, "`ccotel` takes no option `--jsn`; see `ccotel --help`"),
    (&["help", "repot"], 2, "`ccotel` knows no command `repot`"),
    (&["agent"], 2, "needs one of run, start, stop, restart, logs; see `ccotel agent --help`"),
    (&["agent", "strt"], 2, "`ccotel agent` knows no command `strt`; did you mean `start`?"),
    (&["agent", "logs", "-n", "x"], 2, "--lines: `x` is not a whole number"),
    (&["agent", "stop", "now"], 2, "`ccotel agent stop` takes no argument `now`"),
    (&["config"], 2, "`ccotel config` needs one of path, show, check"),
    (&["config", "chck"], 2, "did you mean `check`?"),
    (&["wrap"], 2, "`ccotel wrap` needs PROGRAM"),
    (&["status", "--jso"], 2, "did you mean `--json`?"),
    (&["status", "--watch"], 2, "--watch draws on a terminal; use `ccotel status --json`"),
    (&["status", "--watch", "--json"], 2, "--watch cannot be given together with --json"),
    (&["top"], 2, "top draws on a terminal; `ccotel top --json` prints a snapshot"),
    (&["top", "--jsn"], 2, "`ccotel top` takes no option `--jsn`; did you mean `--json`?"),
    (&["report", "--since"], 2, "--since needs a value; see `ccotel report --help`"),
    (&["report", "--since", "yesterdy"], 2, "`yesterdy` is not a time: give a day (2026-11-14)"),
    (&["report", "--since", "2026-13-01"], 2, "`2026-13-01` is not a time"),
    (&["report", "--until", "2020-01-01"], 2, "must be before --until"),
    (&["report", "--by", "colour"], 2, "`colour` is not something to report by: give hour, day"),
    (&["report", "--by", "day,team,model"], 2, "--by takes at most 2 dimensions"),
    (&["report", "--tz", "Mars/Phobos"], 2, "`Mars/Phobos` is not a time zone"),
    (&["report", "today"], 2, "`ccotel report` takes no argument `today`"),
    (&["connect"], 2, "`ccotel connect` needs TYPE and URL; see `ccotel connect --help`"),
    (&["connect", "loki"], 2, "`ccotel connect` needs URL"),
    (&["connect", "lokki", "http://x"], 2, "did you mean `loki`?"),
    (&["connect", "grafana", "http://x"], 2, "one of prometheus, loki, victorialogs, otlp"),
    (&["connect", "loki", "localhost:3100"], 2, "begins with http:// or https://"),
    (&["connect", "loki", "http://x", "--since", "later"], 2, "--since: `later` is no time: now"),
    (&["connect", "loki", "http://x", "--protocol", "3"], 2, "--protocol 3 is not one of loki's"),
    (&["connect", "loki", "http://x", "--privacy", "no"], 2, "--privacy: `no` is no level"),
    (
        &["connect", "loki", "http://x", "--header", "x"],
        2,
        "--header: `x` is no header: NAME=VALUE",
    ),
    (&["connect", "loki", "http://x", "--username", "u"], 2, "needs --password-file FILE"),
    (&["connect", "loki", "http://x", "--bearer-token-file", "/no/file"], 2, "/no/file"),
    (&["disconnect"], 2, "`ccotel disconnect` needs NAME"),
    (&["disconnect", "nobody"], 2, "no destination named nobody in"),
    (&["disconnect", "nobody"], 2, "; there are: team-loki, team-prom"),
    (&["retry"], 1, "no agent runs, so nothing is sent; `ccotel agent start` starts it"),
    (&["retry", "nobody"], 1, "no agent runs"),
];

const DESTINATIONS: &str = "
[[destination]]
name = \"team-loki\"
type = \"loki\"
url = \"http://127.0.0.1:9/loki/api/v1/push\"

[[destination]]
name = \"team-prom\"
type = \"prometheus\"
url = \"http://127.0.0.1:9/api/v1/write\"
";

#[test]
fn wrong_use_gets_one_sentence_and_its_code() {
    let house = House::new();
    house.config(DESTINATIONS);
    for (arguments, code, says) in WRONG {
        assert_sentence(&house, arguments, *code, says);
    }
}

#[test]
fn no_command_takes_what_it_does_not_know() {
    let house = House::new();
    for words in commands(&Cli::command()) {
        let mut arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        // Their arguments are another program's.
        if matches!(arguments[0], "claude" | "wrap") {
            continue;
        }
        let called = arguments.join(" ");
        arguments.push("--no-such-option");
        assert_sentence(&house, &arguments, 2, &format!("`ccotel {called}` takes no option"));
    }
}

#[test]
fn every_help_page_fits_a_terminal_and_ends_well() {
    let house = House::new();
    for words in commands(&Cli::command()) {
        if words[0] == "claude" {
            continue; // Claude Code's own page
        }
        let output =
            house.command(house::CCOTEL).args(&words).arg("--help").env("COLUMNS", "80").output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        let page = String::from_utf8(output.stdout).unwrap();
        let called = format!("Usage: ccotel {}", words.join(" "));
        assert!(page.contains(&called), "{words:?}: {page}");
        let widest = page.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= 80, "{words:?} is {widest} wide:\n{page}");
    }
}

#[test]
fn without_an_agent_what_can_be_said_is_said() {
    let house = House::new();
    for (arguments, code, says) in [
        (&["status"][..], 3, "No agent runs: the next `claude` starts one"),
        (&["agent", "stop"], 0, "no agent runs; the next `claude` starts one"),
        (&["agent", "logs"], 0, "there is no log yet; the agent has never run here"),
        (&["report"], 0, "Start a session with `ccotel claude`"),
        (&["config", "check"], 0, "valid: "),
    ] {
        let output = house.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains(says), "{arguments:?}: {said}");
        assert!(output.stderr.is_empty(), "{arguments:?}: {:?}", output.stderr);
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let house = House::new();
    for arguments in
        ["report", "report --json", "status", "top --json", "tags", "config show", "--help"]
    {
        // The shell's pipe is closed before anything is written to it.
        let script = format!("({} {arguments}; echo $? >&2) | true", house::CCOTEL);
        let output = house.command("sh").arg("-c").arg(script).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let code = said.trim();
        assert!(["0", "3"].contains(&code), "{arguments}: {said}");
    }
}

fn assert_sentence(house: &House, arguments: &[&str], code: i32, says: &str) {
    let output = house.run(arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert!(said.starts_with("ccotel: ") && said.contains(says), "{arguments:?}: {said}");
    assert_eq!(said.lines().count(), 1, "{arguments:?}: {said}");
    assert!(output.stdout.is_empty(), "{arguments:?}: {:?}", output.stdout);
}

/// The words of every command that can be seen.
fn commands(command: &Command) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let name = sub.get_name().to_owned();
        if name == "help" {
            continue;
        }
        all.push(vec![name.clone()]);
        all.extend(commands(sub).into_iter().map(|words| [vec![name.clone()], words].concat()));
    }
    all
}
