//! What somebody chooses in a board's variables, and what is true of it.

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};
use ccotel::demo::calendar::Session;
use ccotel::demo::happening::What;
use ccotel::demo::truth::Facts;
use ccotel::demo::{Fortnight, Truth};

use crate::renamed::{PROJECTS, TEAMS, USERS};

const DAY_MS: i64 = 24 * 3_600_000;
const OPUS: &str = "claude-opus-4-8";
const HAIKU: &str = "claude-haiku-4-5-20251001";
/// Variables of which some are chosen. All others are All.
const VARIABLES: [&str; 7] =
    ["team", "project", "sender", "user", "model", "install", "destination"];

/// Nothing chosen of a variable is All.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    pub teams: Vec<&'static str>,
    pub projects: Vec<&'static str>,
    pub users: Vec<&'static str>,
    pub models: Vec<&'static str>,
}

impl Choice {
    /// One, several, and each of the names that are hard to write.
    pub fn all() -> Vec<Self> {
        let (team, project, user) =
            (|at: usize| TEAMS[at].1, |at: usize| PROJECTS[at].1, USERS[0].1);
        let everything = Self::default();
        vec![
            everything.clone(),
            Self { teams: vec![team(0)], ..everything.clone() },
            Self { teams: vec![team(1), team(2), team(3)], ..everything.clone() },
            Self { projects: vec![project(2)], ..everything.clone() },
            Self { projects: PROJECTS[3..].iter().map(|it| it.1).collect(), ..everything.clone() },
            Self { users: vec![USERS[1].1], ..everything.clone() },
            Self { models: vec![OPUS], ..everything },
            Self {
                teams: vec![team(0), team(1)],
                projects: vec![project(0), project(1)],
                users: vec![user, "emre@example.com", USERS[1].1],
                models: vec![OPUS, HAIKU],
            },
        ]
    }

    /// For a server that takes minutes for all of them.
    pub fn few() -> Vec<Self> {
        let of_all = Self::all();
        [0, 4, 7].into_iter().filter_map(|at| of_all.get(at).cloned()).collect()
    }

    pub fn is_all(&self) -> bool {
        self.values().iter().all(|(_, values)| values.is_empty())
    }

    pub fn words(&self) -> String {
        let chosen = self.values().into_iter().filter(|(_, values)| !values.is_empty());
        let chosen: Vec<_> = chosen.map(|(name, values)| format!("{name} {values:?}")).collect();
        if chosen.is_empty() { "All".to_owned() } else { chosen.join(", ") }
    }

    fn values(&self) -> [(&'static str, &[&'static str]); 4] {
        [
            ("team", self.teams.as_slice()),
            ("project", &self.projects),
            ("user", &self.users),
            ("model", &self.models),
        ]
    }

    /// As Grafana's own format `:regex` fills them in. What a datasource would escape in its own way is
    /// not ours to use: Prometheus' and Loki's leave quotes as they are.
    pub fn fill(&self, expr: &str) -> Result<String> {
        let mut rest = expr;
        let mut filled = String::new();
        while let Some(at) = rest.find('$') {
            filled.push_str(&rest[..at]);
            rest = &rest[at..];
            let is_of = |name: &&&str| {
                [format!("${name}"), format!("${{{name}")].iter().any(|it| rest.starts_with(it))
            };
            let Some(name) = VARIABLES.iter().find(is_of) else {
                filled.push('$');
                rest = &rest[1..];
                continue;
            };
            let Some(after) = rest.strip_prefix(&format!("${{{name}:regex}}")) else {
                bail!("{expr}: ${name} without `:regex`");
            };
            let chosen = self.values().into_iter().find(|(it, _)| it == name);
            filled.push_str(&regex(chosen.map_or(&[], |(_, values)| values)));
            rest = after;
        }
        filled.push_str(rest);
        ensure!(!filled.contains("$__all"), "{expr}");
        Ok(filled)
    }

    fn has(&self, session: &Session) -> bool {
        let of = |values: &[&str], value: &str| values.is_empty() || values.contains(&value);
        of(&self.teams, session.person.team)
            && of(&self.projects, session.project.name)
            && of(&self.users, session.person.email)
    }

    fn has_model(&self, what: &What) -> bool {
        let model = match what {
            What::Request(request) => request.running.model.name(),
            What::Failure(failure) => failure.running.model.name(),
            _ => return true,
        };
        self.models.is_empty() || self.models.contains(&model)
    }
}

