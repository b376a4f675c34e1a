//! Ports and directories that somebody else has.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::house::House;
use crate::otlp;

pub const CASES: &[(&str, fn())] = &[
    ("a_port_that_is_taken_is_replaced_and_said_once", port_taken),
    ("a_file_in_the_place_of_the_data_directory_stops_nothing", file_in_the_way),
    ("an_agent_of_another_machine_is_left_its_data_directory", other_machine),
    ("a_backlog_is_not_given_up_unasked", backlog),
    ("a_broken_config_stops_nothing_until_it_is_mended", broken_config),
];

fn port_taken() {
    let house = House::new();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap();
    house.write("config/config.toml", format!("\n[agent]\nlisten = [\"{taken}\"]\n"));
    let shown = house.on_terminal(&["hello"]);
    let says = format!("config.toml:3: {taken} was taken by another program, so the agent listens");
    assert!(shown.contains(&says), "{shown}");
    assert!(shown.contains("write that address into `[agent] listen`"), "{shown}");
    assert_eq!(house.on_terminal(&["hello"]), "", "said once");
    let endpoint = house.launch(&["-p"]).variable("OTEL_EXPORTER_OTLP_ENDPOINT").unwrap();
    assert!(!endpoint.contains(&taken.to_string()), "{endpoint}");
    assert!(house.launch_problems()[0].contains(&says));
    let status = house.json(&["status", "--json"]);
    assert!(status["warnings"].to_string().contains(&says), "{status}");
    let actual = status["addresses"][0].as_str().unwrap().to_owned();

    house.write("config/config.toml", format!("[agent]\nlisten = [\"{actual}\"]\n"));
    house.launch(&["-p"]);
    assert_eq!(house.launch_problems(), [""; 0], "settled");
}

fn file_in_the_way() {
    let house = House::new();
    house.write("data", "in the way");
    let shown = house.on_terminal(&["hello"]);
    assert!(shown.starts_with("ccotel: this session is not counted: cannot"), "{shown}");
    assert!(shown.contains("/data") && shown.contains("CCOTEL_DATA_DIR"), "{shown}");
    let status = house.run(&["status"]);
    assert_eq!(status.status.code(), Some(3));
    let words = String::from_utf8(status.stdout).unwrap();
    assert!(words.contains("this session is not counted"), "{words}");
}

fn other_machine() {
    let house = House::new();
    assert!(house.run(&["agent", "start"]).status.success());
    let file = house.path("data/agent.json");
    let ours = std::fs::read_to_string(&file).unwrap();
    let mut identity: serde_json::Value = serde_json::from_str(&ours).unwrap();
    identity["host"] = "elsewhere".into();
    identity["control"] = "/nowhere/control.sock".into();
    std::fs::write(&file, identity.to_string()).unwrap();

    let shown = house.on_terminal(&["hello"]);
    assert!(
        shown.contains("an agent of the machine elsewhere uses this data directory"),
        "{shown}"
    );
    assert!(
        shown.contains("set CCOTEL_DATA_DIR to a directory on a disk of this machine"),
        "{shown}"
    );
    assert_eq!(house.launch(&["-p", "hello"]).arguments, ["-p", "hello"]);
    let status = house.json(&["status", "--json"]);
    assert!(status["warnings"].to_string().contains("elsewhere"), "{status}");
    assert!(house.launch_problems()[0].contains("elsewhere"));

    std::fs::write(&file, ours).unwrap();
    assert_eq!(house.json(&["status", "--json"])["running"], true, "it was left alone");
}

fn broken_config() {
    let house = House::new();
    house.write("config/config.toml", "[agent]\nlisten = [\"127.0.0.1:0\"]\n[agent\n");
    let shown = house.on_terminal(&["hello"]);
    let says = "config.toml:3: not valid TOML";
    assert!(shown.contains(says) && shown.contains("mend this line"), "{shown}");
    for command in ["tags", "status"] {
        let said = String::from_utf8(house.run(&[command]).stdout).unwrap();
        assert!(said.contains(says), "{command}: {said}");
    }
    assert_eq!(house.run(&["config", "check"]).status.code(), Some(1));
    house.config("");
    house.launch(&["-p"]);
    assert_eq!(house.launch_problems(), [""; 0], "mended");
}

fn backlog() {
    let house = House::new();
    let connect = ["connect", "loki", "http://127.0.0.1:9", "--name", "away", "--no-check"];
    assert!(house.run(&connect).status.success());
    assert!(house.run(&["agent", "start"]).status.success());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answered = runtime.block_on(otlp::send(&otlp::endpoint(&house), 0));
    assert_eq!(answered.status, 200);
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let status = house.json(&["status", "--json"]);
        if status["destinations"][0]["backlog"]["records"] == otlp::RECORDS {
            break;
        }
        assert!(Instant::now() < deadline, "{status}");
    }
    let before = std::fs::read_to_string(house.path("config/config.toml")).unwrap();
    let refused = house.run(&["disconnect", "away"]);
    assert_eq!(refused.status.code(), Some(1));
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(words.contains("20 records are still waiting for away"), "{words}");
    assert!(words.contains("`ccotel disconnect away --yes`"), "{words}");
    assert_eq!(std::fs::read_to_string(house.path("config/config.toml")).unwrap(), before);
    assert!(house.run(&["disconnect", "away", "--yes"]).status.success());
}
