//! The history as it moves: sessions that are active now, what they do, and how fast money goes.
//!
//! Sessions and rates are what events say, within seconds of their arrival. Counters come later
//! (Claude Code sends them every ten seconds, and the agent samples every fifteen), so the day's cost
//! is the larger of what counters and events say: once counters have come it is `report`'s number.

mod recent;
pub mod tail;
mod windows;

pub use tail::Doing;

use self::recent::{Recent, add_tokens};
use self::tail::Tail;
use self::windows::Windows;
use super::answer::answer;
use super::groups::Key;
use super::history::reader::History;
use super::history::schema::HistoryError;
use super::question::{Dimension, Dimensions, Question};
use super::row::{Answer, Facts, Tokens};
use super::sessions::{self, Session};
use super::story::Entry;
use super::time::{Clock, MinuteRange};

/// A session that said something so lately is active, as `status` counts it.
pub const ACTIVE_FOR_MS: i64 = 15 * 60_000;
/// How long back tokens a minute are counted.
pub const RATE_MS: i64 = 5 * 60_000;
/// How long back the burn rate looks.
pub const BURN_MINUTES: i64 = 15;
/// Minutes of cost that are shown one by one. What happened in them tells what sessions do, too.
pub const COURSE_MINUTES: i64 = 60;
/// Sessions that are looked at; of more, those heard of last.
pub const SESSIONS_MAX: usize = 200;

const MINUTE_MS: i64 = 60_000;

/// Of one moment.
#[derive(Clone, Debug, Default)]
pub struct Live {
    pub at_ms: i64,
    pub sessions: Vec<LiveSession>,
    pub today: Today,
    /// Dollars an hour, if the last [`BURN_MINUTES`] went on.
    pub burn_usd_per_hour: f64,
    /// Dollars of each of the last minutes, the newest last.
    pub course_usd: Vec<f64>,
}

/// Since local midnight.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Today {
    pub since_ms: i64,
    /// The larger of the two below.
    pub cost_usd: f64,
    pub cost_of_counters_usd: f64,
    pub cost_of_events_usd: f64,
    pub tokens: Tokens,
    pub sessions: i64,
    pub prompts: i64,
    pub requests: i64,
    pub errors: i64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveSession {
    pub session_id: String,
    pub project: Option<String>,
    pub team: Option<String>,
    pub repository: Option<String>,
    pub branch: Option<String>,
    /// Of the conversation's last answer.
    pub model: Option<String>,
    pub cost_usd: f64,
    pub tokens: Tokens,
    /// Of the last [`RATE_MS`].
    pub recent_tokens: Tokens,
    pub prompts: i64,
    pub requests: i64,
    pub errors: i64,
    pub tool_calls: i64,
    /// What the conversation's last request read: its input and what came from or went to the cache.
    pub context_tokens: Option<i64>,
    /// Of the model, where it is certain.
    pub context_window: Option<i64>,
    pub doing: Doing,
    pub first_ms: i64,
    pub last_ms: i64,
    /// Heard of lately.
    pub active: bool,
}

impl LiveSession {
    /// New tokens a minute: what was read from the cache is not counted, since it is read again with
    /// each request and would hide all others.
    pub fn tokens_per_minute(&self) -> f64 {
        let tokens = &self.recent_tokens;
        #[expect(clippy::cast_precision_loss, reason = "minutes")]
        let minutes = RATE_MS as f64 / 60_000.0;
        (tokens.input + tokens.output + tokens.cache_creation) / minutes
    }

    /// How full the context is, from 0 to 1.
    pub fn context_share(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "tokens of one request")]
        let share = self.context_tokens? as f64 / self.context_window.filter(|it| *it > 0)? as f64;
        Some(share.min(1.0))
    }
}

impl Live {
    /// When something was heard last of a session that is shown.
    pub fn newest_ms(&self) -> Option<i64> {
        self.sessions.iter().map(|session| session.last_ms).max()
    }
}

