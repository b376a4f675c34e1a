//! Which program is the real one.

use std::os::unix::fs::PermissionsExt;

use crate::house::{CCOTEL, House, link};

#[test]
fn without_a_claude_it_says_where_it_looked() {
    let house = House::new();
    std::fs::remove_file(house.path("bin/claude")).unwrap();
    let output = house.run(&["claude", "-p"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(127));
    for place in ["bin/claude", "home/.local/bin/claude", "home/.claude/local/claude"] {
        assert!(stderr.contains(&house.path(place).display().to_string()), "{stderr}");
    }
    assert!(stderr.contains("npm install -g @anthropic-ai/claude-code"), "{stderr}");
    assert!(stderr.contains("ccotel demo"), "{stderr}");
}

#[test]
fn the_places_of_the_installers_are_tried_last() {
    let house = House::new();
    for place in ["home/.local/bin/claude", "home/.claude/local/claude"] {
        let path = house.path(place);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::rename(house.path("bin/claude"), &path).unwrap();
        house.launch(&["-p"]);
        std::fs::rename(&path, house.path("bin/claude")).unwrap();
    }
}

#[test]
fn a_claude_that_cannot_be_executed_is_126() {
    let mut house = House::new();
    let path = house.path("bin/claude");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    assert_eq!(house.run(&["claude"]).status.code(), Some(126));
    house.set("CCOTEL_CLAUDE", &path);
    let output = house.run(&["claude"]);
    assert_eq!(output.status.code(), Some(126));
    assert!(String::from_utf8(output.stderr).unwrap().contains("chmod +x"));
}

#[test]
fn a_named_claude_wins_over_path() {
    let mut house = House::new();
    let other = house.path("other-claude");
    std::fs::rename(house.path("bin/claude"), &other).unwrap();
    house.executable("bin/claude", "#!/bin/sh\nexit 9\n");
    house.set("CCOTEL_CLAUDE", &other);
    assert_eq!(house.launch(&[]).output.status.code(), Some(0));
    house.set("CCOTEL_CLAUDE", house.path("nowhere"));
    assert_eq!(house.run(&["claude"]).status.code(), Some(127));
}

#[test]
fn a_relative_directory_of_path_stays_where_it_is() {
    let mut house = House::new();
    link(&house, "home/work/checkout/claude");
    let path = format!("/usr/bin:.::{}:/bin", house.path("bin").display());
    house.set("PATH", &path);
    let launched = house.launch(&["-p"]);
    assert_eq!(launched.environment["PATH"], path);
}

#[test]
fn wrappers_that_call_each_other_end_with_an_error() {
    let house = House::new();
    house.executable("bin/claude", &format!("#!/bin/sh\nexec {CCOTEL} claude \"$@\"\n"));
    let output = house.run(&["claude", "-p"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("CCOTEL_CLAUDE"));
}

#[test]
fn disabled_it_is_a_plain_exec() {
    let mut house = House::new();
    house.set("CCOTEL_DISABLE", "1").set("OTEL_RESOURCE_ATTRIBUTES", "as=it is");
    let launched = house.launch(&["-p", "--settings", "x"]);
    assert_eq!(launched.arguments, ["-p", "--settings", "x"]);
    assert_eq!(launched.environment["OTEL_RESOURCE_ATTRIBUTES"], "as=it is");
    assert!(!house.path("data").exists(), "nothing is written");
}
