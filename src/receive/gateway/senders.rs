//! The table of senders: who a token or a certificate stands for.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::Sender;
use super::tokens::Tokens;
use super::usage::Usages;
use crate::config::gateway::GatewayConfig;
use crate::config::limits::SENDERS_MAX;
use crate::receive::Token;
use crate::record;

/// Made once, and replaced whole.
#[derive(Debug, Default)]
pub struct Senders {
    by_name: BTreeMap<Arc<str>, Arc<Sender>>,
    /// By the beginning of a token's hash. Where a hash lies in a map tells nobody a token, and the
    /// whole of it is compared in constant time.
    by_token: HashMap<[u8; 8], Vec<(Token, Arc<Sender>)>>,
    by_certificate: HashMap<String, Arc<Sender>>,
    /// Tokens and certificates that two senders have, in words.
    pub problems: Vec<String>,
}

impl Senders {
    /// Those who have a token, and those whom the configuration knows by a certificate.
    pub fn new(config: &GatewayConfig, tokens: &Tokens, usages: &Usages) -> Self {
        let with_certificate = config.senders.iter().filter(|sender| sender.certificate.is_some());
        let known = with_certificate.map(|sender| sender.name.as_str());
        let names: BTreeSet<&str> =
            tokens.by_sender.keys().map(String::as_str).chain(known).collect();
        let mut senders = Self::default();
        for name in names.into_iter().take(SENDERS_MAX) {
            senders.add(name, config, tokens, usages);
        }
        senders
    }

    fn add(&mut self, name: &str, config: &GatewayConfig, tokens: &Tokens, usages: &Usages) {
        let name: Arc<str> = name.into();
        let fixed = config.senders.iter().find(|sender| *sender.name == *name);
        let tags = fixed.map(|sender| sender.tags.clone().into_iter().collect());
        let facts = record::Sender {
            name: Arc::clone(&name),
            tags: tags.unwrap_or_default(),
            level: fixed.and_then(|sender| sender.privacy),
        };
        let sender = Arc::new(Sender { facts: Arc::new(facts), usage: usages.of(&name) });
        for token in tokens.by_sender.get(&*name).into_iter().flatten() {
            let same = self.by_token.entry(token.beginning()).or_default();
            match same.iter().find(|(known, _)| known.is(token)) {
                Some((_, other)) => {
                    let other = &other.facts.name;
                    self.problems.push(format!(
                        "{name} has a token of {other}, which counts for {other}: give {name} its own"
                    ));
                }
                None => same.push((token.clone(), Arc::clone(&sender))),
            }
        }
        if let Some(certificate) = fixed.and_then(|sender| sender.certificate.clone()) {
            if let Some(other) = self.by_certificate.get(&certificate) {
                let other = &other.facts.name;
                self.problems.push(format!(
                    "{name} has the certificate {certificate} of {other}, which counts for {other}"
                ));
            } else {
                self.by_certificate.insert(certificate, Arc::clone(&sender));
            }
        }
        self.by_name.insert(name, sender);
    }

    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    pub fn knows(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    pub fn by_token(&self, text: &str) -> Option<Arc<Sender>> {
        let shown = Token::parse(text).ok()?;
        let same = self.by_token.get(&shown.beginning())?;
        same.iter().find(|(known, _)| known.is(&shown)).map(|(_, sender)| Arc::clone(sender))
    }

    /// The first of a certificate's names that stands for a sender.
    pub fn by_certificate(&self, names: &[String]) -> Option<Arc<Sender>> {
        names.iter().find_map(|name| self.by_certificate.get(name)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::gateway::SenderConfig;

    fn tokens(of: &[(&str, &str)]) -> Tokens {
        let mut tokens = Tokens::default();
        for (sender, token) in of {
            let token = Token::parse(token).unwrap();
            tokens.by_sender.entry((*sender).to_owned()).or_default().push(token);
        }
        tokens
    }

    #[test]
    fn a_token_that_two_have_counts_for_the_first_and_is_said() {
        let tokens = tokens(&[
            ("a", "0123456789abcdef"),
            ("b", "0123456789abcdef"),
            ("b", "the-own-token-of-b"),
        ]);
        let senders = Senders::new(&GatewayConfig::default(), &tokens, &Usages::default());
        let name = |token| senders.by_token(token).map(|sender| sender.facts.name.to_string());
        assert_eq!(name("0123456789abcdef").as_deref(), Some("a"));
        assert_eq!(name("the-own-token-of-b").as_deref(), Some("b"));
        assert_eq!(name("0123456789abcdeg"), None);
        assert_eq!(name(""), None);
        assert!(senders.problems[0].contains("b has a token of a"), "{:?}", senders.problems);
    }

    #[test]
    fn what_is_fixed_goes_with_the_name_and_a_certificate_needs_no_token() {
        let sender = |name: &str, certificate: Option<&str>| SenderConfig {
            name: name.into(),
            certificate: certificate.map(str::to_owned),
            tags: [("team".to_owned(), format!("of-{name}"))].into(),
            privacy: None,
        };
        let config = GatewayConfig {
            senders: vec![sender("a", None), sender("c", Some("c.example")), sender("d", None)],
            ..GatewayConfig::default()
        };
        let senders =
            Senders::new(&config, &tokens(&[("a", "0123456789abcdef")]), &Usages::default());
        let a = senders.by_token("0123456789abcdef").unwrap();
        assert_eq!(a.facts.tags, [("team".to_owned(), "of-a".to_owned())]);
        let names = ["other".to_owned(), "c.example".to_owned()];
        assert_eq!(&*senders.by_certificate(&names).unwrap().facts.name, "c");
        assert!(!senders.knows("d"), "neither token nor certificate");
    }
}
