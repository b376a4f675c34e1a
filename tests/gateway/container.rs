//! As a container has it: the first process, a root file system that is read-only, a user that is not
//! root, volumes that are root's, and the configuration that the manifests bring.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use super::authority::Authority;
use super::client::{Answer, Auth, Spec};
use super::gateway::{DEADLINE, HOST, is_orderly, token_of};
use super::harness::poll;
use super::work::{STEP_USD, Work};
use crate::Case;

/// The image's user (distroless' `nonroot`).
const USER: u32 = 65532;
/// What a pod is, as far as it can be had here: namespaces of its own, and volumes below `$ROOT`.
/// Everything but `/var/lib/ccotel`, `/run/ccotel` and `/tmp` is for reading only.
const POD: &str = r#"
set -e
mount --bind "$ROOT/data" "$ROOT/data"
mount --bind "$ROOT/run" "$ROOT/run"
mount -o remount,bind,ro /
exec setpriv --reuid=65532 --regid=65532 --clear-groups --no-new-privs --bounding-set=-all \
    "$CCOTEL" agent run --gateway
"#;

pub fn cases() -> Vec<Case> {
    vec![Case::new("what_the_manifests_mount_is_what_their_configuration_names", &[], mounts)]
}

pub fn trials() -> Vec<Trial> {
    let name = "as_the_first_process_of_a_read_only_container";
    let test = || pod().map_err(|error| Failed::from(format!("{error:#}")));
    if can_be_a_pod() {
        return vec![Trial::test(name, test)];
    }
    let name = format!("{name} (takes root, unshare, setpriv and mounts)");
    vec![Trial::test(name, test).with_ignored_flag(true)]
}

fn can_be_a_pod() -> bool {
    let tried = "mount -o remount,bind,ro / && exec setpriv --reuid=65532 --regid=65532 --clear-groups true";
    rustix::process::geteuid().is_root()
        && Command::new("unshare")
            .args(["-mpf", "--mount-proc", "sh", "-c", tried])
            .output()
            .is_ok_and(|output| output.status.success())
}

fn manifest(name: &str) -> Result<String> {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("stack/kubernetes/base");
    fs::read_to_string(base.join(name)).with_context(|| name.to_owned())
}

/// Every file that `config.toml` names lies in a volume that the pod mounts.
fn mounts() -> Result<()> {
    let (config, pod) = (manifest("config.toml")?, manifest("stateful-set.yaml")?);
    let quoted = config.split('"').skip(1).step_by(2);
    let named: Vec<&str> = quoted.filter(|text| text.starts_with('/')).collect();
    ensure!(named.len() == 4, "{named:?}");
    for path in named {
        let is_mounted = pod
            .lines()
            .filter_map(|line| line.split("mountPath: ").nth(1)?.split([',', ' ', '}']).next())
            .any(|mount| path == mount || path.starts_with(&format!("{mount}/")));
        ensure!(is_mounted, "{path} is in no volume");
    }
    let container = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/container/Containerfile"),
    )?;
    for directory in ["/etc/ccotel/gateway", "/var/lib/ccotel/agent", "/run/ccotel/agent"] {
        ensure!(pod.contains(&format!("value: {directory} }}")), "{directory} in the pod");
        ensure!(container.contains(&format!("={directory}")), "{directory} in the image");
    }
    ensure!(pod.contains("args: [agent, run, --gateway]"), "{pod}");
    Ok(())
}

