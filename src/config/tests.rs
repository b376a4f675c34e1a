use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::destination::{Credentials, DestinationType, Protocol};
use super::layers::load_from;
use super::*;
use crate::paths::Paths;
use crate::store::handle::Since;

struct House {
    _dir: tempfile::TempDir,
    home: PathBuf,
    environment: HashMap<&'static str, &'static str>,
}

impl House {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap();
        Self { _dir: dir, home, environment: HashMap::new() }
    }

    fn user(&self, text: &str) -> Loaded {
        std::fs::write(self.home.join("config.toml"), text).unwrap();
        self.load()
    }

    fn organisation(&self, text: &str) {
        std::fs::write(self.home.join("organisation.toml"), text).unwrap();
    }

    fn paths(&self) -> Paths {
        Paths {
            config_dir: self.home.clone(),
            data_dir: self.home.join("data"),
            runtime_dir: self.home.join("run"),
            home: self.home.clone(),
        }
    }

    fn load(&self) -> Loaded {
        let variable = |name: &str| self.environment.get(name).map(OsString::from);
        load_from(&self.paths(), &self.home.join("organisation.toml"), &variable)
    }
}

#[test]
fn a_relative_path_in_the_copy_of_the_last_valid_file_is_beside_the_original() {
    let house = House::new();
    let text = "[[destination]]\nname = \"a\"\ntype = \"loki\"\nurl = \"http://a\"\nbearer_token_file = \"token\"\n";
    std::fs::create_dir_all(house.home.join("data/last-valid")).unwrap();
    std::fs::write(house.paths().last_valid_file(), text).unwrap();
    let config = super::read_last_valid(&house.paths()).unwrap();
    let wanted = Credentials::BearerFile(house.home.join("token"));
    assert_eq!(config.destinations[0].credentials, wanted);
}

/// Without the directory, which differs from run to run.
fn said(loaded: &Loaded) -> Vec<String> {
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    loaded
        .problems
        .iter()
        .map(|problem| Problem { file: name(&problem.file).into(), ..problem.clone() }.to_string())
        .collect()
}

#[test]
fn without_files_the_defaults_hold() {
    let loaded = House::new().load();
    assert_eq!(loaded.config.agent.listen, ["127.0.0.1:14318".parse().unwrap()]);
    assert_eq!(loaded.config.agent.max_disk_bytes, 512 << 20);
    assert_eq!(loaded.config.agent.history_days, 400);
    assert_eq!(loaded.config.privacy.level, PrivacyLevel::Standard);
    assert_eq!(loaded.origin("agent.listen"), Origin::BuiltIn);
    assert_eq!(said(&loaded), [""; 0]);
}

#[test]
fn the_layers_override_each_other_value_by_value() {
    let mut house = House::new();
    house
        .organisation("[agent]\nhistory_days = 30\nmax_disk = \"1 GiB\"\n[tags]\nteam = \"org\"\n");
    let loaded = house.user("team = \"mine\"\n[agent]\nhistory_days = 60\n");
    assert_eq!(loaded.config.agent.max_disk_bytes, 1 << 30);
    assert_eq!(loaded.config.agent.history_days, 60);
    assert_eq!(loaded.config.tags["team"], "mine");
    let origin = Origin::File { path: house.home.join("config.toml"), line: 3 };
    assert_eq!(loaded.origin("agent.history_days"), origin);
    house.environment.insert("CCOTEL_HISTORY_DAYS", "7");
    house.environment.insert("CCOTEL_LISTEN", "127.0.0.1:1, [::1]:2");
    let loaded = house.load();
    assert_eq!(loaded.config.agent.history_days, 7);
    assert_eq!(loaded.config.agent.listen.len(), 2);
    assert_eq!(loaded.origin("agent.history_days"), Origin::Environment("CCOTEL_HISTORY_DAYS"));
}

#[test]
fn a_wrong_value_costs_that_value_alone() {
    let house = House::new();
    let loaded = house.user(
        "[agent]\nlisten = [\"0.0.0.0:4318\"]\nhistory_days = \"x\"\nmax_disk = \"20 MiB\"\n\
         max_dsik = 1\naccept = \"all\"\n[tags]\njob = \"x\"\nteam = \"ok\"\n",
    );
    assert_eq!(loaded.config.agent.max_disk_bytes, 20 << 20);
    assert_eq!(loaded.config.tags.keys().collect::<Vec<_>>(), ["team"]);
    assert_eq!(
        said(&loaded),
        [
            "config.toml:8: `job` is a name that Prometheus owns; give the tag another name",
            "config.toml:2: `agent.listen` can only hold loopback addresses, and `0.0.0.0:4318` is \
             none",
            "config.toml:6: `agent.accept` must be \"claude-code\" or \"any\"",
            "config.toml:3: `agent.history_days` must be a whole number, and is a string; write a number, as in 20",
            "config.toml:5: unknown key `agent.max_dsik`; did you mean `max_disk`?",
        ]
    );
}

