//! A data directory on a disk that cannot be written, or not any more.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::house::House;
use crate::otlp::{self, RECORDS};

pub const CASES: &[(&str, fn())] = &[
    ("a_read_only_data_directory_stops_nothing", read_only),
    ("a_full_disk_stops_nothing", full_from_the_start),
    ("a_disk_that_fills_up_refuses_until_there_is_room", fills_up),
];

/// Longest that an agent may take to go on.
const DEADLINE: Duration = Duration::from_mins(1);

fn read_only() {
    let house = House::new();
    mount(&house, "mode=700,ro");
    let says = "the file system is read-only";
    assert_not_counted(&house, says);
    let stopped = house.run(&["agent", "start"]);
    let words = String::from_utf8(stopped.stderr).unwrap();
    assert!(words.contains(says) && words.contains("CCOTEL_DATA_DIR"), "{words}");
    unmount(&house);
    assert_counted_again(&house);
}

fn full_from_the_start() {
    let house = House::new();
    mount(&house, "mode=700,size=64k");
    fill(&house);
    assert_not_counted(&house, "the disk is full; make room on this disk");
    std::fs::remove_file(house.path("data/filler")).unwrap();
    unmount(&house);
    assert_counted_again(&house);
}

fn fills_up() {
    let house = House::new();
    mount(&house, "mode=700,size=32m");
    std::fs::write(house.path("data/filler"), vec![0; 29 << 20]).unwrap();
    assert!(house.run(&["agent", "start"]).status.success());
    let endpoint = otlp::endpoint(&house);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut accepted = 0;
    let refused = (0..10_000).find_map(|number| {
        let answered = runtime.block_on(otlp::send(&endpoint, number));
        accepted += u64::from(answered.status == 200);
        (answered.status != 200).then_some(answered)
    });
    let refused = refused.expect("3 MB are full some time");
    assert_eq!((refused.status, refused.retry_after.as_deref()), (503, Some("1")));
    assert!(accepted > 10, "{accepted}");
    let status = String::from_utf8(house.run(&["status"]).stdout).unwrap();
    assert!(status.contains("turned away") && status.contains("the disk is full"), "{status}");
    assert!(house.launch(&["-p"]).output.status.success(), "Claude Code starts");

    std::fs::remove_file(house.path("data/filler")).unwrap();
    let deadline = Instant::now() + DEADLINE;
    while runtime.block_on(otlp::send(&endpoint, 10_000)).status != 200 {
        assert!(Instant::now() < deadline, "it does not go on");
    }
    accepted += 1;
    let report = house.json(&["report", "--json"]);
    assert_eq!(report["total"]["requests"], accepted * RECORDS, "{report}");
    let status = house.json(&["status", "--json"]);
    assert_eq!(status["records"]["received"], accepted * RECORDS, "{status}");
    assert_eq!(status["worker"]["restarts"], 0, "{status}");
    assert!(!status["warnings"].to_string().contains("the history is behind"), "{status}");
}

/// Two launches: Claude Code starts as it would alone, and it is told where a user looks.
fn assert_not_counted(house: &House, says: &str) {
    let shown = house.on_terminal(&["hello"]);
    assert_eq!(shown.lines().count(), 1, "{shown}");
    assert!(shown.contains("this session is not counted") && shown.contains(says), "{shown}");
    assert!(shown.contains("CCOTEL_DATA_DIR"), "a remedy: {shown}");
    let launched = house.launch(&["-p", "hello"]);
    assert_eq!(launched.own_arguments(), ["-p", "hello"]);
    assert_eq!(launched.stderr(), "", "a script must not see a line");
    assert!(!launched.environment.keys().any(|name| name.starts_with("OTEL_")));
    let problems = house.launch_problems();
    assert!(problems[0].contains(says.split(';').next().unwrap()), "{problems:?}");
    let status = house.run(&["status"]);
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.contains("at 2 launches: this session is not counted"), "{status}");
}

fn assert_counted_again(house: &House) {
    let launched = house.launch(&["-p"]);
    assert!(launched.variable("OTEL_EXPORTER_OTLP_ENDPOINT").is_some());
    let status = String::from_utf8(house.run(&["status"]).stdout).unwrap();
    assert!(status.contains("at 2 launches"), "what was not counted stays said: {status}");
}

fn mount(house: &House, options: &str) {
    let data = house.path("data");
    std::fs::create_dir_all(&data).unwrap();
    run(Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(data));
}

fn unmount(house: &House) {
    run(Command::new("umount").arg(house.path("data")));
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

/// Until nothing more can be written.
fn fill(house: &House) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(house.path("data/filler")).unwrap();
    while file.write_all(&[0; 1024]).is_ok() {}
}
