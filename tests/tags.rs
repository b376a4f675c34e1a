//! `.ccotel.toml` as a launch and as `ccotel tags` see it: whatever is in it, Claude Code starts.

use serde_json::json;

mod house;
use house::House;

const FILE: &str = "home/work/checkout/.ccotel.toml";

/// Writes the file, launches, and returns the attributes and what is said of the file.
fn launched(house: &House, text: impl AsRef<[u8]>) -> (Vec<String>, Vec<String>) {
    house.write(FILE, text);
    let attributes = house.launch(&["-p"]).attributes();
    let tags: Vec<String> = attributes
        .iter()
        .filter(|(key, _)| !key.starts_with("ccotel."))
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let document = house.json(&["tags", "--json"]);
    let problems = document["problems"].as_array().expect("a list");
    let words = problems.iter().map(|problem| {
        let line = problem["line"].as_u64().map_or(String::new(), |line| format!("{line}: "));
        format!("{line}{}", problem["what"].as_str().expect("words"))
    });
    (tags, words.collect())
}

#[test]
fn a_file_tags_a_session() {
    let house = House::new();
    let (tags, problems) = launched(
        &house,
        "team = \"payments\"\nproject = \"shop\"\n[tags]\ncost_center = \"a; b\"\n",
    );
    assert_eq!(tags, ["cost_center=a%3B%20b", "project=shop", "team=payments"]);
    assert_eq!(problems, [""; 0]);
}

#[test]
fn a_wrong_type_silences_the_file() {
    let house = House::new();
    let (tags, problems) = launched(&house, "project = \"x\"\nteam = [\"payments\"]\n");
    assert_eq!(tags, ["project=checkout"]);
    assert_eq!(problems, ["2: `team` must be a string, and is a list"]);
}

#[test]
fn an_unknown_key_is_a_warning() {
    let house = House::new();
    let (tags, problems) = launched(&house, "team = \"payments\"\nprojetc = \"x\"\n");
    assert_eq!(tags, ["project=checkout", "team=payments"]);
    assert_eq!(problems, ["2: unknown key `projetc`"]);
    let document = house.json(&["tags", "--json"]);
    assert_eq!(document["problems"][0]["remedy"], "did you mean `project`?");
    assert_eq!(document["problems"][0]["severity"], "warning");
}

#[test]
fn what_would_collect_or_send_is_not_understood() {
    let house = House::new();
    let (_, problems) = launched(
        &house,
        "endpoint = \"https://evil\"\n[headers]\na = \"b\"\n[[destination]]\nname = \"x\"\n",
    );
    assert_eq!(problems.len(), 3);
    assert!(problems.iter().all(|what| what.contains("unknown key")), "{problems:?}");
}

#[test]
fn a_file_of_2_mb_or_not_of_text_is_ignored() {
    let house = House::new();
    let (tags, problems) = launched(&house, "#".repeat(2 << 20));
    assert_eq!(tags, ["project=checkout"]);
    assert_eq!(problems, ["larger than 64 KiB"]);
    let (tags, problems) = launched(&house, b"team = \"\xff\xfe\"");
    assert_eq!(tags, ["project=checkout"]);
    assert_eq!(problems, ["not UTF-8"]);
}

#[test]
fn a_link_out_of_the_project_is_ignored() {
    let house = House::new();
    let outside = house.write("home/secret.toml", "team = \"secret\"");
    std::os::unix::fs::symlink(outside, house.path(FILE)).unwrap();
    let document = house.json(&["tags", "--json"]);
    assert_eq!(document["team"], json!(null));
    assert!(document["problems"][0]["what"].as_str().unwrap().contains("leads out of the project"));
    house.launch(&["-p"]);
}

#[test]
fn a_link_within_the_checkout_is_followed() {
    let house = House::new();
    house.write("home/work/.git/HEAD", "ref: refs/heads/main\n");
    let shared = house.write("home/work/shared.toml", "team = \"shared\"");
    std::os::unix::fs::symlink(shared, house.path(FILE)).unwrap();
    assert_eq!(house.json(&["tags", "--json"])["team"], "shared");
}

#[test]
fn a_fifo_hangs_nothing() {
    let house = House::new();
    let status = house.command("/usr/bin/mkfifo").arg(house.path(FILE)).status().unwrap();
    assert!(status.success());
    house.launch(&["-p"]);
    let document = house.json(&["tags", "--json"]);
    assert_eq!(document["problems"][0]["what"], "not a regular file");
}

#[test]
fn of_forty_tags_sixteen_hold() {
    use std::fmt::Write as _;
    let house = House::new();
    let mut text = "[tags]\n".to_owned();
    for index in 0..40 {
        writeln!(text, "t{index:02} = \"x\"").unwrap();
    }
    let (tags, problems) = launched(&house, text);
    assert_eq!(tags.len(), 16);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("17: more than 16 tags; `t15`, `t16`, "), "{problems:?}");
    assert!(problems[0].contains("`t38`, `t39` are left out"), "{problems:?}");
}

