//! The agent's own address as a destination: what is sent there comes back as new records, and is sent again,
//! for ever.

use std::net::{IpAddr, SocketAddr};

use reqwest::Url;

use super::client::is_loopback;

/// Whether a url leads to one of the addresses that the agent listens on.
pub fn is_own(url: &str, listened: &[SocketAddr]) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let Some(port) = url.port_or_known_default() else { return false };
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    let address = address.map(|address| address.to_canonical());
    let is_here = is_loopback(&url)
        || host == "localhost"
        // What is said to listen everywhere is connected to on this machine.
        || address.is_some_and(|it| it.is_loopback() || it.is_unspecified());
    listened.iter().any(|own| {
        let same = address.is_some_and(|address| address == own.ip().to_canonical());
        own.port() == port && (is_here || same)
    })
}

/// Why it is not sent to.
pub fn words(url: &str) -> String {
    let url = url.split('?').next().unwrap_or_default();
    format!("{url} is this agent itself: what it sends there comes back as new records, for ever")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_is_known_by_every_name_of_this_machine() {
        let listened = ["127.0.0.1:14318".parse().unwrap(), "192.0.2.7:4318".parse().unwrap()];
        for own in [
            "http://127.0.0.1:14318",
            "http://127.1:14318/v1/metrics",
            "https://localhost:14318/",
            "http://localhost.:14318/",
            "http://a.localhost:14318/",
            "http://[::1]:14318/x",
            "http://[::ffff:127.0.0.1]:14318",
            "http://0.0.0.0:14318",
            "http://[::]:14318",
            "http://192.0.2.7:4318",
        ] {
            assert!(is_own(own, &listened), "{own}");
        }
        for other in ["http://127.0.0.1:4317", "http://192.0.2.8:14318", "http://h:14318", "x"] {
            assert!(!is_own(other, &listened), "{other}");
        }
    }
}