/// Looks at this moment. `all`: today's sessions, too, that are not active any more.
pub fn live(history: &History, clock: &Clock, all: bool) -> Result<Live, HistoryError> {
    let at_ms = clock.now.timestamp().as_millisecond();
    let midnight = today(clock);
    let recent = Recent::new(history, at_ms)?;
    let range = MinuteRange {
        start: midnight.start.min((at_ms - ACTIVE_FOR_MS).div_euclid(MINUTE_MS)),
        end: midnight.end,
    };
    let windows = Windows::new(history, range)?;
    let mut live = Live {
        at_ms,
        sessions: Vec::new(),
        today: of_today(history, clock, midnight)?,
        burn_usd_per_hour: recent.burn_usd_per_hour(at_ms),
        course_usd: recent.course_usd(at_ms),
    };
    for session in sessions::list(history, range, &[], SESSIONS_MAX)? {
        let active = at_ms - session.last_ms <= ACTIVE_FOR_MS;
        if !active && !all {
            continue;
        }
        let whole = if session.first_ms.div_euclid(MINUTE_MS) < range.start {
            sessions::one(history, &session.id)?.unwrap_or(session)
        } else {
            session
        };
        let entries = recent.of(&whole.id);
        live.sessions.push(live_session(whole, entries, &windows, at_ms, active));
    }
    Ok(live)
}

/// From local midnight up to and with the current minute.
fn today(clock: &Clock) -> MinuteRange {
    let end = clock.minute() + 1;
    clock.range("today", None).unwrap_or(MinuteRange { start: end - 1, end })
}

fn of_today(history: &History, clock: &Clock, range: MinuteRange) -> Result<Today, HistoryError> {
    let by = Dimensions::of(Dimension::Session);
    let question = Question { clock: clock.clone(), range, by, filters: Vec::new() };
    let answer = answer(history, &question)?;
    let lacking = lacking(&answer);
    let facts = answer.total;
    let more = |amount: f64, lacking: f64| amount - lacking.min(0.0);
    Ok(Today {
        since_ms: range.start * MINUTE_MS,
        cost_usd: more(facts.cost_usd, lacking.cost_usd),
        cost_of_counters_usd: facts.cost_usd,
        cost_of_events_usd: facts.cost_usd - lacking.cost_usd,
        tokens: Tokens {
            input: more(facts.tokens.input, lacking.tokens.input),
            output: more(facts.tokens.output, lacking.tokens.output),
            cache_read: more(facts.tokens.cache_read, lacking.tokens.cache_read),
            cache_creation: more(facts.tokens.cache_creation, lacking.tokens.cache_creation),
        },
        sessions: facts.sessions,
        prompts: facts.prompts,
        requests: facts.requests,
        errors: facts.errors,
    })
}

/// What counters have and events lack; where it is negative, counters are behind.
fn lacking(answer: &Answer) -> Facts {
    let mut sum = Facts::default();
    let rows = answer.rows.iter().filter(|row| row.keys == [Key::Unattributed]);
    rows.for_each(|row| sum.add(&row.facts));
    sum
}

fn live_session(
    session: Session,
    entries: &[Entry],
    windows: &Windows,
    at_ms: i64,
    active: bool,
) -> LiveSession {
    let (mut tail, mut recent_tokens) = (Tail::default(), Tokens::default());
    for entry in entries {
        tail.see(entry);
        if at_ms - entry.time_ms <= RATE_MS {
            add_tokens(&mut recent_tokens, entry);
        }
    }
    let model = tail.model.clone().or_else(|| session.models.first().cloned());
    let window = windows.of(model.as_deref(), session.project.as_deref(), tail.context_tokens);
    LiveSession {
        project: session.project,
        team: session.team,
        repository: session.repository,
        branch: session.branch,
        model,
        cost_usd: session.facts.cost_usd,
        tokens: session.facts.tokens,
        recent_tokens,
        prompts: session.facts.prompts,
        requests: session.facts.requests,
        errors: session.facts.errors,
        tool_calls: session.facts.tool_calls,
        context_tokens: tail.context_tokens,
        context_window: window,
        doing: if active { tail.doing(at_ms) } else { Doing::Idle },
        first_ms: session.first_ms,
        last_ms: session.last_ms,
        session_id: session.id,
        active,
    }
}

#[cfg(test)]
mod tests;
