//! The agent: dead, stopped, cut off, old, in another place, started by too many.

use std::net::TcpListener;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::harness::addresses;
use crate::house::CCOTEL;
use crate::place::Place;
use crate::table::{Act, Situation};

/// Links as the real one does; no manager runs the agent here.
const SYSTEMCTL: &str = r#"#!/bin/sh
units="$HOME/.config/systemd/user"
case "$*" in
  *enable\ --now*)
    for unit; do :; done
    mkdir -p "$units/default.target.wants"
    ln -sf "../$unit" "$units/default.target.wants/$unit" ;;
esac
"#;
const BREW: &str = r#"#!/bin/sh
[ "$*" = "services stop ccotel" ] || exit 1
rm "$HOME/.config/systemd/user/default.target.wants/homebrew.ccotel.service"
"#;
const UNITS: &str = "home/.config/systemd/user";

pub fn situations() -> Vec<Situation> {
    vec![
        Situation::new("the_agent_is_dead", || {
            let place = Place::new();
            let status = place.house.json(&["status", "--json"]);
            for pid in [&status["pid"], &status["worker"]["pid"]] {
                let pid = Pid::from_raw(i32::try_from(pid.as_i64().unwrap()).unwrap()).unwrap();
                // The worker may have ended with its holder.
                let _ = kill_process(pid, Signal::KILL);
            }
            place.status_until("the end of the agent", |status| status["running"] == false);
            place
        })
        .fails("agent", &["no agent runs"]),
        Situation::new("the_agent_was_stopped_to_stay", || {
            let place = Place::new();
            place.ccotel(&["agent", "stop", "--stay"]);
            place
        })
        .fails("agent", &["agent stop --stay"]),
        Situation::new("the_control_socket_is_gone", || {
            let place = Place::new();
            std::fs::remove_file(place.house.path("run/control.sock")).unwrap();
            place
        })
        .fails("agent", &["control socket", "is gone"]),
        Situation::new("nobody_knows_the_agent", || {
            let place = Place::new();
            std::fs::remove_file(place.house.path("data/agent.json")).unwrap();
            place
        })
        .fails("agent", &["holds", "agent.json is gone"]),
        Situation::new("the_history_is_damaged", || {
            let place = Place::new();
            for end in ["-wal", "-shm"] {
                let _ = std::fs::remove_file(place.house.path(&format!("data/history.db{end}")));
            }
            place.house.write("data/history.db", "not a database ".repeat(40));
            place
        })
        .fails("history", &["history.db is damaged", "sets it aside"]),
        Situation::by_hand("the_clock_was_set_back", clock_set_back)
            .fails("clock", &["s ahead of this machine's clock", "`date`"]),
        Situation::by_hand("a_database_was_lost", lost_database)
            .warns("notices", &["the database was gone", "shown for a week"]),
        Situation::new("the_token_is_damaged", || {
            let place = Place::new();
            place.house.write("data/token", "short");
            place
        })
        .fails("agent", &["the token in", "gone or damaged"]),
        Situation::new("the_agent_is_of_another_version", || {
            changed_identity(|identity| identity["version"] = json!("0.0.9"))
        })
        .warns("agent_version", &["the agent is of version 0.0.9"]),
        Situation::new("the_agents_program_is_gone", || {
            changed_identity(|identity| identity["exe"] = json!("/nowhere/ccotel"))
        })
        .warns("agent_version", &["/nowhere/ccotel is gone"]),
        Situation::new("a_stranger_has_the_port", || {
            let mut place = Place::without_agent();
            let stranger = TcpListener::bind(place.address).unwrap();
            place.ccotel(&["agent", "start"]);
            place.keep(stranger);
            place
        })
        .warns("port", &["is taken by", "(pid ", "so the agent listens on"]),
        Situation::new("another_address_is_configured", || {
            let mut place = Place::new();
            place.address = addresses::free_address().unwrap();
            place.configure("");
            place
        })
        .warns("port", &["is configured and not bound yet"]),
        Situation::new("a_service_runs_what_is_gone", || {
            let place = Place::new();
            place.house.executable("bin/systemctl", SYSTEMCTL);
            unit(&place, "ccotel-agent.service", "/nowhere/ccotel");
            place
        })
        .warns("service", &["runs /nowhere/ccotel, which is gone"]),
        Situation::new("two_services_start_the_agent", || {
            let place = Place::new();
            place.house.executable("bin/brew", BREW);
            unit(&place, "ccotel-agent.service", CCOTEL);
            unit(&place, "homebrew.ccotel.service", CCOTEL);
            place
        })
        .warns("service", &["starts the agent, and so does"]),
        Situation::new("a_worker_died", || {
            let place = Place::new();
            let status = place.house.json(&["status", "--json"]);
            let pid = status["worker"]["pid"].as_i64().unwrap();
            let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
            kill_process(pid, Signal::KILL).unwrap();
            place.status_until("the next worker", |status| status["worker"]["restarts"] == 1);
            place
        })
        .warns("notices", &["the worker ended and was started again"]),
    ]
}

/// With a request in its store and in its history, and stopped.
fn used() -> Place {
    let place = Place::new();
    let endpoint = crate::otlp::endpoint(&place.house);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(runtime.block_on(crate::otlp::send(&endpoint, 0)).status, 200);
    place.ccotel(&["report"]);
    place.ccotel(&["agent", "stop"]);
    place
}

/// As in the books of an agent that was told of later times.
fn clock_set_back() -> (Place, Act) {
    let place = used();
    shift_recorded(&place, 3_600_000);
    (place, Box::new(|place| shift_recorded(place, -3_600_000)))
}

/// It is said for a week; who does not want to wait begins anew.
fn lost_database() -> (Place, Act) {
    let place = used();
    for name in ["queue.db", "queue.db-wal", "queue.db-shm"] {
        let _ = std::fs::remove_file(place.house.path("data").join(name));
    }
    place.ccotel(&["agent", "start"]);
    let act: Act = Box::new(|place| {
        place.ccotel(&["agent", "stop"]);
        std::fs::remove_dir_all(place.house.path("data")).unwrap();
        place.ccotel(&["agent", "start"]);
    });
    (place, act)
}

/// The times that the history has been told of.
fn shift_recorded(place: &Place, by_ms: i64) {
    let history = rusqlite::Connection::open(place.house.path("data/history.db")).unwrap();
    let query = "UPDATE cursor SET tick_ms = tick_ms + ?1, received_ms = received_ms + ?1";
    assert_eq!(history.execute(query, [by_ms]).unwrap(), 1);
}

fn changed_identity(change: impl Fn(&mut Value)) -> Place {
    let place = Place::new();
    let file = place.house.path("data/agent.json");
    let mut identity: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    change(&mut identity);
    place.house.write("data/agent.json", identity.to_string());
    place
}

/// A unit that is enabled.
fn unit(place: &Place, name: &str, program: &str) {
    let text = format!("[Service]\nExecStart={program} agent run --wait\n");
    place.house.write(&format!("{UNITS}/{name}"), text);
    let link = place.house.path(&format!("{UNITS}/default.target.wants/{name}"));
    std::fs::create_dir_all(link.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(format!("../{name}"), link).unwrap();
}
