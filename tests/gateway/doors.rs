//! Who else asks a gateway: browsers, probes, monitors, and clients that speak no TLS.

use anyhow::{Context, Result, ensure};

use super::authority::Authority;
use super::client::{Answer, Auth, Spec, run};
use super::gateway::{DEADLINE, Gateway, HOST, token_of, with_tls};
use super::harness::poll;
use super::work::Work;
use crate::Case;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("a_browser_is_refused_and_a_probe_is_not", &[], browsers),
        Case::new("metrics_are_read_with_their_own_token_alone", &[], metrics),
        Case::new("plain_http_to_a_tls_port_is_counted", &[], plain),
    ]
}

fn browsers() -> Result<()> {
    let gateway = Gateway::start(&["ci-shop"], "")?;
    let ca = reqwest::Certificate::from_pem(gateway.authority.pem().as_bytes())?;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([ca]).build()?;
    let url = |path: &str| format!("https://{}{path}", gateway.address);
    run(async {
        // A probe knows neither name nor token.
        let health = client.get(url("/healthz")).header("host", "10.1.2.3:4318").send().await?;
        ensure!(health.status() == 200, "{}", health.status());
        for header in ["origin", "sec-fetch-site"] {
            let answer = client
                .post(url("/v1/logs"))
                .bearer_auth(token_of("ci-shop"))
                .header(header, "https://example.com")
                .header("content-type", "application/json")
                .body("{}")
                .send()
                .await?;
            ensure!(answer.status() == 403, "{header}: {}", answer.status());
            let headers = format!("{:?}", answer.headers());
            ensure!(!headers.to_lowercase().contains("access-control"), "{headers}");
        }
        ensure!(gateway.denied()? == 2, "{}", gateway.denied()?);
        let foreign = Work::new().events_of("io.other.program", 1, &[]);
        let auth = Auth::Bearer(token_of("ci-shop"));
        let client = Spec::new(gateway.address, gateway.authority.pem(), auth).client()?;
        let answer = client.send(&foreign).await;
        ensure!(matches!(answer, Answer::Refused(200, _)), "partial success: {answer:?}");
        ensure!(gateway.sender("ci-shop")?["rejected"] == 1, "{}", gateway.status()?);
        Ok(())
    })
}

fn metrics() -> Result<()> {
    let authority = Authority::for_gateway(HOST)?;
    let file = authority.path("metrics-token");
    std::fs::write(&file, "the-token-of-the-monitor\n")?;
    let config =
        with_tls(&authority, HOST) + &format!("metrics_token_file = \"{}\"\n", file.display());
    let gateway = Gateway::start_with(authority, &config, &["ci-shop"])?;
    let ca = reqwest::Certificate::from_pem(gateway.authority.pem().as_bytes())?;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([ca]).build()?;
    let read = async |token: &str| -> Result<(u16, String)> {
        let url = format!("https://{}/metrics", gateway.address);
        let answer = client.get(url).bearer_auth(token).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    };
    run(async {
        let auth = Auth::Bearer(token_of("ci-shop"));
        let sender = Spec::new(gateway.address, gateway.authority.pem(), auth).client()?;
        ensure!(sender.send(&Work::new().metrics(1)).await == Answer::Success);
        let (status, words) = read(&token_of("ci-shop")).await?;
        ensure!(status == 401 && words.contains("metrics_token_file"), "{status}: {words}");
        let (status, page) = read("the-token-of-the-monitor").await?;
        ensure!(status == 200, "{status}: {page}");
        for line in [
            "ccotel_sender_records_total{sender=\"ci-shop\",outcome=\"received\"} 1",
            "sender=\"ci-shop\"} 0.25",
        ] {
            page.find(line).with_context(|| format!("no {line} in {page}"))?;
        }
        // And it does not send.
        let auth = Auth::Bearer("the-token-of-the-monitor".to_owned());
        let monitor = Spec::new(gateway.address, gateway.authority.pem(), auth).client()?;
        let answer = monitor.send(&Work::new().metrics(2)).await;
        ensure!(matches!(answer, Answer::Refused(401, _)), "{answer:?}");
        Ok(())
    })
}

fn plain() -> Result<()> {
    let gateway = Gateway::start(&["ci-shop"], "")?;
    let spec = Spec {
        ca: None,
        ..Spec::new(gateway.address, String::new(), Auth::Bearer(token_of("ci-shop")))
    };
    let answer = run(async { Ok(spec.client()?.send(&Work::new().metrics(1)).await) })?;
    ensure!(matches!(answer, Answer::Broken(_)), "{answer:?}");
    poll::until("it is counted", DEADLINE, || {
        let status = gateway.status()?;
        ensure!(status["requests"]["malformed"] == 1, "{status}");
        ensure!(status["warnings"].to_string().contains("https://"), "{status}");
        Ok(())
    })
}
