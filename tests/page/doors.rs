//! Who is let in, asked without a browser: other names of this host, other users, other pages, stale
//! tokens, and requests that are none.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::Case;
use crate::house::{House, Past};

pub const CASES: &[Case] = &[
    ("the_token_of_this_worker_opens_the_api", the_token_of_this_worker_opens_the_api),
    ("other_names_of_the_host_are_refused", other_names_of_the_host_are_refused),
    ("other_pages_are_refused", other_pages_are_refused),
    ("what_is_served_to_everybody_holds_no_data", what_is_served_to_everybody_holds_no_data),
    ("the_page_may_run_only_its_own_scripts", the_page_may_run_only_its_own_scripts),
    ("requests_that_are_none_are_refused", requests_that_are_none_are_refused),
    ("the_page_and_the_report_say_the_same", the_page_and_the_report_say_the_same),
    ("pages_that_wait_for_news_are_limited", pages_that_wait_for_news_are_limited),
];

/// To be somebody else takes root.
pub const CASES_AS_ROOT: &[Case] = &[("another_user_is_refused", another_user_is_refused)];

const PATIENCE: Duration = Duration::from_secs(20);
const API: [&str; 8] =
    ["overview", "filters", "sessions", "session?id=x", "tools", "models", "health", "live"];

/// The status and the whole answer of a request that is written out.
fn ask(house: &House, request: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(house.host())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.with_context(|| format!("an answer: {answer:?}"))?, answer))
}

fn get(house: &House, path: &str, headers: &[(&str, &str)]) -> Result<(u16, String)> {
    let mut request = format!("GET {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request.push_str(&format!("Host: {}\r\n", house.host()));
    }
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    ask(house, &(request + "\r\n"))
}

fn api(house: &House, path: &str, headers: &[(&str, &str)]) -> Result<(u16, String)> {
    let bearer = format!("Bearer {}", house.token());
    let mut all = vec![("Authorization", bearer.as_str())];
    all.extend(headers);
    get(house, &format!("/api/v1/{path}"), &all)
}

fn document(house: &House, path: &str) -> Result<Value> {
    let (status, answer) = api(house, path, &[])?;
    ensure!(status == 200, "{path}: {answer}");
    let (_, body) = answer.split_once("\r\n\r\n").context("a body")?;
    Ok(serde_json::from_str(body)?)
}

fn the_token_of_this_worker_opens_the_api() -> Result<()> {
    let house = House::open(Past::MadeUp)?;
    for path in API {
        let wanted = if path.starts_with("session?") { 404 } else { 200 };
        let (status, answer) = api(&house, path, &[])?;
        ensure!(status == wanted, "{path}: {answer}");
        let (status, answer) = get(&house, &format!("/api/v1/{path}"), &[])?;
        ensure!(status == 401 && answer.contains("run `ccotel open` again"), "{path}: {answer}");
    }
    // A token of before, one cut short, and the one that Claude Code has.
    let otlp = std::fs::read_to_string(house.sandbox.data_dir().join("token"))?;
    for token in ["0".repeat(32), house.token()[..31].to_owned(), otlp, String::new()] {
        let header = format!("Bearer {token}");
        let (status, answer) = get(&house, "/api/v1/tools", &[("Authorization", &header)])?;
        ensure!(status == 401, "{token}: {answer}");
    }
    // In the path or in the query it would be in logs and histories.
    let in_query = format!("/api/v1/tools?token={}", house.token());
    ensure!(get(&house, &in_query, &[])?.0 == 401);
    Ok(())
}

fn other_names_of_the_host_are_refused() -> Result<()> {
    let house = House::open(Past::MadeUp)?;
    let port = house.host().rsplit(':').next().unwrap_or_default().to_owned();
    for host in [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        format!("127.0.0.1.evil.example:{port}"),
        "127.0.0.1".to_owned(),
        "127.0.0.1:1".to_owned(),
        format!("0.0.0.0:{port}"),
        format!("user@127.0.0.1:{port}"),
        String::new(),
    ] {
        for path in ["tools", "overview"] {
            let (status, answer) = api(&house, path, &[("Host", &host)])?;
            ensure!(status == 403, "{host}: {answer}");
        }
        ensure!(get(&house, "/", &[("Host", &host)])?.0 == 403, "the page itself, as {host}");
    }
    let twice = [("Host", house.host()), ("Host", "evil.example")];
    ensure!(matches!(api(&house, "tools", &twice)?.0, 400 | 403));
    let local = format!("localhost:{port}");
    ensure!(api(&house, "tools", &[("Host", &local)])?.0 == 200);
    Ok(())
}

