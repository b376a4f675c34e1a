//! Which tokens and certificates do not let in, by HTTP and by gRPC, and that it is counted and said.

use anyhow::{Result, ensure};

use super::authority::{Authority, EXPIRED, VALID};
use super::client::{Answer, Auth, Spec, run};
use super::gateway::{DEADLINE, Gateway, HOST, token_of, tokens_dir, with_tls};
use super::harness::poll;
use super::work::{STEP_USD, Work};
use crate::Case;

/// gRPC's UNAUTHENTICATED.
const UNAUTHENTICATED: u16 = 16;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("no_token_and_a_wrong_one_are_refused_and_counted", &[], tokens),
        Case::new("a_revoked_token_ends_on_an_open_connection", &[], revoked),
        Case::new("a_certificate_stands_for_its_sender_until_it_expires", &[], certificates),
    ]
}

fn tokens() -> Result<()> {
    let gateway = Gateway::start(&["ci-shop"], "")?;
    let own = std::fs::read_to_string(gateway.sandbox.data_dir().join("token"))?;
    let body = Work::new().metrics(1);
    let spec = |auth| Spec::new(gateway.address, gateway.authority.pem(), auth);
    run(async {
        let strangers = [
            Auth::None,
            Auth::Bearer("0123456789abcdef-ci-sho".to_owned()),
            Auth::Bearer(String::new()),
            Auth::Path("0123456789abcdef-nobody".to_owned()),
            // The token of the agent itself is for its own user's sessions, and there are none here.
            Auth::Bearer(own.trim().to_owned()),
            Auth::Bearer("ci-shop".to_owned()),
        ];
        let mut refused = 0;
        for auth in strangers {
            let answer = spec(auth.clone()).client()?.send(&body).await;
            let Answer::Refused(401, words) = &answer else {
                anyhow::bail!("{auth:?} was answered {answer:?}")
            };
            ensure!(words.contains("Authorization: Bearer TOKEN"), "{words}");
            refused += 1;
            if !matches!(auth, Auth::Path(_)) {
                let answer = spec(auth).by_grpc().client()?.send(&body).await;
                let is_no = matches!(&answer, Answer::Refused(UNAUTHENTICATED, words)
                    if words.contains("not let in"));
                ensure!(is_no, "{answer:?}");
                refused += 1;
            }
        }
        ensure!(gateway.denied()? == refused, "{} of {refused} counted", gateway.denied()?);
        let token = token_of("ci-shop");
        for auth in [Auth::Bearer(token.clone()), Auth::Path(token.clone())] {
            ensure!(spec(auth).client()?.send(&body).await == Answer::Success);
        }
        ensure!(spec(Auth::Bearer(token)).by_grpc().client()?.send(&body).await == Answer::Success);
        Ok(())
    })?;
    ensure!(gateway.report()?.len() == 1, "{:?}", gateway.report()?);
    ensure!(gateway.report()?[0].1 == STEP_USD, "{:?}", gateway.report()?);
    let warnings = gateway.status()?["warnings"].to_string();
    ensure!(warnings.contains("ccotel gateway token"), "{warnings}");
    Ok(())
}

