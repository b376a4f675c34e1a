//! Versions of Claude Code whose telemetry is known to be wrong: the one table, for `verify` and
//! `doctor`.
//!
//! From the issues of anthropics/claude-code and its changelog.

/// When the table was last looked over.
pub const NOTED: &str = "2026-11-24";

/// What was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing is sent.
    Silent,
    /// The cost of a request is not its list price.
    WrongPrice,
    /// Tokens of a request are counted more than once.
    CountedTwice,
}

/// From a version to another, both included.
#[derive(Debug)]
pub struct Fault {
    first: [u32; 3],
    last: [u32; 3],
    /// Beginnings of the entrypoints that have it; empty: all.
    entrypoints: &'static [&'static str],
    pub effect: Effect,
    pub what: &'static str,
    pub source: &'static str,
}

const FAULTS: &[Fault] = &[
    Fault {
        first: [2, 0, 64],
        last: [2, 0, 76],
        entrypoints: &[],
        effect: Effect::Silent,
        what: "these versions apply telemetry of managed settings too late",
        source: "https://github.com/anthropics/claude-code/issues/13803",
    },
    Fault {
        first: [2, 1, 72],
        last: [2, 1, 112],
        entrypoints: &["sdk", "claude-vscode"],
        effect: Effect::Silent,
        what: "these versions send nothing from `claude -p` and the VS Code panel",
        source: "https://github.com/anthropics/claude-code/issues/33066",
    },
    Fault {
        first: [2, 1, 252],
        last: [2, 1, 252],
        entrypoints: &[],
        effect: Effect::Silent,
        what: "this version's exporter may do nothing, without a word",
        source: "https://github.com/anthropics/claude-code/issues/91165",
    },
    Fault {
        first: [2, 1, 156],
        last: [2, 1, 159],
        entrypoints: &[],
        effect: Effect::WrongPrice,
        what: "these versions have wrong prices for Opus 4.8 and Sonnet 4.5",
        source: "https://github.com/anthropics/claude-code/issues/64701",
    },
    Fault {
        first: [0, 0, 0],
        last: [2, 1, 213],
        entrypoints: &[],
        effect: Effect::CountedTwice,
        what: "before 2.1.214, usage that a proxy sends in several frames is counted twice",
        source: "https://github.com/anthropics/claude-code/blob/main/CHANGELOG.md",
    },
];

/// What is known of a version.
pub fn fault(version: &str, entrypoint: Option<&str>, effect: Effect) -> Option<&'static Fault> {
    let version = parse(version)?;
    FAULTS.iter().find(|fault| {
        let here = fault.entrypoints.is_empty()
            || entrypoint
                .is_some_and(|entry| fault.entrypoints.iter().any(|it| entry.starts_with(it)));
        fault.effect == effect && here && (fault.first..=fault.last).contains(&version)
    })
}

/// Everything that is known of a version, whatever the entrypoint; `None` if it is no version.
pub fn faults(version: &str) -> Option<Vec<&'static Fault>> {
    let version = parse(version)?;
    let is_of = |fault: &&Fault| (fault.first..=fault.last).contains(&version);
    Some(FAULTS.iter().filter(is_of).collect())
}

fn parse(version: &str) -> Option<[u32; 3]> {
    let mut parts = version.split(['.', '-', '+', ' ']).map(str::parse);
    let mut next = || parts.next()?.ok();
    Some([next()?, next()?, next()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_have_their_versions_and_places() {
        let silent = |version, entrypoint| fault(version, entrypoint, Effect::Silent).is_some();
        assert!(silent("2.1.100", Some("sdk-cli")) && !silent("2.1.100", Some("cli")));
        assert!(!silent("2.1.113", Some("sdk-cli")) && silent("2.0.64", None));
        assert!(!silent("", None) && !silent("new", None));
        assert!(fault("2.1.158", Some("cli"), Effect::WrongPrice).is_some());
        assert!(fault("2.1.214", None, Effect::CountedTwice).is_none());
        assert_eq!(faults("2.1.252").unwrap().len(), 1);
        assert!(faults("2.1.329").unwrap().is_empty() && faults("dev").is_none());
    }
}