/// `(a|b)`, each with what means something in a regular expression behind a backslash.
fn regex(values: &[&str]) -> String {
    let escaped = |value: &&str| {
        value.chars().fold(String::new(), |mut text, character| {
            if r"\^$*+?.()|[]{}/".contains(character) {
                text.push('\\');
            }
            text.push(character);
            text
        })
    };
    match values {
        [] => ".*".to_owned(), // the variable's `allValue`, which Grafana takes as it is
        [one] => escaped(one),
        many => format!("({})", many.iter().map(escaped).collect::<Vec<_>>().join("|")),
    }
}

/// Totals of what was chosen.
pub struct Chosen {
    /// A model is chosen of cost, tokens and requests: nothing else has one.
    of_models: Facts,
    of_all_models: Facts,
    cost_today: f64,
    pub projects: BTreeSet<String>,
}

impl Chosen {
    pub fn of(fortnight: &Fortnight, choice: &Choice) -> Self {
        let midnight_ms = fortnight.end_ms - fortnight.end_ms.rem_euclid(DAY_MS);
        let chosen = || fortnight.sessions.iter().filter(|session| choice.has(session));
        let of_all_models: Vec<Session> = chosen().map(|it| only(it, |_| true)).collect();
        let of_models: Vec<Session> =
            chosen().map(|it| only(it, |what| choice.has_model(what))).collect();
        let happenings = of_models.iter().flat_map(|session| &session.happenings);
        let cost_today = happenings
            .filter(|it| it.at_ms >= midnight_ms)
            .filter_map(|it| match &it.what {
                What::Request(request) => Some(request.cost_usd),
                _ => None,
            })
            .sum();
        let of_team =
            |it: &&Session| choice.teams.is_empty() || choice.teams.contains(&it.person.team);
        let projects = fortnight.sessions.iter().filter(of_team);
        Self {
            of_models: Truth::of(&of_models).total,
            of_all_models: Truth::of(&of_all_models).total,
            cost_today,
            projects: projects.map(|session| session.project.name.to_owned()).collect(),
        }
    }

    pub fn facts(&self) -> &Facts {
        &self.of_models
    }

    /// What a panel has to show over the fortnight; `None` for what is no total.
    #[expect(clippy::cast_precision_loss, reason = "counts of a fortnight")]
    pub fn of_panel(&self, title: &str, unit: &str) -> Option<f64> {
        let (facts, all) = (&self.of_models, &self.of_all_models);
        let tokens = &facts.tokens;
        let all_tokens = tokens.input + tokens.output + tokens.cache_read + tokens.cache_creation;
        let sessions = all.sessions.len() as f64;
        Some(match title {
            "Cost"
            | "Cost by model"
            | "Cost by model, share"
            | "Cost by team"
            | "Peak Cost Hours" => facts.cost_usd,
            "Cost today" | "Total Cost Today" => self.cost_today,
            "Cost / session" | "Average Cost / Session" => facts.cost_usd / sessions,
            "Cost per 1K Tokens" => 1000.0 * facts.cost_usd / all_tokens as f64,
            "Tokens" | "Tokens by type" => all_tokens as f64,
            "Tokens / session" => all_tokens as f64 / sessions,
            "Cache hits" | "Cache Hit Rate %" => {
                100.0 * tokens.cache_read as f64
                    / (tokens.input + tokens.cache_read + tokens.cache_creation) as f64
            }
            "Sessions" if unit == "short" => sessions,
            "Active time" => all.active_seconds,
            "Lines changed" | "Code changes" | "Lines of Code Modified" => {
                (all.lines_added + all.lines_removed) as f64
            }
            "Commits" => all.commits as f64,
            "Pull requests" => all.pull_requests as f64,
            "Prompts" | "Prompts Per Hour" | "Prompts over time" => all.prompts as f64,
            "Requests" | "Requests by model" | "Where requests come from" => facts.requests as f64,
            "Errors" | "Request errors" | "Failed requests" => facts.errors as f64,
            "Error rate" => 100.0 * facts.errors as f64 / (facts.errors + facts.requests) as f64,
            "Tools run" | "Tools over time" => all.tool_calls as f64,
            "Failures by tool" => all.tool_failures as f64,
            _ => return None,
        })
    }
}

/// The session with only such happenings.
fn only(session: &Session, wanted: impl Fn(&What) -> bool) -> Session {
    let happenings = session.happenings.iter().filter(|it| wanted(&it.what)).cloned().collect();
    Session {
        person: session.person,
        user_id: session.user_id.clone(),
        account: session.account.clone(),
        project: session.project,
        branch: session.branch,
        id: session.id.clone(),
        start: session.start,
        start_ms: session.start_ms,
        happenings,
    }
}
