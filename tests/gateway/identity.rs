//! What a sender can say of itself, and what it cannot.

use anyhow::{Result, ensure};

use super::client::{Answer, Auth, Spec, run};
use super::gateway::{Gateway, token_of};
use super::harness::loki::Loki;
use super::harness::poll;
use super::work::{STEP_USD, Work};
use crate::Case;

const DEADLINE: std::time::Duration = std::time::Duration::from_mins(1);

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("the_same_bytes_of_two_senders_count_twice_and_a_retry_once", &[], same_bytes),
        Case::new(format!("no_sender_can_be_another [{}]", Loki::which()), &[], forged),
        Case::new("a_sender_tightens_its_level_and_never_widens_it", &[], levels),
    ]
}

fn spec(gateway: &Gateway, sender: &str) -> Spec {
    Spec::new(gateway.address, gateway.authority.pem(), Auth::Bearer(token_of(sender)))
}

fn same_bytes() -> Result<()> {
    let gateway = Gateway::start(&["a", "b"], "")?;
    let work = Work::new();
    run(async {
        for sender in ["a", "b"] {
            for grpc in [false, true] {
                // The second time it is a retry, of the other protocol at that.
                let client = Spec { grpc, ..spec(&gateway, sender) }.client()?;
                for body in [work.metrics(2), work.events(1), work.events(2)] {
                    ensure!(client.send(&body).await == Answer::Success);
                }
            }
        }
        Ok(())
    })?;
    let rows = gateway.report()?;
    let wanted = ["a", "b"].map(|sender| (sender.to_owned(), 2.0 * STEP_USD, 1, 2));
    ensure!(rows == wanted, "{rows:?}");
    let records = gateway.status()?["records"].clone();
    ensure!(records["duplicate"] == 6 && records["received"] == 12, "{records}");
    let sessions = gateway.status()?["sessions"].clone();
    ensure!(sessions["today"] == 2, "{sessions}");
    Ok(())
}

/// The label, fixed tags, and what is said instead.
fn forged() -> Result<()> {
    let more = "[tags]\nsite = \"paris\"\n[[gateway.sender]]\nname = \"a\"\n\
                tags = { team = \"payments\", cost_center = \"cc-1\" }\n";
    let gateway = Gateway::start(&["a", "b"], more)?;
    let loki = Loki::start()?;
    gateway.sandbox.run(&["connect", "loki", &loki.push_url(), "--since", "all"])?;
    let mut work = Work::new()
        .saying("sender", "b")
        .saying("team", "other")
        .saying("cost.center", "cc-9")
        .saying("project", "shop")
        .saying("ccotel.launch.id", "a-launch");
    for number in 0..20 {
        // To crowd out what is fixed.
        work = work.saying(&format!("a{number}"), "x");
    }
    run(async {
        let client = spec(&gateway, "a").client()?;
        ensure!(client.send(&work.metrics(1)).await == Answer::Success);
        let scope = "com.anthropic.claude_code.events";
        let event = work.events_of(scope, 1, &[("sender", "b"), ("team", "other")]);
        ensure!(client.send(&event).await == Answer::Success);
        Ok(())
    })?;
    for (by, wanted) in
        [("sender", "a"), ("team", "payments"), ("tag:cost_center", "cc-1"), ("project", "shop")]
    {
        let document = gateway.sandbox.json(&["report", "--by", by, "--json"])?;
        let key = by.trim_start_matches("tag:");
        let rows = document["rows"].as_array().map_or(0, Vec::len);
        ensure!(rows == 1 && document["rows"][0][key] == wanted, "{by}: {document}");
        ensure!(document["rows"][0]["cost_usd"] == STEP_USD, "{by}: {document}");
    }
    poll::until("the event is in Loki", DEADLINE, || {
        let entries = loki.entries(&[("sender", "a"), ("team", "payments")])?;
        ensure!(entries.len() == 1, "{entries:?}");
        let said = format!("{entries:?}");
        ensure!(!said.contains("\"b\"") && !said.contains("other"), "{said}");
        Ok(())
    })
}

fn levels() -> Result<()> {
    let more = "[privacy]\nlevel = \"standard\"\n[[gateway.sender]]\nname = \"tight\"\n\
                privacy = \"minimal\"\n[[gateway.sender]]\nname = \"wide\"\nprivacy = \"full\"\n";
    let gateway = Gateway::start(&["plain", "tight", "wide"], more)?;
    let loki = Loki::start()?;
    gateway.sandbox.run(&["connect", "loki", &loki.push_url(), "--since", "all"])?;
    let identity = &[("user.email", "dev@example.com"), ("prompt", "a secret plan")];
    run(async {
        for (sender, said) in [
            ("plain", None),
            ("plain", Some("minimal")),
            ("tight", Some("full")),
            ("wide", Some("full")),
        ] {
            let project = format!("{sender}-{}", said.unwrap_or("nothing"));
            let mut work = Work::new().saying("project", &project);
            if let Some(said) = said {
                work = work.saying("ccotel.privacy", said);
            }
            let event = work.events_of("com.anthropic.claude_code.events", 1, identity);
            let client = spec(&gateway, sender).client()?;
            ensure!(client.send(&event).await == Answer::Success);
        }
        Ok(())
    })?;
    for (project, email) in [
        ("plain-nothing", true),
        ("plain-minimal", false),
        ("tight-full", false),
        ("wide-full", true),
    ] {
        poll::until("the event is in Loki", DEADLINE, || {
            let entries = loki.entries(&[("project", project)])?;
            ensure!(entries.len() == 1, "{entries:?}");
            let said = format!("{entries:?}");
            ensure!(said.contains("dev@example.com") == email, "{project}: {said}");
            ensure!(!said.contains("secret plan"), "{project}: {said}");
            Ok(())
        })?;
    }
    Ok(())
}
