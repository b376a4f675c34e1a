//! Off loopback for real: gateway and senders in two network namespaces, with a cable between them.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;

use super::authority::Authority;
use super::client::{Answer, Auth, Spec};
use super::gateway::{DEADLINE, Gateway, token_of, with_tls};
use super::harness::poll;
use super::work::{STEP_USD, Work};

/// Set for the runs inside: which part it is.
const INSIDE: &str = "CCOTEL_TEST_NETWORK_NAMESPACE";
const ADDRESS_VARIABLE: &str = "CCOTEL_TEST_GATEWAY_ADDRESS";
const CA_VARIABLE: &str = "CCOTEL_TEST_GATEWAY_CA";
/// For documentation (RFC 5737): nowhere else is it in use.
const ADDRESS: &str = "192.0.2.1";
/// The gateway's end of the cable.
const NEAR: &str = "ip link set lo up && ip link add near type veth peer name far && \
                    ip addr add 192.0.2.1/24 dev near && ip link set near up";
/// The senders' end, once it has been put through.
const FAR: &str = "for _ in $(seq 400); do ip link show far >/dev/null 2>&1 && break; sleep 0.05; done; \
                   ip addr add 192.0.2.2/24 dev far && ip link set far up && exec \"$0\"";
const SENDERS: usize = 20;

pub fn trials() -> Vec<Trial> {
    let name = "off_loopback_in_a_network_namespace";
    if can_have_one() {
        let test = || in_a_namespace().map_err(|error| format!("{error:#}").into());
        return vec![Trial::test(name, test)];
    }
    let missing =
        format!("{name} (no network namespaces with a cable between them can be made here)");
    let test = || in_a_namespace().map_err(|error| format!("{error:#}").into());
    vec![Trial::test(missing, test).with_ignored_flag(true)]
}

fn can_have_one() -> bool {
    let tried = Command::new("unshare").args(["-rn", "sh", "-c", NEAR]).output();
    tried.is_ok_and(|output| output.status.success())
}

/// The part that runs inside, if this is the process for it.
pub fn inside() -> Option<Result<()>> {
    match std::env::var(INSIDE).ok()?.as_str() {
        "gateway" => Some(receive()),
        _ => Some(send()),
    }
}

fn in_a_namespace() -> Result<()> {
    let run = format!("{NEAR} && exec \"$0\"");
    let output = Command::new("unshare")
        .args(["-rn", "sh", "-c", &run])
        .arg(std::env::current_exe()?)
        .env(INSIDE, "gateway")
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn names() -> Vec<String> {
    (0..SENDERS).map(|number| format!("ci-{number}")).collect()
}

fn receive() -> Result<()> {
    let authority = Authority::for_gateway(ADDRESS)?;
    let names = names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let config = with_tls(&authority, ADDRESS);
    let gateway = Gateway::start_with(authority, &config, &names)?;
    ensure!(!gateway.address.ip().is_loopback(), "{}", gateway.address);
    let senders = Command::new("unshare")
        .args(["-n", "sh", "-c", FAR])
        .arg(std::env::current_exe()?)
        .env(INSIDE, "senders")
        .env(ADDRESS_VARIABLE, gateway.address.to_string())
        .env(CA_VARIABLE, gateway.authority.path("ca.crt"))
        .stderr(Stdio::piped())
        .spawn()?;
    let pid = senders.id();
    poll::until("the senders' namespace", DEADLINE, || {
        let of = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net"));
        ensure!(of(&pid.to_string())? != of("self")?, "it is still ours");
        Ok(())
    })?;
    let put =
        Command::new("ip").args(["link", "set", "far", "netns", &pid.to_string()]).status()?;
    let output = senders.wait_with_output()?;
    ensure!(put.success(), "the cable was not put through");
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rows = gateway.report()?;
    ensure!(rows.len() == SENDERS, "{rows:?}");
    ensure!(rows.iter().all(|row| row.1 == 2.0 * STEP_USD), "{rows:?}");
    let denied = gateway.denied().context("the count of those refused")?;
    ensure!(denied == SENDERS as u64, "{denied}");
    Ok(())
}

/// Of a host of its own, as far as the gateway can tell.
fn send() -> Result<()> {
    let address = std::env::var(ADDRESS_VARIABLE)?.parse()?;
    let ca = std::fs::read_to_string(std::env::var(CA_VARIABLE)?)?;
    let work = Work::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        for (number, name) in names().iter().enumerate() {
            let spec = Spec::new(address, ca.clone(), Auth::Bearer(token_of(name)));
            let client = Spec { grpc: number % 2 == 0, ..spec.clone() }.client()?;
            let answer = client.send(&work.metrics(2)).await;
            ensure!(answer == Answer::Success, "{name}: {answer:?}");
            let stranger = Spec { auth: Auth::None, ..spec }.client()?;
            let answer = stranger.send(&work.metrics(2)).await;
            ensure!(matches!(answer, Answer::Refused(401, _)), "{answer:?}");
        }
        Ok(())
    })
}