#[test]
fn a_file_that_is_no_toml_leaves_the_other_layers_but_tightens_privacy() {
    let house = House::new();
    house.organisation("[agent]\nhistory_days = 30\n[privacy]\nlevel = \"full\"\n");
    let loaded = house.user("[privacy\nlevel = \"minimal\"\n");
    assert_eq!(loaded.config.agent.history_days, 30);
    assert_eq!(loaded.config.privacy.level, PrivacyLevel::Minimal);
    assert!(said(&loaded)[0].starts_with("config.toml:1: not valid TOML"), "{:?}", said(&loaded));
    for level in ["\"tight\"", "3"] {
        let loaded = house.user(&format!("[privacy]\nlevel = {level}\n"));
        assert_eq!(loaded.config.privacy.level, PrivacyLevel::Minimal);
        assert!(loaded.problems.iter().any(Problem::is_error));
    }
}

#[test]
fn a_file_that_is_too_large_or_not_text_is_named() {
    let house = House::new();
    let loaded = house.user(&"#".repeat(2 << 20));
    assert!(said(&loaded)[0].starts_with("config.toml: larger than 1024 KiB"));
    std::fs::write(house.home.join("config.toml"), b"team = \"\xff\"").unwrap();
    assert!(said(&house.load())[0].starts_with("config.toml: not UTF-8"));
    std::fs::remove_file(house.home.join("config.toml")).unwrap();
    std::fs::create_dir(house.home.join("config.toml")).unwrap();
    assert!(said(&house.load())[0].starts_with("config.toml: not a regular file"));
}

