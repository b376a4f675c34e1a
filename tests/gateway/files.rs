//! Certificates that are renewed and tokens that are changed while the gateway runs, and its end and
//! beginning in a container.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Result, ensure};

use super::authority::Authority;
use super::client::{Answer, Auth, Spec, run};
use super::gateway::{DEADLINE, Gateway, HOST, is_orderly, token_of, with_tls, write_token};
use super::harness::poll;
use super::work::{STEP_USD, Work};
use crate::Case;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("a_renewed_certificate_needs_no_restart", &[], renewed),
        Case::new("a_secret_that_kubernetes_replaces_is_seen", &[], kubernetes),
        Case::new("a_token_is_made_and_changed_by_hand", &[], by_hand),
        Case::new("agent_restart_replaces_it_under_open_connections", &[], replaced),
        Case::new("sigterm_drains_and_the_next_one_goes_on_as_the_same_install", &[], restarted),
    ]
}

fn renewed() -> Result<()> {
    let gateway = Gateway::start(&["ci-shop"], "")?;
    let work = Work::new();
    let auth = Auth::Bearer(token_of("ci-shop"));
    run(async {
        let before = Spec::new(gateway.address, gateway.authority.pem(), auth.clone());
        let open = before.client()?;
        ensure!(open.send(&work.metrics(1)).await == Answer::Success);
        // Half of a change is none: the key does not fit, and the certificate of before stays.
        let next = Authority::for_gateway(HOST)?;
        fs::copy(next.path("tls.crt"), gateway.authority.path("tls.crt"))?;
        poll::until("it is said", DEADLINE, || {
            let warnings = gateway.status()?["warnings"].to_string();
            ensure!(warnings.contains("the certificate of before stays in use"), "{warnings}");
            ensure!(warnings.contains("the key does not belong to the certificate"), "{warnings}");
            Ok(())
        })?;
        ensure!(before.client()?.send(&work.metrics(2)).await == Answer::Success);
        fs::copy(next.path("tls.key"), gateway.authority.path("tls.key"))?;
        gateway.has_read_certificates()?;
        let answer = before.client()?.send(&work.metrics(3)).await;
        ensure!(
            matches!(answer, Answer::Broken(_)),
            "the old authority signs it no more: {answer:?}"
        );
        let after = Spec::new(gateway.address, next.pem(), auth);
        ensure!(after.client()?.send(&work.metrics(4)).await == Answer::Success);
        ensure!(open.send(&work.metrics(5)).await == Answer::Success, "open connections stay");
        Ok(())
    })?;
    ensure!(gateway.report()?[0].1 == 5.0 * STEP_USD, "{:?}", gateway.report()?);
    let warnings = gateway.status()?["warnings"].to_string();
    ensure!(!warnings.contains("stays in use"), "{warnings}");
    Ok(())
}

/// `key → ..data/key`, `..data → ..N`: the kubelet renames `..data`, and nothing else changes.
fn kubernetes() -> Result<()> {
    let authority = Authority::for_gateway(HOST)?;
    let mounted = authority.directory().join("mounted");
    fs::create_dir(&mounted)?;
    mount(&mounted, "..1", &[("ci-shop", "0123456789abcdef-first")])?;
    symlink("..data/ci-shop", mounted.join("ci-shop"))?;
    let config = with_tls(&authority, HOST) + &format!("tokens = \"{}\"\n", mounted.display());
    let gateway = Gateway::start_with(authority, &config, &[])?;
    let spec = |token: &str| {
        let auth = Auth::Bearer(token.to_owned());
        Spec::new(gateway.address, gateway.authority.pem(), auth)
    };
    let body = Work::new().metrics(1);
    run(async {
        let open = spec("0123456789abcdef-first").client()?;
        ensure!(open.send(&body).await == Answer::Success);
        let tokens = [("ci-shop", "0123456789abcdef-second"), ("ci-docs", "0123456789abcdef-docs")];
        mount(&mounted, "..2", &tokens)?;
        symlink("..data/ci-docs", mounted.join("ci-docs"))?;
        poll::until("the new sender is known", DEADLINE, || gateway.sender("ci-docs").map(drop))?;
        let answer = open.send(&body).await;
        ensure!(matches!(answer, Answer::Refused(401, _)), "{answer:?}");
        for token in ["0123456789abcdef-second", "0123456789abcdef-docs"] {
            ensure!(spec(token).client()?.send(&body).await == Answer::Success);
        }
        Ok(())
    })?;
    ensure!(
        gateway.status()?["warnings"].as_array().is_some_and(|it| it.len() == 1),
        "only the 401"
    );
    Ok(())
}

fn mount(mounted: &Path, version: &str, files: &[(&str, &str)]) -> Result<()> {
    let directory = mounted.join(version);
    fs::create_dir(&directory)?;
    for (name, content) in files {
        fs::write(directory.join(name), content)?;
    }
    symlink(version, mounted.join("..data_tmp"))?;
    Ok(fs::rename(mounted.join("..data_tmp"), mounted.join("..data"))?)
}

