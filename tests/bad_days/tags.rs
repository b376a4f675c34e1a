//! A `.ccotel.toml` that is wrong: Claude Code starts, and a terminal is told file, line and remedy.

use std::fmt::Write as _;
use std::os::unix::fs::chown;

use crate::house::House;

pub const CASES: &[(&str, fn())] = &[
    ("a_wrong_ccotel_toml_is_told_with_file_line_and_remedy", told),
    ("values_of_any_kind_reach_claude_code_whole", any_value),
];

pub const ROOT_CASE: (&str, fn()) = ("a_ccotel_toml_of_another_user_is_told", of_another_user);

const FILE: &str = "home/work/checkout/.ccotel.toml";

/// The file, where in it, what is said, and what there is to do.
fn wrong() -> Vec<(Vec<u8>, &'static str, &'static str)> {
    let mut forty = "[tags]\n".to_owned();
    for index in 0..40 {
        writeln!(forty, "t{index:02} = \"x\"").unwrap();
    }
    vec![
        (b"team = 5\n".into(), ":1: `team` must be a string", "write it as \"…\""),
        (b"root = true\nteem = \"a\"\n".into(), ":2: unknown key `teem`", "did you mean `team`?"),
        (vec![b' '; 2 << 20], ": larger than 64 KiB", "make it smaller"),
        (b"team = \"\xff\xfe\"\n".into(), ": not UTF-8", "save it as UTF-8"),
        (b"\nteam = \"a\n".into(), ":2: not valid TOML", "mend this line"),
        (b"team = \"\"\n".into(), ":1: the tag `team` has no value", "remove it"),
        (b"[tags]\njob = \"x\"\n".into(), ":2: `job` is a name that Prometheus owns", "another"),
        (forty.into_bytes(), ":17: more than 16 tags", "keep the ones you query by"),
    ]
}

fn told() {
    for (text, says, remedy) in wrong() {
        let house = House::new();
        house.write(FILE, text);
        let shown = house.on_terminal(&["hello"]);
        assert_eq!(shown.lines().count(), 1, "{says}: {shown}");
        assert!(shown.contains(&format!(".ccotel.toml{says}")), "{shown}");
        assert!(shown.contains(remedy), "{shown}");
        for command in ["tags", "status"] {
            let said = String::from_utf8(house.run(&[command]).stdout).unwrap();
            assert!(said.contains(says) && said.contains(remedy), "{command}: {said}");
        }
        house.write(FILE, "team = \"payments\"\n");
        house.launch(&["-p"]);
        assert_eq!(house.launch_problems(), [""; 0], "mended: {says}");
    }
}

fn of_another_user() {
    let house = House::new();
    let file = house.write(FILE, "team = \"theirs\"\n");
    chown(&file, Some(65_534), None).unwrap();
    let shown = house.on_terminal(&["hello"]);
    assert!(shown.contains(".ccotel.toml: belongs to another user (id 65534)"), "{shown}");
    assert!(shown.contains("`chown`"), "{shown}");
    assert!(!house.launch(&["-p"]).attributes().contains_key("team"));
}

fn any_value() {
    let house = House::new();
    house
        .write(FILE, "team = \"a; b c\"\nproject = \"p,q=r\"\n[tags]\ncity = \"Zürich ☕ 100%\"\n");
    let launched = house.launch(&["-p"]);
    let attributes = launched.attributes();
    assert_eq!(attributes["team"], "a%3B%20b%20c");
    assert_eq!(attributes["project"], "p%2Cq%3Dr");
    assert_eq!(attributes["city"], "Z%C3%BCrich%20%E2%98%95%20100%25");
    assert_eq!(house.launch_problems(), [""; 0]);
}
