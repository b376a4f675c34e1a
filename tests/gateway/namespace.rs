//! Off loopback for real: an interface of its own, in a network namespace.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;

use super::authority::Authority;
use super::client::{Answer, Auth, Spec};
use super::gateway::{Gateway, token_of, with_tls};
use super::work::{STEP_USD, Work};

/// Set for the run inside.
const INSIDE: &str = "CCOTEL_TEST_NETWORK_NAMESPACE";
/// For documentation (RFC 5737): nowhere else is it in use.
const ADDRESS: &str = "192.0.2.1";
const INTERFACE: &str = "ip link set lo up && ip link add gateway0 type dummy && \
                         ip addr add 192.0.2.1/24 dev gateway0 && ip link set gateway0 up";
/// More senders than one thread has cores, from another address than loopback's.
const SENDERS: usize = 20;

pub fn trials() -> Vec<Trial> {
    let name = "off_loopback_in_a_network_namespace";
    if can_have_one() {
        let test = || in_a_namespace().map_err(|error| format!("{error:#}").into());
        return vec![Trial::test(name, test)];
    }
    let missing = format!("{name} (no network namespace with a dummy interface can be made here)");
    let test = || in_a_namespace().map_err(|error| format!("{error:#}").into());
    vec![Trial::test(missing, test).with_ignored_flag(true)]
}

fn can_have_one() -> bool {
    let tried = Command::new("unshare").args(["-rn", "sh", "-c", INTERFACE]).output();
    tried.is_ok_and(|output| output.status.success())
}

/// The part that runs inside, if this is the process for it.
pub fn inside() -> Option<Result<()>> {
    std::env::var_os(INSIDE).map(|_| receive())
}

fn in_a_namespace() -> Result<()> {
    let run = format!("{INTERFACE} && exec \"$0\"");
    let output = Command::new("unshare")
        .args(["-rn", "sh", "-c", &run])
        .arg(std::env::current_exe()?)
        .env(INSIDE, "1")
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn receive() -> Result<()> {
    let authority = Authority::for_gateway(ADDRESS)?;
    let names: Vec<String> = (0..SENDERS).map(|number| format!("ci-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let config = with_tls(&authority, ADDRESS);
    let gateway = Gateway::start_with(authority, &config, &names)?;
    ensure!(!gateway.address.ip().is_loopback(), "{}", gateway.address);
    let work = Work::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        for (number, name) in names.iter().enumerate() {
            let auth = Auth::Bearer(token_of(name));
            let spec = Spec::new(gateway.address, gateway.authority.pem(), auth);
            let client = Spec { grpc: number % 2 == 0, ..spec.clone() }.client()?;
            let answer = client.send(&work.metrics(2)).await;
            ensure!(answer == Answer::Success, "{name}: {answer:?}");
            let stranger = Spec { auth: Auth::None, ..spec }.client()?;
            let answer = stranger.send(&work.metrics(2)).await;
            ensure!(matches!(answer, Answer::Refused(401, _)), "{answer:?}");
        }
        Ok(())
    })?;
    let rows = gateway.report()?;
    ensure!(rows.len() == SENDERS, "{rows:?}");
    ensure!(rows.iter().all(|row| row.1 == 2.0 * STEP_USD), "{rows:?}");
    let denied = gateway.denied().context("the count of those refused")?;
    ensure!(denied == SENDERS as u64, "{denied}");
    Ok(())
}