fn other_pages_are_refused() -> Result<()> {
    let house = House::open(Past::MadeUp)?;
    let ours = format!("http://{}", house.host());
    for (name, value) in [
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
        ("Origin", "http://127.0.0.1:1"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        let (status, answer) = api(&house, "tools", &[(name, value)])?;
        ensure!(status == 403, "{name}: {value}: {answer}");
        ensure!(!answer.to_ascii_lowercase().contains("access-control"), "{answer}");
        ensure!(get(&house, "/assets/main.js", &[(name, value)])?.0 == 403, "{name}: {value}");
    }
    let preflight = format!(
        "OPTIONS /api/v1/tools HTTP/1.1\r\nHost: {}\r\nOrigin: http://evil.example\r\n\
         Access-Control-Request-Method: GET\r\nConnection: close\r\n\r\n",
        house.host()
    );
    ensure!(ask(&house, &preflight)?.0 == 403);
    ensure!(
        api(&house, "tools", &[("Origin", &ours), ("Sec-Fetch-Site", "same-origin")])?.0 == 200
    );
    // A link, or the redirect file, opens the page; a frame does not.
    let opening = |dest| {
        get(
            &house,
            "/",
            &[
                ("Sec-Fetch-Site", "cross-site"),
                ("Sec-Fetch-Mode", "navigate"),
                ("Sec-Fetch-Dest", dest),
            ],
        )
    };
    ensure!(opening("document")?.0 == 200);
    ensure!(opening("iframe")?.0 == 403);
    Ok(())
}

fn what_is_served_to_everybody_holds_no_data() -> Result<()> {
    let house = House::open(Past::MadeUp)?;
    let (_, shell) = get(&house, "/", &[])?;
    let assets = shell.split("/assets/").skip(1).filter_map(|rest| rest.split('"').next());
    let mut paths: Vec<String> = assets.map(|name| format!("/assets/{name}")).collect();
    paths.extend(["/", "/sessions", "/sessions/x", "/health"].map(str::to_owned));
    for path in &paths {
        let (status, answer) = get(&house, path, &[])?;
        ensure!(status == 200, "{path}: {answer}");
        for secret in ["checkout", "payments", "ada@", "acme/", house.token()] {
            ensure!(!answer.contains(secret), "{path} holds {secret}");
        }
    }
    for path in ["/assets/../index.html", "/assets/nothing.js", "/nowhere", "/sessions/x/y", "//"] {
        ensure!(get(&house, path, &[])?.0 == 404, "{path}");
    }
    Ok(())
}

fn the_page_may_run_only_its_own_scripts() -> Result<()> {
    let house = House::open(Past::Nothing)?;
    for path in ["/", "/assets/main.js", "/api/v1/tools"] {
        let (_, answer) = get(&house, path, &[])?;
        let head = answer.split("\r\n\r\n").next().unwrap_or_default().to_ascii_lowercase();
        for wanted in [
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self';",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
            "cross-origin-resource-policy: same-origin",
        ] {
            ensure!(head.contains(wanted), "{path} has no {wanted}: {head}");
        }
        ensure!(!head.contains("unsafe-inline") && !head.contains("set-cookie"), "{head}");
    }
    let (_, shell) = get(&house, "/", &[])?;
    ensure!(!shell.contains("<script>") && !shell.contains("style="), "{shell}");
    Ok(())
}

fn requests_that_are_none_are_refused() -> Result<()> {
    let house = House::open(Past::MadeUp)?;
    for method in ["POST", "PUT", "DELETE"] {
        let request = format!(
            "{method} /api/v1/tools HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            house.host()
        );
        ensure!(ask(&house, &request)?.0 == 405, "{method}");
    }
    for query in [
        "since=never",
        "since=2026-02-02&until=2026-01-01",
        "tz=Mars/Base",
        "shoe_size=44",
        "since=%ff%fe",
        &format!("project={}", "x".repeat(600)),
        &"project=a&".repeat(100),
    ] {
        for view in ["overview", "sessions", "tools", "models"] {
            let (status, answer) = api(&house, &format!("{view}?{query}"), &[])?;
            ensure!(status == 400 && answer.contains("\"question\""), "{view}?{query}: {answer}");
        }
    }
    for query in ["metric=joy", "by=day", "by=tool", "width=-1"] {
        let (status, answer) = api(&house, &format!("overview?{query}"), &[])?;
        ensure!(status == 400, "{query}: {answer}");
    }
    let (status, _) = api(&house, &format!("tools?project={}", "x".repeat(20_000)), &[])?;
    ensure!(matches!(status, 414 | 431), "an address beyond the limit: {status}");
    ensure!(api(&house, "everything", &[])?.0 == 404);
    Ok(())
}

fn the_page_and_the_report_say_the_same() -> Result<()> {
    let house = House::open(Past::MadeUp)?;
    for (query, by, value) in [
        ("since=30d", "project", None),
        ("since=7d&project=checkout", "project", Some("checkout")),
        ("since=60d&model=claude-opus-4-8", "model", Some("claude-opus-4-8")),
    ] {
        let page = document(&house, &format!("overview?{query}&tz=Asia/Tokyo"))?;
        let since = query.split(['=', '&']).nth(1).context("a range")?;
        let words = ["report", "--json", "--since", since, "--by", by, "--tz", "Asia/Tokyo"];
        let report = house.sandbox.json(&words)?;
        let rows = report["rows"].as_array().context("rows")?;
        let told = match value {
            None => &report["total"],
            Some(value) => rows.iter().find(|row| row[by] == value).context("a row")?,
        };
        for key in
            ["cost_usd", "tokens", "sessions", "requests", "prompts", "commits", "lines_added"]
        {
            let shown = &page["total"][key];
            ensure!(
                *shown == told[key] && !shown.is_null(),
                "{query}, {key}: {shown}, {}",
                told[key]
            );
        }
        if value.is_none() {
            for key in ["project", "cost_usd", "requests"] {
                let name = if key == by { "key" } else { key };
                ensure!(page["projects"][0][name] == rows[0][key], "{query}: {key}");
            }
        }
    }
    Ok(())
}

fn pages_that_wait_for_news_are_limited() -> Result<()> {
    let house = House::open(Past::MadeUp)?;
    let stamp = document(&house, "live")?["stamp"].as_str().context("a stamp")?.to_owned();
    let waiting: Vec<TcpStream> = (0..16)
        .map(|_| {
            let mut stream = TcpStream::connect(house.host())?;
            let request = format!(
                "GET /api/v1/live?seen={stamp} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n",
                house.host(),
                house.token()
            );
            stream.write_all(request.as_bytes())?;
            Ok(stream)
        })
        .collect::<Result<_>>()?;
    let live = format!("live?seen={stamp}");
    crate::harness::poll::until("one too many is told so", PATIENCE, || {
        let (status, answer) = api(&house, &live, &[])?;
        ensure!(status == 503 && answer.contains("retry-after"), "{answer}");
        Ok(())
    })?;
    // Whoever waits for news keeps nobody from asking.
    ensure!(api(&house, "overview", &[])?.0 == 200);
    drop(waiting);
    crate::harness::poll::until("their places are free again", PATIENCE, || {
        ensure!(api(&house, "live?seen=", &[])?.0 == 200);
        Ok(())
    })
}

fn another_user_is_refused() -> Result<()> {
    use std::os::unix::process::CommandExt as _;

    const NOBODY: u32 = 65534;
    let house = House::open(Past::MadeUp)?;
    let (host, token) = (house.host(), house.token());
    let port = host.rsplit(':').next().unwrap_or_default();
    for path in ["/", "/api/v1/tools", "/assets/main.js"] {
        let script = format!(
            "exec 3<>/dev/tcp/127.0.0.1/{port}; printf 'GET {path} HTTP/1.1\\r\\nHost: {host}\\r\\n\
             Authorization: Bearer {token}\\r\\nConnection: close\\r\\n\\r\\n' >&3; head -n 1 <&3"
        );
        let mut bash = std::process::Command::new("bash");
        bash.args(["-c", &script]).uid(NOBODY).gid(NOBODY).current_dir("/");
        let answer = String::from_utf8(bash.output()?.stdout)?;
        ensure!(answer.starts_with("HTTP/1.1 403"), "{path}: {answer}");
    }
    let mut cat = std::process::Command::new("cat");
    cat.arg(&house.file).uid(NOBODY).gid(NOBODY).current_dir("/");
    ensure!(!cat.output()?.status.success(), "the file with the token can be read");
    Ok(())
}
