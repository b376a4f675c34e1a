//! Learned: what a destination has found out about its backend, kept over a restart of the agent.
//!
//! One JSON document a destination, in the store beside its cursors, written in the commit that
//! settles a batch. A document that cannot be read is worth nothing: everything in it can be learned
//! again, but for a value that was left out behind the horizon, which the next sample carries.
//!
//! Another version of ccotel probes the protocol again; another address is another backend.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::horizon::Horizon;
use super::negotiation::Negotiation;
use crate::config::destination::{DestinationConfig, Protocol};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Learned {
    /// Of ccotel.
    pub version: String,
    pub url: String,
    /// None where the configuration states it.
    pub negotiation: Option<Negotiation>,
    pub horizon: Horizon,
    /// By lane: how many records and bytes the backend takes in one request.
    pub batch_max: BTreeMap<String, (u32, usize)>,
    /// In milliseconds since the epoch.
    pub last_success_ms: Option<i64>,
}

impl Learned {
    /// What of a kept document still holds.
    pub fn read(kept: Option<&str>, config: &DestinationConfig) -> Self {
        let nothing = Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            url: config.url.clone(),
            negotiation: None,
            horizon: Horizon::default(),
            batch_max: BTreeMap::new(),
            last_success_ms: None,
        };
        let Some(kept) = kept.and_then(|text| serde_json::from_str::<Self>(text).ok()) else {
            return nothing;
        };
        if kept.url != config.url {
            let mut horizon = kept.horizon;
            horizon.forget_backend();
            return Self { horizon, ..nothing };
        }
        let negotiation = kept
            .negotiation
            .filter(|_| kept.version == nothing.version && config.protocol == Protocol::Auto);
        Self { negotiation, version: nothing.version, ..kept }
    }

    pub fn write(&self) -> String {
        serde_json::to_string(self).expect("all keys are text")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::destination::DestinationType;

    fn config(url: &str) -> DestinationConfig {
        DestinationConfig::new("team-prom", DestinationType::Prometheus, url)
    }

    #[test]
    fn it_holds_for_this_version_and_address() {
        let here = config("http://127.0.0.1:9090/api/v1/write");
        let mut learned = Learned::read(None, &here);
        learned.negotiation = Some(Negotiation::V1 { since_ms: 7 });
        learned.horizon.learn(7);
        learned.batch_max.insert("samples".to_owned(), (500, 1000));
        learned.last_success_ms = Some(9);
        assert_eq!(Learned::read(Some(&learned.write()), &here), learned);

        let older = Learned { version: "0.0.1".to_owned(), ..learned.clone() };
        let now = Learned::read(Some(&older.write()), &here);
        assert_eq!(now.negotiation, None);
        assert!(now.horizon.is_known(7) && now.batch_max == learned.batch_max);

        let there = Learned::read(Some(&learned.write()), &config("http://127.0.0.1:1/"));
        assert!(!there.horizon.is_known(7) && there.batch_max.is_empty());
        assert_eq!(Learned::read(Some("{"), &here), Learned::read(None, &here));
    }
}
