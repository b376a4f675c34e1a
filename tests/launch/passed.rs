//! `claude` stays `claude`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::house::{CCOTEL, House, link};

#[test]
fn arguments_pass_byte_for_byte() {
    let house = House::new();
    let odd = OsStr::from_bytes(b"\xff\xfe not utf-8");
    let mut command = house.command(CCOTEL);
    command.args(["claude", "-p", "", "two words", "--", "--settings", "kept"]).arg(odd);
    let launched = house.launched(&mut command);
    let expected = ["-p", "", "two words", "--", "--settings", "kept"].map(OsStr::new);
    assert_eq!(launched.arguments[2..8], expected);
    assert_eq!(launched.arguments[8], odd);
}

#[test]
fn help_and_version_are_claudes() {
    let house = House::new();
    for argument in ["--help", "-h", "--version", "-v", "doctor", "update"] {
        let launched = house.launch(&[argument]);
        assert_eq!(launched.arguments, [argument], "nothing is put in front");
        assert!(!launched.environment.contains_key("OTEL_METRICS_EXPORTER"), "{argument}");
    }
}

#[test]
fn commands_that_take_nothing_in_front_get_the_environment() {
    let house = House::new();
    for line in [&["mcp", "list"][..], &["remote-control"], &["--bg-spare", "x"]] {
        let launched = house.launch(line);
        assert_eq!(launched.own_arguments(), line);
        assert_eq!(launched.arguments.len(), line.len());
        assert_eq!(launched.environment["OTEL_LOGS_EXPORTER"], "otlp");
    }
    let launched = house.launch(&["agents", "--cwd", "."]);
    assert_eq!(launched.arguments[..2], ["agents", "--settings"]);
}

#[test]
fn the_exit_code_the_process_and_the_directory_are_claudes() {
    let mut house = House::new();
    house.set("FAKE_EXIT", "42");
    let launched = house.launch(&[]);
    assert_eq!(launched.output.status.code(), Some(42));
    assert_eq!(launched.pid, launched.spawned, "the wrapper has become claude");
    assert_eq!(launched.directory, house.directory);
    assert_eq!(launched.stderr(), "");
    assert_eq!(launched.output.stdout, b"");
}

#[test]
fn called_as_claude_by_a_link_it_is_the_wrapper() {
    let mut house = House::new();
    let shim = link(&house, "shims/claude");
    let path = format!("{}:{}", house.path("shims").display(), house.path("bin").display());
    house.set("PATH", format!("{path}:/usr/bin:/bin"));
    let launched = house.launched(house.command(shim).arg("-p"));
    assert_eq!(launched.own_arguments(), ["-p"]);
    let first = launched.environment["PATH"].split(':').next().unwrap().to_owned();
    assert_eq!(first, house.path("shims").display().to_string(), "a nested claude is counted too");
}

#[test]
fn wrap_runs_the_given_program_and_prints_nothing() {
    let house = House::new();
    let bundled = house.path("bundled/claude");
    std::fs::create_dir_all(bundled.parent().unwrap()).unwrap();
    std::fs::rename(house.path("bin/claude"), &bundled).unwrap();
    house.write("home/work/.ccotel.toml", "team = 5");
    let wrapper = link(&house, "other/ccotel-wrap");
    let launched = house.launched(house.command(wrapper).arg(&bundled).args(["-p", "--help"]));
    assert_eq!(launched.own_arguments(), ["-p", "--help"]);
    assert_eq!(launched.stderr(), "");
    let launched = house.launched(house.command(CCOTEL).arg("wrap").arg(&bundled).arg("--help"));
    assert_eq!(launched.own_arguments(), ["--help"]);
}
