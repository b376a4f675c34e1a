use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::config::destination::Tls;

fn destination(name: &str) -> DestinationConfig {
    DestinationConfig::new(
        name.to_owned(),
        DestinationType::Prometheus,
        "http://localhost:9090/api/v1/write",
    )
}

const WRITTEN_BY_HAND: &str = "# mine\n[tags]\nteam = \"platform\" # us\n\n\
    # the old one\n[[destination]]\nname = \"old\"\ntype = \"loki\"\nurl = \"http://l\"\n";

#[test]
fn another_address_leaves_all_else_of_a_destination() {
    let text = "# \"http://b\"\n[[destination]]\nname = \"a\"\nurl = \"http://a\" # here\nprivacy = \"minimal\"\n";
    let mut file = ConfigFile::of_text(Path::new("config.toml"), text).unwrap();
    assert_eq!(file.destination_url("a"), Some("http://a"));
    assert_eq!(file.destination_url("b"), None);
    assert!(!file.set_destination_url("b", "http://b"));
    assert!(file.set_destination_url("a", "http://b"));
    assert_eq!(file.to_string(), text.replace("http://a", "http://b"));
}

#[test]
fn adding_and_removing_keeps_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sub/config.toml");
    std::fs::create_dir(dir.path().join("sub")).unwrap();
    std::fs::write(&path, WRITTEN_BY_HAND).unwrap();
    let mut file = ConfigFile::open(&path).unwrap();
    file.add_destination(&destination("new")).unwrap();
    file.save().unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with(WRITTEN_BY_HAND), "{text}");
    assert!(text.ends_with(
        "[[destination]]\nname = \"new\"\ntype = \"prometheus\"\n\
         url = \"http://localhost:9090/api/v1/write\"\nsince = \"now\"\n"
    ));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(dir.path().join("sub")).unwrap().count(), 1);

    let mut file = ConfigFile::open(&path).unwrap();
    assert_eq!(file.destination_names(), ["old", "new"]);
    assert!(file.remove_destination("new"));
    assert!(!file.remove_destination("new"));
    assert_eq!(file.to_string().trim_end(), WRITTEN_BY_HAND.trim_end());
}

#[test]
fn comments_at_the_end_stay_above_what_is_added() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    for text in ["# mine\n", "[tags]\nteam = \"a\"\n# the end\n"] {
        std::fs::write(&path, text).unwrap();
        let mut file = ConfigFile::open(&path).unwrap();
        file.add_destination(&destination("new")).unwrap();
        assert!(file.to_string().starts_with(&format!("{text}\n[[destination]]")), "{file}");
    }
}

#[test]
fn everything_that_can_be_stated_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = ConfigFile::open(&dir.path().join("config.toml")).unwrap();
    let mut full = destination("full");
    full.protocol = Protocol::RemoteWrite2;
    full.credentials = Credentials::Basic { username: "me".to_owned(), password_file: "/p".into() };
    full.headers = vec![("X-A".to_owned(), "b \"c\"".to_owned())];
    full.tenant = Some("t".to_owned());
    full.tls = Tls { ca: Some("/ca".into()), cert: None, key: None };
    full.since = Since::Time(1_795_262_400_000);
    file.add_destination(&full).unwrap();
    set_privacy(&mut file, PrivacyLevel::Minimal);
    let read: toml::Table = toml::from_str(&file.to_string()).unwrap();
    let table = &read["destination"].as_array().unwrap()[0];
    assert_eq!(table["protocol"].as_str(), Some("2.0"));
    assert_eq!(table["basic_auth"]["password_file"].as_str(), Some("/p"));
    assert_eq!(table["headers"]["X-A"].as_str(), Some("b \"c\""));
    assert_eq!(table["tenant"].as_str(), Some("t"));
    assert_eq!(table["tls"]["ca"].as_str(), Some("/ca"));
    assert_eq!(table["since"].as_str(), Some("2026-11-21T12:00:00Z"));
    assert_eq!(table["privacy"].as_str(), Some("minimal"));
}

#[test]
fn what_cannot_be_edited_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    std::fs::write(&path, "[tags\n").unwrap();
    let error = ConfigFile::open(&path).err().unwrap().to_string();
    assert!(error.contains("not valid TOML") && error.contains("config.toml"), "{error}");
    std::fs::write(&path, "destination = 3\n").unwrap();
    let mut file = ConfigFile::open(&path).unwrap();
    assert!(file.destination_names().is_empty());
    assert!(matches!(file.add_destination(&destination("a")), Err(EditError::NotTables { .. })));
}
