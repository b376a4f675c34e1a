//! What is wrong with a destination's address or credentials, and what puts it right.

use std::time::Duration;

use reqwest::Url;
use tokio::time::timeout;

use super::check::Check;
use super::remedy::{ours, quoted, replace};
use crate::config::destination::{Credentials, DestinationConfig, DestinationType};
use crate::deliver::DestinationStatus;
use crate::deliver::client::is_loopback;
use crate::deliver::probe::{Found, Verdict, probe};
use crate::paths::Paths;

/// Longest that the usual address of a kind may take to answer.
const USUAL_WAIT: Duration = Duration::from_secs(4);

/// So much of a path is taken for a prefix of the server's.
const PREFIXES_MAX: usize = 4;

/// From what a write of nothing was answered with.
pub async fn check(
    paths: &Paths,
    config: &DestinationConfig,
    verdict: &Verdict,
    known: Option<&DestinationStatus>,
) -> Check {
    let name = "destination_address";
    let words = shown(&verdict.words);
    let has_no_tls = ["no trusted TLS connection", "closed the connection"];
    if has_no_tls.iter().any(|it| words.contains(it))
        && let Some((plain, command)) = without_tls(paths, config).await
    {
        let check = Check::failed(name, format!("{words}; {plain} answers, without TLS"));
        return check.by_hand("use https where the server has it, or http").remedy(command);
    }
    match verdict.found {
        Found::Reachable => Check::ok(name, words),
        Found::Unknown => {
            let ever = known.is_some_and(|known| known.last_success.is_some());
            let check = if ever || !words.contains("cannot be resolved") {
                Check::warning(name, format!("{words}; what is due waits on disk"))
            } else {
                Check::failed(name, words)
            };
            unknown(paths, config, verdict, check)
        }
        Found::Wrong => wrong(paths, config, verdict, Check::failed(name, words)).await,
    }
}

/// The probe speaks of `connect`'s options; here the destination is there already.
fn shown(words: &str) -> String {
    let options = words.find(": --bearer-token-file");
    options.map_or(words, |at| &words[..at]).replace(", and --tenant", ", and its tenant")
}

fn unknown(paths: &Paths, config: &DestinationConfig, verdict: &Verdict, check: Check) -> Check {
    if verdict.words.contains("cannot be resolved") {
        return check.by_hand(format!(
            "correct the url of [[destination]] {} in {}, if this machine is online",
            config.name,
            paths.config_file().display()
        ));
    }
    check
        .by_hand("start the backend, or the way to it; it is then tried by itself within 5 minutes")
        .remedy(ours(&format!("retry {}", config.name)))
}

async fn wrong(
    paths: &Paths,
    config: &DestinationConfig,
    verdict: &Verdict,
    check: Check,
) -> Check {
    let retry = ours(&format!("retry {}", config.name));
    let of_file = format!("[[destination]] {} in {}", config.name, paths.config_file().display());
    let words = verdict.words.as_str();
    if words.contains("web.enable-remote-write-receiver") {
        return check
            .by_hand("start Prometheus with --web.enable-remote-write-receiver")
            .remedy(retry);
    }
    let of_credentials = ["bearer_token_file", "password_file", "token_command"];
    if of_credentials.iter().any(|it| words.contains(it) && !words.contains("(status")) {
        return check.by_hand(credentials(config, &of_file)).remedy(retry);
    }
    if words.contains("(status 401)")
        || words.contains("(status 403)")
        || words.contains("(status 407)")
    {
        return check.by_hand(credentials(config, &of_file)).remedy(retry);
    }
    if words.contains("no trusted TLS connection") {
        let what = "put right what is said of it: on the server, in its url, or in `tls = { ca, cert, key }`";
        return check.by_hand(format!("{what} of {of_file}")).remedy(retry);
    }
    if let Ok(Some(usual)) = timeout(USUAL_WAIT, usual(config)).await
        && let Some(command) = replace(&paths.config_file(), &config.url, &usual)
    {
        return check.by_hand(format!("{usual} takes data")).remedy(command);
    }
    check.by_hand(format!("correct {of_file}")).remedy(retry)
}

fn credentials(config: &DestinationConfig, of_file: &str) -> String {
    match &config.credentials {
        Credentials::None => {
            let tenant = if config.tenant.is_none() && config.kind != DestinationType::Otlp {
                "`tenant` (the X-Scope-OrgID of Mimir and Loki), or "
            } else {
                ""
            };
            format!("give {of_file} {tenant}`bearer_token_file`, `token_command` or `basic_auth`")
        }
        Credentials::BearerFile(file) => format!(
            "put a token that is valid into {}: it is read before each request",
            quoted(file)
        ),
        Credentials::BearerCommand(command) => {
            format!("`{command}` has to print a token that is valid")
        }
        Credentials::Basic { username, password_file } => format!(
            "put the password of {username} into {}: it is read before each request",
            quoted(password_file)
        ),
    }
}

/// The same address without TLS, where that is what answers. No credentials are sent to find out, and
/// none would be afterwards.
async fn without_tls(paths: &Paths, config: &DestinationConfig) -> Option<(String, String)> {
    let plain = format!("http://{}", config.url.strip_prefix("https://")?);
    let is_open = config.credentials == Credentials::None && config.headers.is_empty();
    if !is_open && !is_loopback(&Url::parse(&plain).ok()?) {
        return None;
    }
    let there = DestinationConfig {
        url: plain.clone(),
        credentials: Credentials::None,
        headers: Vec::new(),
        ..config.clone()
    };
    let verdict = timeout(USUAL_WAIT, probe(&there)).await.ok()?;
    // A server with TLS says 400 to this.
    let asks = ["(status 401)", "(status 403)"].iter().any(|it| verdict.words.contains(it));
    if verdict.found != Found::Reachable && !asks {
        return None;
    }
    let command = replace(&paths.config_file(), &config.url, &plain)?;
    Some((plain, command))
}

/// The usual address on the same server, also below what stands before it, if one takes data.
async fn usual(config: &DestinationConfig) -> Option<String> {
    let usual: &[&str] = match config.kind {
        DestinationType::Prometheus => &["/api/v1/write", "/api/v1/push"],
        DestinationType::Loki => &["/loki/api/v1/push"],
        DestinationType::VictoriaLogs => &["/insert/opentelemetry/v1/logs"],
        DestinationType::Otlp => &[""],
    };
    let url = Url::parse(&config.url).ok()?;
    let before = url.path().trim_end_matches('/').match_indices('/').map(|(at, _)| at);
    let whole = url.path().trim_end_matches('/').len();
    // The longest first, the server's top last.
    let mut prefixes: Vec<usize> = before.chain([whole]).rev().take(PREFIXES_MAX).collect();
    prefixes.push(0);
    prefixes.dedup();
    let mut addresses = Vec::new();
    for prefix in prefixes {
        for path in usual {
            let mut there = url.clone();
            there.set_path(&format!("{}{path}", &url.path()[..prefix]));
            addresses.push(there);
        }
    }
    for there in addresses {
        let there = there.to_string().trim_end_matches('/').to_owned();
        if there == config.url {
            continue;
        }
        let other = DestinationConfig { url: there.clone(), ..config.clone() };
        if probe(&other).await.found == Found::Reachable {
            return Some(there);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_connect_are_not_spoken_of() {
        let words =
            "h wants credentials that it was not given (status 401): --bearer-token-file, x";
        assert_eq!(shown(words), "h wants credentials that it was not given (status 401)");
        assert_eq!(
            shown("check the credentials, and --tenant"),
            "check the credentials, and its tenant"
        );
    }
}
