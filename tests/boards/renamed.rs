//! The demo's fortnight with names as people give them: quotes, backslashes, dots, plus, percent signs.
//! Sent through the demo's own rooms, as `ccotel demo --to-destinations` does.

use anyhow::{Context, Result};
use ccotel::config::destination::{DestinationConfig, DestinationType};
use ccotel::demo::Fortnight;
use ccotel::demo::agent::ThrowAway;
use ccotel::demo::cast::{Person, Project};
use ccotel::demo::destinations::Destinations;
use ccotel::demo::run;
use ccotel::store::handle::Since;
use jiff::Timestamp;
use jiff::tz::TimeZone;

pub const SEED: u64 = 1;

pub const TEAMS: [(&str, &str); 4] = [
    ("payments", r#"R&D "core" (EU)"#),
    ("platform", r"a.b\c"),
    ("mobile", "C++ & more"),
    ("data", "caf%C3%A9 データ"),
];
pub const PROJECTS: [(&str, &str); 9] = [
    ("checkout", r#"check "out""#),
    ("ledger", "led.ger+1"),
    ("fraud-rules", r"fraud\rules\"),
    ("deploy-tools", "deploy tools/v2"),
    ("observability", "$obs^erve|ability"),
    ("ios-app", "ios%20app"),
    ("android-app", "android [app]"),
    ("warehouse", "ware{house}*?"),
    ("forecasts", "προβλέψεις, 'q4'"),
];
pub const USERS: [(&str, &str); 2] = [
    ("ada@example.com", "ada+work@example.com"),
    ("bruno@example.com", r#""bruno.o'neil"@example.com"#),
];

/// In UTC, so that days are the test's.
pub fn fortnight(end: Timestamp) -> Result<Fortnight> {
    let mut fortnight = Fortnight::new(SEED, end, &TimeZone::UTC)?;
    for session in &mut fortnight.sessions {
        let person = Person {
            email: renamed(&USERS, session.person.email),
            team: renamed(&TEAMS, session.person.team),
            ..*session.person
        };
        let project =
            Project { name: renamed(&PROJECTS, session.project.name), ..*session.project };
        // The cast is 'static, and a test ends soon.
        session.person = Box::leak(Box::new(person));
        session.project = Box::leak(Box::new(project));
    }
    Ok(fortnight)
}

fn renamed(names: &[(&str, &'static str)], name: &'static str) -> &'static str {
    names.iter().find(|(before, _)| *before == name).map_or(name, |(_, after)| after)
}

/// Everything arrives, or it is an error.
pub fn send(fortnight: &Fortnight, destinations: &[(DestinationType, String)]) -> Result<()> {
    let configs: Vec<_> = destinations.iter().map(|(kind, url)| config(*kind, url)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let statuses = runtime.block_on(async {
        let instance = run::instance(fortnight);
        let agent = ThrowAway::start(&instance, fortnight.start_ms).await?;
        let sent = run::run(&agent, fortnight, &Destinations::new(&configs), &mut |_| ()).await;
        agent.end().await?;
        sent
    })?;
    for status in statuses {
        let lost = status.quarantined + status.expired + status.evicted + status.compacted;
        (lost == 0).then_some(()).with_context(|| format!("{status:?}"))?;
    }
    Ok(())
}

fn config(kind: DestinationType, url: &str) -> DestinationConfig {
    DestinationConfig {
        since: Since::All,
        ..DestinationConfig::new(format!("{kind:?}").to_lowercase(), kind, url)
    }
}