#[test]
fn a_destination_with_everything() {
    let house = House::new();
    let loaded = house.user(
        r#"
        [privacy]
        level = "standard"
        [[destination]]
        name = "team-prom"
        type = "prometheus"
        url  = "https://prom.example.com/api/v1/write"
        protocol = "2.0"
        bearer_token_file = "~/token"
        headers = { "X-Extra" = "1" }
        tls = { ca = "ca.pem", cert = "/c.pem", key = "/k.pem" }
        tenant = "acme"
        privacy = "minimal"
        since = 2026-11-01T00:00:00Z
        [[destination]]
        name = "logs"
        type = "loki"
        url = "http://127.0.0.1:3100/loki/api/v1/push"
        basic_auth = { username = "me", password_file = "/p" }
        "#,
    );
    assert_eq!(said(&loaded), [""; 0]);
    let [prometheus, loki] = &loaded.config.destinations[..] else { panic!("two") };
    assert_eq!(prometheus.kind, DestinationType::Prometheus);
    assert_eq!(prometheus.protocol, Protocol::RemoteWrite2);
    assert_eq!(prometheus.credentials, Credentials::BearerFile(house.home.join("token")));
    assert_eq!(prometheus.headers, [("x-extra".to_owned(), "1".to_owned())]);
    assert_eq!(prometheus.tls.ca, Some(house.home.join("ca.pem")));
    assert_eq!(prometheus.tenant.as_deref(), Some("acme"));
    assert_eq!(prometheus.privacy, PrivacyLevel::Minimal);
    assert_eq!(prometheus.since, Since::Time(1_793_491_200_000));
    assert_eq!(loki.privacy, PrivacyLevel::Standard);
    assert_eq!(loaded.origin("destination.team-prom.url").line(), Some(7));
    let shown = serde_json::to_string(&show::entries(&loaded)).unwrap();
    assert!(shown.contains(r#"headers","value":{"x-extra":"********"}"#), "{shown}");
}

#[test]
fn a_wrong_destination_is_left_out_and_says_why() {
    let cases = [
        ("url = \"ftp://x\"", "`destination.url` must begin with http:// or https://"),
        ("url = \"https://u:p@x/\"", "`destination.url` must not hold credentials"),
        ("url = \"http://x\"\nprotocol = \"2.0\"", "a protocol that this type does not speak"),
        ("url = \"http://x\"\nprotocol = 2.0", "`destination.protocol` must be a string"),
        ("", "a destination without `url`"),
        ("url = \"http://x\"\nheaders = { Host = \"a\" }", "the header `Host` is set by"),
        ("url = \"http://x\"\nheaders = { a = 1 }", "`destination.headers.a` must be a string"),
        (
            "url = \"http://x\"\nbearer_token_file = \"/a\"\ntoken_command = \"b\"",
            "two credentials are given",
        ),
        ("url = \"http://x\"\nbasic_auth = \"me\"", "`destination.basic_auth` must be a table"),
        ("url = \"http://x\"\ntls = { cert = \"/c\" }", "`cert` and `key` go together"),
        ("url = \"http://x\"\nsince = \"7d\"", "`destination.since` must be"),
        ("url = \"http://x\"\nprivacy = \"none\"", "`destination.privacy` must be"),
    ];
    let house = House::new();
    for (lines, expected) in cases {
        let text = format!("[[destination]]\nname = \"x\"\ntype = \"loki\"\n{lines}\n");
        let loaded = house.user(&text);
        let errors: Vec<_> = loaded.problems.iter().filter(|problem| problem.is_error()).collect();
        assert!(loaded.config.destinations.is_empty(), "{lines}");
        assert_eq!(errors.len(), 1, "{lines}: {errors:?}");
        assert!(errors[0].what.contains(expected), "{lines}: {}", errors[0]);
    }
}

#[test]
fn names_are_unique_and_a_users_destination_replaces_the_organisations() {
    let house = House::new();
    let one =
        |url: &str| format!("[[destination]]\nname = \"x\"\ntype = \"otlp\"\nurl = \"{url}\"\n");
    house.organisation(&one("http://organisation"));
    let loaded = house.user(&one("http://mine"));
    assert_eq!(loaded.config.destinations.len(), 1);
    assert_eq!(loaded.config.destinations[0].url, "http://mine");
    let loaded = house.user(&format!("{}{}", one("http://a"), one("http://b")));
    assert_eq!(loaded.config.destinations[0].url, "http://a");
    assert!(said(&loaded)[0].starts_with("config.toml:5: a second destination is named `x`"));
}

#[test]
fn a_destination_cannot_be_wider_than_the_level() {
    let house = House::new();
    let loaded = house.user(
        "[[destination]]\nname = \"x\"\ntype = \"otlp\"\nurl = \"http://x\"\nprivacy = \"full\"\n",
    );
    assert_eq!(loaded.config.destinations[0].privacy, PrivacyLevel::Standard);
    assert!(said(&loaded)[0].starts_with("config.toml:5: `destination.x.privacy` is wider"));
}

#[test]
fn a_gateways_sender_is_whole_or_left_out() {
    let house = House::new();
    house.organisation("[gateway]\nlisten = [\"0.0.0.0:1\"]\nclient_ca = \"ca.crt\"\n[[gateway.sender]]\nname = \"a\"\nprivacy = \"minimal\"\n");
    let loaded = house.user(
        "[gateway]\ntls = { cert = \"tls.crt\", key = \"~/tls.key\" }\nurl = \"https://x:1/\"\n\
         [[gateway.sender]]\nname = \"b\"\ncertificate = \"b.example\"\ntags = { team = \"x\" }\n",
    );
    assert_eq!(said(&loaded), [""; 0]);
    let gateway = &loaded.config.gateway;
    assert_eq!(gateway.listen, ["0.0.0.0:1".parse().unwrap()]);
    assert_eq!(gateway.url.as_deref(), Some("https://x:1"));
    let names: Vec<_> = gateway.senders.iter().map(|sender| sender.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(gateway.senders[0].privacy, Some(PrivacyLevel::Minimal));
    assert_eq!(loaded.origin("gateway.sender.b").line(), Some(4));
    let cases = [
        ("listen = [\"4318\"]", "`gateway.listen` must hold addresses like \"0.0.0.0:4318\""),
        ("tls = { cert = \"/c\" }", "`gateway.tls` needs `cert` and `key`"),
        ("url = \"x\"", "`gateway.url` must begin with"),
        ("tls_ended_by_proxy = \"yes\"", "must be true or false"),
        ("[[gateway.sender]]", "a sender without `name`"),
        ("[[gateway.sender]]\nname = \"A\"", "`gateway.sender.name` must be 1 to 63"),
        ("[[gateway.sender]]\nname = \"a\"\nprivacy = \"none\"", "`gateway.sender.privacy`"),
        ("[[gateway.sender]]\nname = \"a\"\ncertificate = \"\"", "must have 1 to 253 bytes"),
        ("[[gateway.sender]]\nname = \"a\"\ntags = { sender = \"b\" }", "a name that ccotel owns"),
    ];
    for (lines, expected) in cases {
        let house = House::new();
        let loaded = house.user(&format!("[gateway]\n{lines}\n"));
        let errors: Vec<_> = loaded.problems.iter().filter(|problem| problem.is_error()).collect();
        assert!(loaded.config.gateway.senders.is_empty(), "{lines}");
        assert_eq!(errors.len(), 1, "{lines}: {errors:?}");
        assert!(errors[0].what.contains(expected), "{lines}: {}", errors[0]);
    }
}