fn by_hand() -> Result<()> {
    let gateway = Gateway::start(&["ci-docs"], "url = \"https://ccotel.example.com:4318\"\n")?;
    let body = Work::new().metrics(1);
    let add = ["gateway", "token", "add", "ci-shop"];
    let lines = gateway.sandbox.run(&add)?;
    ensure!(
        lines.contains("OTEL_EXPORTER_OTLP_ENDPOINT=https://ccotel.example.com:4318\n"),
        "{lines}"
    );
    let token = lines.split("Bearer%20").nth(1).and_then(|rest| rest.lines().next());
    let token = token.unwrap_or_default().to_owned();
    ensure!(token.len() == 32, "{lines}");
    let kept = fs::read_to_string(gateway.sandbox.config_dir().join("tokens/ci-shop"))?;
    ensure!(
        kept.starts_with("# added 20") && kept.contains("\nblake3:") && !kept.contains(&token),
        "a hash is kept: {kept}"
    );
    ensure!(gateway.sandbox.run(&add).is_err(), "it has one already");
    let second = gateway.sandbox.json(&[&add[..], &["--also", "--json"]].concat())?;
    ensure!(second["environment"]["OTEL_EXPORTER_OTLP_PROTOCOL"] == "http/protobuf", "{second}");
    let second = second["token"].as_str().unwrap_or_default().to_owned();
    let answers = |token: &str| {
        let auth = Auth::Bearer(token.to_owned());
        let spec = Spec::new(gateway.address, gateway.authority.pem(), auth);
        run(async { Ok(spec.client()?.send(&body).await) })
    };
    poll::until("both let in", DEADLINE, || {
        ensure!(answers(&token)? == Answer::Success && answers(&second)? == Answer::Success);
        Ok(())
    })?;
    gateway.sandbox.run(&["gateway", "token", "revoke", "ci-shop", "--older"])?;
    poll::until("only the newest lets in", DEADLINE, || {
        let answer = answers(&token)?;
        ensure!(matches!(answer, Answer::Refused(401, _)), "{answer:?}");
        Ok(())
    })?;
    ensure!(answers(&second)? == Answer::Success, "the one that was just given out stays");
    let third = gateway.sandbox.json(&[&add[..], &["--replace", "--json"]].concat())?;
    poll::until("only the third lets in", DEADLINE, || {
        let third = third["token"].as_str().unwrap_or_default();
        ensure!(answers(third)? == Answer::Success, "not yet");
        Ok(())
    })?;
    for old in [&token, &second] {
        let answer = answers(old)?;
        ensure!(matches!(answer, Answer::Refused(401, _)), "{answer:?}");
    }
    let listed = gateway.sandbox.json(&["gateway", "token", "ls", "--json"])?;
    ensure!(listed["running"] == true && listed["senders"][1]["name"] == "ci-shop", "{listed}");
    ensure!(listed["senders"][1]["seen"]["received"].as_u64() >= Some(3), "{listed}");
    let unknown = gateway.sandbox.ccotel(&["gateway", "token", "revoke", "nobody"]).output()?;
    ensure!(unknown.status.code() == Some(1), "{unknown:?}");
    Ok(())
}

fn restarted() -> Result<()> {
    let mut gateway = Gateway::start(&["ci-shop"], "")?;
    let work = Work::new();
    let send = |gateway: &Gateway, step| {
        let auth = Auth::Bearer(token_of("ci-shop"));
        let spec = Spec::new(gateway.address, gateway.authority.pem(), auth);
        run(async { Ok(spec.client()?.send(&work.metrics(step)).await) })
    };
    ensure!(send(&gateway, 1)? == Answer::Success);
    let install = gateway.status()?["install_id"].clone();
    let ended = gateway.end()?;
    ensure!(is_orderly(ended), "{ended}: {}", gateway.log()?);
    let log = gateway.log()?;
    ensure!(log.contains("draining") && log.contains("worker ended"), "{log}");
    ensure!(!gateway.sandbox.data_dir().join("agent.log").exists(), "what is said is on stderr");
    // A sender that is new meanwhile, and one that is still there.
    write_token(&gateway.sandbox, "ci-docs", &token_of("ci-docs"))?;
    gateway.start_again()?;
    ensure!(gateway.status()?["install_id"] == install, "{}", gateway.status()?);
    ensure!(send(&gateway, 1)? == Answer::Success, "the same bytes, which count once");
    ensure!(send(&gateway, 3)? == Answer::Success);
    ensure!(gateway.report()?[0].1 == 3.0 * STEP_USD, "{:?}", gateway.report()?);
    Ok(())
}

/// The next holder takes the sockets over by `exec`, as an upgrade in its place does.
fn replaced() -> Result<()> {
    let gateway = Gateway::start(&["ci-shop"], "")?;
    let work = Work::new();
    let before = gateway.status()?;
    run(async {
        let auth = Auth::Bearer(token_of("ci-shop"));
        let spec = Spec::new(gateway.address, gateway.authority.pem(), auth);
        let open = spec.client()?;
        open.send_until_acknowledged(&work.metrics(1)).await?;
        gateway.sandbox.run(&["agent", "restart"])?;
        open.send_until_acknowledged(&work.metrics(2)).await?;
        spec.client()?.send_until_acknowledged(&work.metrics(3)).await
    })?;
    let after = gateway.status()?;
    ensure!(after["pid"] == before["pid"] && after["started"] != before["started"], "{after}");
    ensure!(after["addresses"] == before["addresses"], "{after}");
    ensure!(after["gateway"]["senders"][0]["name"] == "ci-shop", "{after}");
    ensure!(gateway.report()?[0].1 == 3.0 * STEP_USD, "{:?}", gateway.report()?);
    Ok(())
}