/// The manifests' own configuration, with its paths below a directory of this test.
fn pod() -> Result<()> {
    let root = tempfile::Builder::new().prefix("ccotel-pod-").tempdir()?;
    let authority = Authority::for_gateway(HOST)?;
    let etc = root.path().join("etc");
    secret(
        &etc.join("tls"),
        &[
            ("tls.crt", &fs::read_to_string(authority.path("tls.crt"))?),
            ("tls.key", &fs::read_to_string(authority.path("tls.key"))?),
        ],
    )?;
    secret(&etc.join("tokens"), &[("ci-shop", &token_of("ci-shop"))])?;
    secret(&etc.join("metrics"), &[("token", "the-token-of-the-monitor")])?;
    let config = manifest("config.toml")?
        .replace("/etc/ccotel", &etc.display().to_string())
        .replace("0.0.0.0:4318", "127.0.0.1:0");
    secret(&etc.join("gateway"), &[("config.toml", &config)])?;
    for volume in ["data", "run"] {
        // As the kubelet makes them: root's, with the pod's group.
        let path = root.path().join(volume);
        fs::create_dir(&path)?;
        std::os::unix::fs::chown(&path, Some(0), Some(USER))?;
        fs::set_permissions(&path, PermissionsExt::from_mode(0o2775))?;
    }
    fs::set_permissions(root.path(), PermissionsExt::from_mode(0o755))?;
    let log = fs::File::create(root.path().join("log"))?;
    let mut unshare = Command::new("unshare")
        .args(["-mpf", "--mount-proc", "--kill-child", "sh", "-c", POD])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("ROOT", root.path())
        .env("CCOTEL", env!("CARGO_BIN_EXE_ccotel"))
        .env("CCOTEL_CONFIG_DIR", etc.join("gateway"))
        .env("CCOTEL_DATA_DIR", root.path().join("data/agent"))
        .env("CCOTEL_RUNTIME_DIR", root.path().join("run/agent"))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    let said = || fs::read_to_string(root.path().join("log")).unwrap_or_default();
    let result = used(root.path(), &authority).with_context(said);
    // The first process of the pod is unshare's only child.
    let children = format!("/proc/{0}/task/{0}/children", unshare.id());
    let first = fs::read_to_string(children)?.trim().parse().ok();
    let first = first.and_then(rustix::process::Pid::from_raw).with_context(said)?;
    rustix::process::kill_process(first, rustix::process::Signal::TERM)?;
    let ended =
        poll::until("the pod ends", DEADLINE, || unshare.try_wait()?.context("it still runs"));
    if ended.is_err() {
        unshare.kill()?;
    }
    result?;
    ensure!(is_orderly(ended?), "{}", said());
    ensure!(said().contains("worker ended"), "{}", said());
    Ok(())
}

/// Sends, reads, and asks for the status as a probe and `kubectl exec` would.
fn used(root: &Path, authority: &Authority) -> Result<()> {
    let identity: Value = poll::until("the gateway listens", DEADLINE, || {
        Ok(serde_json::from_slice(&fs::read(root.join("data/agent/agent.json"))?)?)
    })?;
    ensure!(identity["pid"] == 1, "{identity}");
    let address = identity["addresses"][0].as_str().context("an address")?.parse()?;
    let auth = Auth::Bearer(token_of("ci-shop"));
    let client = Spec::new(address, authority.pem(), auth).client();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(async { Ok(client?.send(&Work::new().metrics(3)).await) });
    let answer: Result<Answer> = answer;
    ensure!(answer.as_ref().is_ok_and(|answer| *answer == Answer::Success), "{answer:?}");
    let exec = |arguments: &[&str]| -> Result<Value> {
        let output = Command::new("setpriv")
            .args(["--reuid=65532", "--regid=65532", "--clear-groups"])
            .arg(env!("CARGO_BIN_EXE_ccotel"))
            .args(arguments)
            .env("CCOTEL_CONFIG_DIR", root.join("etc/gateway"))
            .env("CCOTEL_DATA_DIR", root.join("data/agent"))
            .env("CCOTEL_RUNTIME_DIR", root.join("run/agent"))
            .output()?;
        serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))
    };
    let report = exec(&["report", "--by", "sender", "--since", "2d", "--json"])?;
    ensure!(report["rows"][0]["sender"] == "ci-shop", "{report}");
    ensure!(report["rows"][0]["cost_usd"] == 3.0 * STEP_USD, "{report}");
    let status = exec(&["status", "--json"])?;
    ensure!(status["gateway"]["senders"][0]["received"] == 1, "{status}");
    // The backends of the manifests are not here: what is meant for them waits.
    ensure!(status["destinations"].as_array().is_some_and(|it| it.len() == 2), "{status}");
    Ok(())
}

/// As the kubelet mounts a secret or a map: links through `..data`.
fn secret(directory: &Path, files: &[(&str, &str)]) -> Result<()> {
    let version = directory.join("..2026_11_24");
    fs::create_dir_all(&version)?;
    symlink("..2026_11_24", directory.join("..data"))?;
    for (name, content) in files {
        fs::write(version.join(name), content)?;
        fs::set_permissions(version.join(name), PermissionsExt::from_mode(0o644))?;
        symlink(format!("..data/{name}"), directory.join(name))?;
    }
    Ok(())
}
