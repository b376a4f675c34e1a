//! Serves the local page over a data directory, without an agent: to work on the page, and to measure it.
//!
//! ```text
//! cargo run --release --example page -- DIRECTORY           a made-up history where there is none
//! cargo run --release --example page -- DIRECTORY --measure how long each view takes, and no page
//! ```
//!
//! `cargo run --release --example history_year DIRECTORY` makes a year of heavy use.

#[path = "../tests/page/made_up.rs"]
mod made_up;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use ccotel::page::{Page, Sources};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

const DAYS: u64 = 120;
const TIMES: usize = 11;
const VIEWS: [&str; 8] = [
    "overview?since=365d",
    "overview?since=30d",
    "overview?since=7d&by=model",
    "sessions?since=365d",
    "tools?since=365d",
    "models?since=365d",
    "filters?since=365d",
    "health?",
];

fn main() -> anyhow::Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let directory = arguments.first().context("give a directory")?;
    std::fs::create_dir_all(directory)?;
    let history_db = directory.join("history.db");
    if !history_db.exists() {
        let now_ms = u64::try_from(Timestamp::now().as_millisecond())?;
        made_up::write(&history_db, now_ms, DAYS)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        let page = Page::start(sources(directory), stop).await?;
        if arguments.get(1).is_some_and(|word| word == Path::new("--measure")) {
            return measure(&page).await;
        }
        println!("{}", page.url());
        std::future::pending().await
    })
}

fn sources(directory: &Path) -> Sources {
    let (news, heard) = tokio::sync::watch::channel(0);
    // Nothing is ever new here; a sender that is gone would look like an end.
    std::mem::forget(news);
    let status = serde_json::json!({
        "schema": 1, "running": true, "version": ccotel::agent::VERSION, "started": Timestamp::now(),
        "addresses": ["127.0.0.1:14318"], "sessions": { "active": 1, "today": 4 },
        "records": { "received": 48_210, "duplicate": 3, "rejected": 0, "foreign": 0 },
        "disk_bytes": 48_000_000, "warnings": [], "worker": { "restarts": 0 },
        "destinations": [
            { "name": "team-prom", "type": "prometheus", "state": "ok", "delivered": 41_020,
              "backlog": { "records": 0, "bytes": 0, "oldest_seconds": 0 }, "expired": 0, "evicted": 0,
              "compacted": 0, "quarantined": 0, "last_success": Timestamp::now(), "last_error": null, "next_try": null },
            { "name": "loki", "type": "loki", "state": "retrying", "delivered": 38_112,
              "backlog": { "records": 1_204, "bytes": 90_211, "oldest_seconds": 3_720 }, "expired": 0, "evicted": 0,
              "compacted": 0, "quarantined": 2, "last_success": Timestamp::now(),
              "last_error": "https://loki.example.com does not answer: no answer in time", "next_try": Timestamp::now() },
        ],
    });
    let spending = serde_json::json!({
        "budgets": [
            { "period": "daily", "project": null, "team": null, "budget_usd": 50.0, "spent_usd": 12.4 },
            { "period": "weekly", "project": null, "team": "payments", "budget_usd": 400.0, "spent_usd": 351.7 },
            { "period": "monthly", "project": "checkout", "team": null, "budget_usd": 200.0, "spent_usd": 214.02 },
        ],
        "rate_limits": {
            "five_hour": { "used_percent": 23.5, "resets_at": Timestamp::now().as_second() + 7_000 },
            "seven_day": { "used_percent": 81.2, "resets_at": Timestamp::now().as_second() + 300_000 },
        },
    });
    Sources {
        history_db: directory.join("history.db"),
        imported_db: directory.join("imported.db"),
        news: heard,
        catch_up: Arc::new(|| Box::pin(async {})),
        spending: Arc::new(move || {
            let spending = spending.clone();
            Box::pin(async move { spending })
        }),
        status: Arc::new(move || {
            let status = status.clone();
            Box::pin(async move { status })
        }),
        now: Arc::new(Timestamp::now),
    }
}

async fn measure(page: &Page) -> anyhow::Result<()> {
    // The client wants one even for plain loopback.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build()?;
    for view in VIEWS {
        let mut times = Vec::with_capacity(TIMES);
        let mut bytes = 0;
        for _ in 0..TIMES {
            let begun = Instant::now();
            let url = format!("http://{}/api/v1/{view}&tz=Europe/Paris", page.address);
            let answer = client.get(url).bearer_auth(&page.token).send().await?;
            let answer = answer.error_for_status()?.bytes().await?;
            times.push(begun.elapsed());
            bytes = answer.len();
        }
        times.sort_unstable();
        println!("{view:28} {:>7.1?} ({bytes} bytes)", times[TIMES / 2]);
    }
    Ok(())
}
