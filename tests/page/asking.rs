//! What is asked, and what is answered: nonsense, the same as the report, and too many at once.

use std::io::Write as _;
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};

use crate::Case;
use crate::client::{PATIENCE, api, ask, document};
use crate::harness::poll;
use crate::house::{House, Past};

pub const CASES: &[Case] = &[
    ("requests_that_are_none_are_refused", requests_that_are_none_are_refused),
    ("the_page_and_the_report_say_the_same", the_page_and_the_report_say_the_same),
    ("pages_that_wait_for_news_are_limited", pages_that_wait_for_news_are_limited),
];

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
    poll::until("one too many is told so", PATIENCE, || {
        let (status, answer) = api(&house, &live, &[])?;
        ensure!(status == 503 && answer.contains("retry-after"), "{answer}");
        Ok(())
    })?;
    // Whoever waits for news keeps nobody from asking.
    ensure!(api(&house, "overview", &[])?.0 == 200);
    drop(waiting);
    poll::until("their places are free again", PATIENCE, || {
        ensure!(api(&house, "live?seen=", &[])?.0 == 200);
        Ok(())
    })
}
