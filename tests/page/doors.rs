//! Who is let in, asked without a browser: other names of this host, other users, other pages, and
//! stale tokens.

use anyhow::{Result, ensure};

use crate::Case;
use crate::client::{api, ask, get};
use crate::house::{House, Past};

pub const CASES: &[Case] = &[
    ("the_token_of_this_worker_opens_the_api", the_token_of_this_worker_opens_the_api),
    ("other_names_of_the_host_are_refused", other_names_of_the_host_are_refused),
    ("other_pages_are_refused", other_pages_are_refused),
    ("what_is_served_to_everybody_holds_no_data", what_is_served_to_everybody_holds_no_data),
    ("the_page_may_run_only_its_own_scripts", the_page_may_run_only_its_own_scripts),
];

/// To be somebody else takes root.
pub const CASES_AS_ROOT: &[Case] = &[("another_user_is_refused", another_user_is_refused)];

const API: [&str; 8] =
    ["overview", "filters", "sessions", "session?id=x", "tools", "models", "health", "live"];

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
