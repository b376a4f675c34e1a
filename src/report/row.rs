//! What an answer is made of.

use super::groups::Key;
use super::history::packs::Activity;

/// The keys of facts in JSON.
pub const KEYS: [&str; 16] = [
    "cost_usd",
    "tokens",
    "sessions",
    "prompts",
    "requests",
    "errors",
    "active_seconds",
    "lines_added",
    "lines_removed",
    "commits",
    "pull_requests",
    "tool_calls",
    "tool_failures",
    "tool_rejections",
    "unpriced_requests",
    "imported_cost_usd",
];

/// Amounts below this are noise of adding floating-point numbers.
const NOISE: f64 = 5e-10;

/// What is known of a row. Everything but sessions can be added up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Facts {
    pub cost_usd: f64,
    pub tokens: Tokens,
    pub sessions: i64,
    pub prompts: i64,
    pub requests: i64,
    pub errors: i64,
    pub active_seconds: f64,
    pub lines_added: f64,
    pub lines_removed: f64,
    pub commits: f64,
    pub pull_requests: f64,
    /// Shown where rows stand for tools.
    pub tool_calls: i64,
    pub tool_failures: i64,
    pub tool_rejections: i64,
    /// Requests of models without a price, which are in no cost.
    pub unpriced_requests: i64,
    /// The part of the cost that was imported.
    pub imported_cost_usd: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tokens {
    pub input: f64,
    pub output: f64,
    pub cache_read: f64,
    pub cache_creation: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// One key a dimension, in the order asked.
    pub keys: Vec<Key>,
    pub facts: Facts,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    pub rows: Vec<Row>,
    pub total: Facts,
    /// The part of the total that was imported.
    pub imported: Facts,
    /// Whether cost and tokens are what events say, since a filter is one that counters do not know.
    /// Then lines, commits, pull requests and active time are not known.
    pub of_events_only: bool,
}

impl Answer {
    /// Whether nothing at all was recorded in the range.
    pub fn is_empty(&self) -> bool {
        self.total.is_nothing() && self.rows.iter().all(|row| row.facts.is_nothing())
    }
}

/// What a series counts.
#[derive(Clone, Copy)]
pub enum Counted {
    Cost,
    Input,
    Output,
    CacheRead,
    CacheCreation,
    Added,
    Removed,
    Commits,
    PullRequests,
    Active,
}

/// What a metric with a label `type` counts; `None` for what no report shows.
pub fn counted(metric: &str, kind: &str) -> Option<Counted> {
    Some(match (metric, kind) {
        ("claude_code_cost_usage_USD_total", _) => Counted::Cost,
        ("claude_code_token_usage_tokens_total", "input") => Counted::Input,
        ("claude_code_token_usage_tokens_total", "output") => Counted::Output,
        ("claude_code_token_usage_tokens_total", "cacheRead") => Counted::CacheRead,
        ("claude_code_token_usage_tokens_total", "cacheCreation") => Counted::CacheCreation,
        ("claude_code_lines_of_code_count_total", "added") => Counted::Added,
        ("claude_code_lines_of_code_count_total", "removed") => Counted::Removed,
        ("claude_code_commit_count_total", _) => Counted::Commits,
        ("claude_code_pull_request_count_total", _) => Counted::PullRequests,
        ("claude_code_active_time_seconds_total", _) => Counted::Active,
        _ => return None,
    })
}

impl Facts {
    pub fn counter(&mut self, counted: Counted) -> &mut f64 {
        match counted {
            Counted::Cost => &mut self.cost_usd,
            Counted::Input => &mut self.tokens.input,
            Counted::Output => &mut self.tokens.output,
            Counted::CacheRead => &mut self.tokens.cache_read,
            Counted::CacheCreation => &mut self.tokens.cache_creation,
            Counted::Added => &mut self.lines_added,
            Counted::Removed => &mut self.lines_removed,
            Counted::Commits => &mut self.commits,
            Counted::PullRequests => &mut self.pull_requests,
            Counted::Active => &mut self.active_seconds,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "tokens of one row are far below 2^53")]
    pub fn add_usage(&mut self, activity: &Activity, sign: f64) {
        self.cost_usd += sign * activity.cost_usd;
        self.tokens.input += sign * activity.input_tokens as f64;
        self.tokens.output += sign * activity.output_tokens as f64;
        self.tokens.cache_read += sign * activity.cache_read_tokens as f64;
        self.tokens.cache_creation += sign * activity.cache_creation_tokens as f64;
    }

    /// Adds everything but sessions.
    pub fn add(&mut self, other: &Self) {
        let mut mine = self.amounts();
        let mut others = *other;
        for (mine, other) in mine.iter_mut().zip(others.amounts()) {
            **mine += *other;
        }
        self.prompts += other.prompts;
        self.requests += other.requests;
        self.errors += other.errors;
        self.tool_calls += other.tool_calls;
        self.tool_failures += other.tool_failures;
        self.tool_rejections += other.tool_rejections;
        self.unpriced_requests += other.unpriced_requests;
    }

    /// Adds what events add up to, but neither cost and tokens nor sessions.
    pub fn add_events(&mut self, activity: &Activity) {
        self.prompts += activity.prompts;
        self.requests += activity.requests;
        self.errors += activity.errors;
        self.unpriced_requests += activity.unpriced_requests;
        self.tool_calls += activity.tool_calls;
        self.tool_failures += activity.tool_failures;
        self.tool_rejections += activity.tool_rejections;
    }

    fn amounts(&mut self) -> [&mut f64; 11] {
        [
            &mut self.cost_usd,
            &mut self.tokens.input,
            &mut self.tokens.output,
            &mut self.tokens.cache_read,
            &mut self.tokens.cache_creation,
            &mut self.active_seconds,
            &mut self.lines_added,
            &mut self.lines_removed,
            &mut self.commits,
            &mut self.pull_requests,
            &mut self.imported_cost_usd,
        ]
    }

    /// Rounds to 10⁻⁹, so that 0.1 + 0.2 is 0.3.
    pub fn denoise(&mut self) {
        for amount in self.amounts() {
            // 2^53 / 10^9: beyond it there are no such digits to round.
            if amount.abs() < NOISE {
                *amount = 0.0;
            } else if amount.abs() < 9e6 {
                *amount = (*amount * 1e9).round() / 1e9;
            }
        }
    }

    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}
