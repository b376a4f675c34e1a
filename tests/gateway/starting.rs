//! What keeps a gateway from starting, in words.

use std::fs;
use std::process::Stdio;

use anyhow::{Result, ensure};

use super::authority::Authority;
use super::gateway::{Gateway, HOST, token_of, with_tls, write_token};
use super::harness::sandbox::Sandbox;
use crate::Case;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("off_loopback_without_tls_it_does_not_start", &[], plain),
        Case::new("without_senders_it_does_not_start", &[], nobody),
        Case::new("without_its_files_it_does_not_start", &[], files),
        Case::new("a_port_that_is_taken_is_not_replaced", &[], taken),
        Case::new("a_session_is_not_sent_to_a_gateway", &[], session),
    ]
}

/// Exit code 1, and all of these words on standard error.
fn refuses(sandbox: &Sandbox, config: &str, words: &[&str]) -> Result<()> {
    fs::write(sandbox.config_dir().join("config.toml"), config)?;
    let output = sandbox.ccotel(&["agent", "run", "--gateway"]).stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(1), "{config}: {output:?}");
    for word in words {
        ensure!(said.contains(word), "`{word}` is not in: {said}");
    }
    ensure!(said.trim().lines().count() <= 2, "{said}");
    ensure!(!sandbox.data_dir().join("agent.json").exists(), "nothing is left");
    Ok(())
}

fn plain() -> Result<()> {
    let sandbox = Sandbox::new()?;
    write_token(&sandbox, "ci-shop", &token_of("ci-shop"))?;
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:4318"] {
        let config = format!("[gateway]\nlisten = [\"127.0.0.1:0\", \"{listen}\"]\n");
        refuses(&sandbox, &config, &[listen, "without TLS", "tls_ended_by_proxy"])?;
    }
    // The default is every address.
    refuses(&sandbox, "", &["0.0.0.0:4318 without TLS"])?;
    // A proxy that is said to be there is believed.
    let config = "[gateway]\nlisten = [\"0.0.0.0:0\"]\ntls_ended_by_proxy = true\n";
    let authority = Authority::for_gateway(HOST)?;
    let gateway = Gateway::start_with(authority, config, &["ci-shop"])?;
    let port = gateway.address.port();
    let url = format!("http://127.0.0.1:{port}/healthz");
    let (status, _) = super::harness::http::get(&url, &[])?;
    ensure!(status == 200, "{status}");
    Ok(())
}

fn nobody() -> Result<()> {
    let authority = Authority::for_gateway(HOST)?;
    let sandbox = Sandbox::new()?;
    let tls = with_tls(&authority, HOST);
    refuses(&sandbox, &tls, &["tokens", "does not exist", "ccotel gateway token add"])?;
    fs::create_dir(sandbox.config_dir().join("tokens"))?;
    refuses(&sandbox, &tls, &["would let nobody in", "ccotel gateway token add"])?;
    fs::write(sandbox.config_dir().join("tokens/ci-shop"), "short")?;
    refuses(&sandbox, &tls, &["would let nobody in", "16 to 256"])?;
    write_token(&sandbox, "ci-shop", &token_of("ci-shop"))?;
    let sender = "[[gateway.sender]]\nname = \"x\"\ncertificate = \"x\"\n";
    refuses(&sandbox, &(tls + sender), &["client_ca"])
}

fn files() -> Result<()> {
    let authority = Authority::for_gateway(HOST)?;
    let sandbox = Sandbox::new()?;
    write_token(&sandbox, "ci-shop", &token_of("ci-shop"))?;
    let tls = with_tls(&authority, HOST);
    let missing = format!("{tls}client_ca = \"{}\"\n", authority.path("none.crt").display());
    refuses(&sandbox, &missing, &["none.crt", "does not exist"])?;
    let missing = format!("{tls}metrics_token_file = \"{}\"\n", authority.path("none").display());
    refuses(&sandbox, &missing, &["metrics_token_file"])?;
    let other = Authority::for_gateway(HOST)?;
    fs::copy(other.path("tls.key"), authority.path("tls.key"))?;
    refuses(&sandbox, &tls, &["tls.crt", "mend it"])?;
    fs::write(authority.path("tls.key"), "no PEM")?;
    refuses(&sandbox, &tls, &["tls.key", "PEM"])?;
    // A configuration that is wrong, and none before it that was right.
    let fresh = Sandbox::new()?;
    let wrong = "[[gateway.sender]]\nname = \"Upper\"\n";
    refuses(&fresh, wrong, &["gateway.sender.name", "config.toml:2"])
}

fn taken() -> Result<()> {
    let stranger = std::net::TcpListener::bind((HOST, 0))?;
    let address = stranger.local_addr()?;
    let sandbox = Sandbox::new()?;
    write_token(&sandbox, "ci-shop", &token_of("ci-shop"))?;
    let config = format!("[gateway]\nlisten = [\"{address}\"]\n");
    refuses(&sandbox, &config, &[&address.to_string(), "in use"])
}

/// In the gateway's own directories.
fn session() -> Result<()> {
    let gateway = Gateway::start(&["ci-shop"], "")?;
    let output = gateway.sandbox.ccotel(&["agent", "start"]).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(1), "{output:?}");
    ensure!(said.contains("a gateway uses this data directory"), "{said}");
    Ok(())
}
