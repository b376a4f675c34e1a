//! `ccotel connect` and `disconnect`, as typed.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use libtest_mimic::Trial;

use super::server::{Server, status as reply};

pub fn trials() -> Vec<Trial> {
    let trial = |name: &str, test: fn()| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    vec![
        trial("connect::checks_completes_and_writes", writes),
        trial("connect::a_wrong_address_is_refused_in_words", refuses),
        trial("connect::the_agent_itself_is_refused", refuses_itself),
        trial("connect::an_unreachable_one_is_written", offline),
        trial("connect::wrong_use_is_one_sentence_and_code_2", wrong_use),
        trial("connect::disconnect_removes_and_asks", disconnects),
    ]
}

fn ccotel(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ccotel"))
        .args(arguments)
        .env("CCOTEL_CONFIG_DIR", dir)
        .env("CCOTEL_DATA_DIR", dir)
        .env("CCOTEL_RUNTIME_DIR", dir)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn config(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("config.toml")).unwrap_or_default()
}

fn writes() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.toml"), "# mine\n").unwrap();
    let loki = "error at least one valid stream is required for ingestion";
    let server = Server::start(vec![reply(204), reply(422).body(loki)], reply(200));
    let output = ccotel(dir.path(), &["connect", "prometheus", &server.url(""), "--name", "team"]);
    assert!(output.status.success(), "{output:?}");
    assert!(text(&output.stdout).contains("takes data"));
    let output = ccotel(dir.path(), &["connect", "loki", &server.url(""), "--since", "all"]);
    assert!(output.status.success(), "{output:?}");
    let output = ccotel(dir.path(), &["connect", "otlp", &server.url("/otlp")]);
    assert!(output.status.success(), "{output:?}");
    let paths: Vec<_> = server.wait_for(5).into_iter().map(|request| request.path).collect();
    assert_eq!(paths[..2], ["/api/v1/write", "/loki/api/v1/push"]);
    assert_eq!(paths[2..], ["/otlp/v1/metrics", "/otlp/v1/logs", "/otlp/v1/traces"]);
    let config = config(dir.path());
    assert!(config.starts_with("# mine\n"), "{config}");
    assert!(config.contains("name = \"team\"") && config.contains("name = \"loki-127-0-0-1\""));
    assert!(config.contains(&format!("url = \"{}\"", server.url("/api/v1/write"))));
    assert!(config.contains("since = \"all\""));
}

fn refuses() {
    let page = reply(200).with("content-type", "text/html").body("<html>");
    let flag = "remote write receiver needs to be enabled with --web.enable-remote-write-receiver";
    let table = [
        (reply(404).body(flag), "start it with --web.enable-remote-write-receiver"),
        (reply(404), "not a remote_write endpoint"),
        (reply(401), "wants credentials"),
        (page, "web page"),
    ];
    for (answer, words) in table {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(Vec::new(), answer);
        let output = ccotel(dir.path(), &["connect", "prometheus", &server.url("")]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(text(&output.stderr).contains(words), "{output:?}");
        assert_eq!(config(dir.path()), "");
        let output = ccotel(dir.path(), &["connect", "prometheus", &server.url(""), "--no-check"]);
        assert!(output.status.success(), "{output:?}");
        assert!(config(dir.path()).contains("[[destination]]"));
    }
}

fn refuses_itself() {
    let dir = tempfile::tempdir().unwrap();
    for url in ["http://127.0.0.1:14318", "http://localhost:14318/v1/logs", "http://0.0.0.0:14318"]
    {
        for more in [&[][..], &["--no-check"]] {
            let output = ccotel(dir.path(), &[&["connect", "otlp", url], more].concat());
            assert_eq!(output.status.code(), Some(1), "{url} {output:?}");
            assert!(text(&output.stderr).contains("is this agent itself"), "{output:?}");
            assert_eq!(config(dir.path()), "");
        }
    }
}

fn offline() {
    let dir = tempfile::tempdir().unwrap();
    let output = ccotel(dir.path(), &["connect", "loki", "http://127.0.0.1:1"]);
    assert!(output.status.success(), "{output:?}");
    let words = text(&output.stdout);
    assert!(words.contains("refused") && words.contains("waits on disk"), "{words}");
    assert!(config(dir.path()).contains("http://127.0.0.1:1/loki/api/v1/push"));
}

fn wrong_use() {
    let dir = tempfile::tempdir().unwrap();
    let first = ["connect", "prometheus", "http://127.0.0.1:1", "--name", "a", "--no-check"];
    assert!(ccotel(dir.path(), &first).status.success());
    let long = "x".repeat(151);
    let many: Vec<String> = (0..100).map(|number| format!("--header=X-{number}=x")).collect();
    let mut headers = vec!["connect", "loki", "http://h", "--no-check"];
    headers.extend(many.iter().map(String::as_str));
    let table: &[(&[&str], &str)] = &[
        (&first, "--name a-2"),
        (&["connect", "prometheus", "localhost:9090"], "http:// or https://"),
        (&["connect", "loki", "http://h", "--protocol", "2.0"], "auto, otlp"),
        (&["connect", "loki", "http://h", "--since", "soon"], "no time"),
        (&["connect", "loki", "http://h", "--privacy", "full"], "only be tighter"),
        (&["connect", "loki", "http://h", "--bearer-token-file", "/nonexistent"], "no file"),
        (&["connect", "grafana", "http://h"], "prometheus"),
        (&["connect", "loki", "http://h", "--no-check", "--name", "TeamProm"], "a-z 0-9"),
        (&["connect", "loki", "http://h", "--no-check", "--tenant", &long], "150 characters"),
        (&["connect", "loki", "http://h", "--header", "Connection=x"], "set by the protocol"),
        (&headers, "more than"),
        (&["disconnect", "b", "--yes"], "there are: a"),
    ];
    let before = config(dir.path());
    for (arguments, words) in table {
        let output = ccotel(dir.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?} {output:?}");
        assert!(text(&output.stderr).contains(words), "{arguments:?} {output:?}");
        assert_eq!(config(dir.path()), before, "{arguments:?}");
    }
}

fn disconnects() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        let arguments = ["connect", "loki", "http://127.0.0.1:1", "--name", name, "--no-check"];
        assert!(ccotel(dir.path(), &arguments).status.success());
    }
    // There is a store, and no agent to say what waits in it.
    std::fs::write(dir.path().join("queue.db"), "").unwrap();
    let before = config(dir.path());
    let output = ccotel(dir.path(), &["disconnect", "a"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains("--yes"));
    assert_eq!(config(dir.path()), before);
    let output = ccotel(dir.path(), &["disconnect", "a", "--yes"]);
    assert!(output.status.success(), "{output:?}");
    let after = config(dir.path());
    assert!(!after.contains("name = \"a\"") && after.contains("name = \"b\""), "{after}");
}