fn revoked() -> Result<()> {
    let gateway = Gateway::start(&["ci-docs", "ci-shop"], "")?;
    let work = Work::new();
    run(async {
        let spec = |sender| {
            let auth = Auth::Bearer(token_of(sender));
            Spec::new(gateway.address, gateway.authority.pem(), auth)
        };
        let open = [spec("ci-shop").client()?, spec("ci-shop").by_grpc().client()?];
        let other = spec("ci-docs").client()?;
        for client in &open {
            ensure!(client.send(&work.metrics(1)).await == Answer::Success);
        }
        gateway.sandbox.run(&["gateway", "token", "revoke", "ci-shop"])?;
        // On the connections that are open.
        poll::until("the token lets nobody in", DEADLINE, || {
            ensure!(gateway.sender("ci-shop")?["known"] == false, "{}", gateway.status()?);
            Ok(())
        })?;
        for client in &open {
            let answer = client.send(&work.metrics(2)).await;
            ensure!(matches!(answer, Answer::Refused(401 | UNAUTHENTICATED, _)), "{answer:?}");
        }
        ensure!(other.send(&work.metrics(3)).await == Answer::Success, "others stay");
        // Whoever empties the directory has revoked everybody.
        std::fs::remove_dir_all(tokens_dir(&gateway.sandbox))?;
        poll::until("nobody is let in", DEADLINE, || {
            ensure!(gateway.sender("ci-docs")?["known"] == false, "{}", gateway.status()?);
            Ok(())
        })?;
        let answer = other.send(&work.metrics(4)).await;
        ensure!(matches!(answer, Answer::Refused(401, _)), "{answer:?}");
        Ok(())
    })?;
    let warnings = gateway.status()?["warnings"].to_string();
    ensure!(warnings.contains("no token lets anybody in"), "{warnings}");
    let rows = gateway.report()?;
    ensure!(rows.len() == 2 && rows.iter().any(|row| row.1 == 0.75), "{rows:?}");
    Ok(())
}

fn certificates() -> Result<()> {
    let authority = Authority::for_gateway(HOST)?;
    let (clients, others) = (Authority::new("clients")?, Authority::new("others")?);
    let config = with_tls(&authority, HOST)
        + &format!("client_ca = \"{}\"\n", clients.path("ca.crt").display())
        + "[[gateway.sender]]\nname = \"ci-shop\"\ncertificate = \"shop.example.com\"\n\
           tags = { team = \"payments\" }\n";
    let gateway = Gateway::start_with(authority, &config, &[])?;
    let body = Work::new().metrics(2);
    let spec = |identity| Spec {
        identity,
        ..Spec::new(gateway.address, gateway.authority.pem(), Auth::None)
    };
    run(async {
        let good = Some(clients.client("shop.example.com", VALID)?);
        let open = spec(good.clone()).client()?;
        ensure!(open.send(&body).await == Answer::Success, "by HTTP");
        ensure!(
            spec(good.clone()).by_grpc().client()?.send(&body).await == Answer::Success,
            "by gRPC"
        );
        // A certificate does not help whoever shows a wrong token.
        let auth = Auth::Bearer("0123456789abcdef-wrong".into());
        let answer = Spec { auth, ..spec(good) }.client()?.send(&body).await;
        ensure!(matches!(answer, Answer::Refused(401, _)), "{answer:?}");
        let unknown = Some(clients.client("docs.example.com", VALID)?);
        let answer = spec(unknown).client()?.send(&body).await;
        ensure!(matches!(answer, Answer::Refused(401, _)), "known to nobody: {answer:?}");
        ensure!(gateway.denied()? == 2, "{}", gateway.denied()?);
        // Refused at the handshake.
        for identity in [
            clients.client("shop.example.com", EXPIRED)?,
            others.client("shop.example.com", VALID)?,
        ] {
            let answer = spec(Some(identity)).client()?.send(&body).await;
            ensure!(matches!(answer, Answer::Broken(_)), "{answer:?}");
        }
        poll::until("both are counted", DEADLINE, || {
            ensure!(gateway.denied()? == 4, "{}", gateway.denied()?);
            Ok(())
        })?;
        // The authority goes: what an open connection showed is worth nothing any more.
        std::fs::copy(others.path("ca.crt"), clients.path("ca.crt"))?;
        gateway.has_read_certificates()?;
        let answer = open.send(&body).await;
        ensure!(matches!(answer, Answer::Refused(401, _)), "{answer:?}");
        Ok(())
    })?;
    let document = gateway.sandbox.json(&["report", "--by", "sender,team", "--json"])?;
    let row = document["rows"][0].clone();
    ensure!(row["sender"] == "ci-shop" && row["team"] == "payments", "{document}");
    ensure!(row["cost_usd"] == 2.0 * STEP_USD, "{document}");
    Ok(())
}