#[test]
fn a_repository_tightens_privacy_and_never_widens_it() {
    let house = House::new();
    let level = |text: &str| {
        house.write(FILE, text);
        let attribute = house.launch(&["-p"]).attributes()["ccotel.privacy"].clone();
        let document = house.json(&["tags", "--json"]);
        assert_eq!(document["privacy"]["level"], attribute.as_str());
        attribute
    };
    assert_eq!(level("[privacy]\nlevel = \"minimal\"\n"), "minimal");
    assert_eq!(level("[privacy]\nlevel = \"full\"\n"), "standard");
    assert_eq!(level("team = 5\n[privacy]\nlevel = \"minimal\"\n"), "minimal");
    house.config("[privacy]\nlevel = \"minimal\"\n");
    assert_eq!(level("[privacy]\nlevel = \"full\"\n"), "minimal");
    house.config("[privacy]\nlevel = \"full\"\n");
    assert_eq!(level("team = \"x\"\n"), "full");
    assert_eq!(level("[privacy]\nlevel = \"standard\"\n"), "standard");
}

#[test]
fn tags_name_the_file_each_came_from() {
    let mut house = House::new();
    house.config("team = \"platform\"\n");
    house.write("home/work/.ccotel.toml", "\n[tags]\ncost_center = \"cc\"\n");
    house.write("home/.claude/settings.json", r#"{"env":{"OTEL_RESOURCE_ATTRIBUTES":"env=dev"}}"#);
    house.set("CCOTEL_TAGS", "squad=blue");
    let document = house.json(&["tags", "--json"]);
    let path = |below: &str| house.path(below).display().to_string();
    assert_eq!(document["schema"], 1);
    assert_eq!(document["directory"], path("home/work/checkout"));
    let expected = json!({
        "cost_center": {"value": "cc", "source": path("home/work/.ccotel.toml"), "line": 3},
        "env": {
            "value": "dev",
            "source": format!("OTEL_RESOURCE_ATTRIBUTES of {}", path("home/.claude/settings.json")),
            "line": null,
        },
        "project": {"value": "checkout", "source": "automatic: the folder's name", "line": null},
        "squad": {"value": "blue", "source": "CCOTEL_TAGS", "line": null},
        "team": {"value": "platform", "source": path("config/config.toml"), "line": 1},
    });
    assert_eq!(document["tags"], expected);
    assert_eq!(document["team"], "platform");
    assert_eq!(document["files"][0], path("home/work/.ccotel.toml"));
    let text = String::from_utf8(house.run(&["tags"]).stdout).unwrap();
    assert!(text.contains(&format!("{}:3", path("home/work/.ccotel.toml"))), "{text}");
}

#[test]
fn config_check_names_file_and_line() {
    let house = House::new();
    assert_eq!(house.run(&["config", "check"]).status.code(), Some(0));
    house.write(FILE, "team = 5");
    let output = house.run(&["config", "check"]);
    assert_eq!(output.status.code(), Some(1));
    let place = format!("error: {}:1: `team` must be", house.path(FILE).display());
    assert!(String::from_utf8(output.stdout).unwrap().starts_with(&place));
    house.write(FILE, "");
    house.config("[privacy]\nlevel = \"none\"\n");
    let output = house.run(&["config", "check"]);
    assert_eq!(output.status.code(), Some(1));
    let stdout = String::from_utf8(output.stdout).unwrap();
    let place =
        format!("error: {}:2: `privacy.level` must be", house.path("config/config.toml").display());
    assert!(stdout.starts_with(&place), "{stdout}");
    let document = house.json(&["config", "check", "--json"]);
    assert_eq!(document["valid"], false);
    assert_eq!(document["problems"][0]["line"], 2);
}

#[test]
fn config_show_lists_every_value_and_masks_headers() {
    let house = House::new();
    house.config(
        "[[destination]]\nname = \"x\"\ntype = \"otlp\"\nurl = \"https://x\"\n\
         headers = { \"x-key\" = \"hush\" }\n",
    );
    let document = house.json(&["config", "show", "--json"]);
    let values = document["values"].as_array().unwrap();
    let value = |key: &str| values.iter().find(|entry| entry["key"] == key).unwrap();
    assert_eq!(value("destination.x.url")["line"], 4);
    assert_eq!(value("agent.history_days")["source"], "built-in");
    assert!(document["limits"].as_array().unwrap().len() > 5);
    for arguments in [&["config", "show"][..], &["config", "show", "--json"]] {
        let output = house.run(arguments);
        assert!(!String::from_utf8(output.stdout).unwrap().contains("hush"));
    }
}
