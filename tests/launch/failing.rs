//! Whatever fails, Claude Code starts.

use crate::house::{CCOTEL, House};

#[test]
fn without_an_agent_claude_starts_as_it_would_alone() {
    let house = House::new();
    house.write("data", "in the way of the data directory");
    let launched = house.launch(&["-p", "--settings", "{\"model\":\"opus\"}"]);
    assert_eq!(launched.arguments, ["-p", "--settings", "{\"model\":\"opus\"}"]);
    assert!(!launched.environment.keys().any(|name| name.starts_with("OTEL_")));
    let problems = house.launch_problems();
    assert!(problems[0].starts_with("this session is not counted"), "{problems:?}");
}

#[test]
fn without_a_home_directory_claude_starts() {
    let house = House::new();
    let mut command = house.command(CCOTEL);
    for name in ["HOME", "CCOTEL_CONFIG_DIR", "CCOTEL_DATA_DIR", "CCOTEL_RUNTIME_DIR"] {
        command.env_remove(name);
    }
    // What a system without an entry for the user falls back to cannot be written here.
    command.args(["claude", "-p"]).env("CCOTEL_DISABLE", "1");
    assert_eq!(house.launched(&mut command).own_arguments(), ["-p"]);
}

#[test]
fn a_terminal_sees_one_line_a_day_and_a_script_none() {
    let house = House::new();
    house.write("home/work/.ccotel.toml", "teem = 1\n[tags]\nJOB = \"x\"\n[privcy]\n");
    let json = ["-p", "--output-format", "json"];
    assert_eq!(house.on_terminal(&json), "", "a program reads the output");
    std::fs::remove_file(house.path("data/problems.jsonl")).unwrap();
    let said = house.on_terminal(&["-p"]);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("ccotel: "), "{said}");
    assert!(said.contains("(and 2 more: `ccotel tags`)"), "{said}");
    assert_eq!(house.on_terminal(&["-p"]), "", "said today");
}

#[test]
fn an_address_that_the_agent_was_not_started_with_is_said_to_be_pending() {
    let house = House::new();
    house.launch(&["-p"]);
    assert_eq!(house.launch_problems(), [""; 0]);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    house.write("config/config.toml", format!("[agent]\nlisten = [\"{address}\"]\n"));
    house.launch(&["-p"]);
    let problems = house.launch_problems();
    assert!(problems[0].contains(&format!("{address} is not bound yet")), "{problems:?}");
    // Now it is taken by another program indeed: by this one.
    house.run(&["agent", "restart"]);
    house.launch(&["-p"]);
    let problems = house.launch_problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains(&format!("{address} was taken by another")), "{problems:?}");
}

#[test]
fn a_broken_configuration_stops_nothing() {
    let house = House::new();
    house.write("config/config.toml", "[agent\nlisten = 5");
    let launched = house.launch(&["-p"]);
    assert_eq!(launched.own_arguments(), ["-p"]);
    assert_eq!(launched.attributes()["ccotel.privacy"], "minimal", "the file may have said so");
    assert_eq!(launched.stderr(), "", "a script must not see a line");
    assert!(house.launch_problems()[0].contains("config.toml:1: not valid TOML"));
}
