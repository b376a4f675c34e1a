//! One session: prompts, what Claude Code does about them, and the time in between.

use std::ops::Range;

use fastrand::Rng;

use super::cast::{Person, Project};
use super::happening::{ActiveBy, Failure, Happening, MCP_TOOL, Request, Source, What};
use super::models::{Model, Running, Tokens};

mod tools;

/// The system's prompt and tools.
const CONTEXT_BASE: u64 = 17_000;
/// So long the model's servers keep a context.
const CACHED_FOR_MS: i64 = 5 * 60_000;
const SECOND_MS: i64 = 1000;

/// What is everybody's, and last what are one's own.
const SKILLS: [&str; 2] = ["code-review", "custom"];
const COMMANDS: [&str; 3] = ["review", "init", "custom"];

/// Who works on what, from when to when.
pub struct Shift {
    pub person: &'static Person,
    pub project: &'static Project,
    pub running: Running,
    pub at_ms: Range<i64>,
    /// When most requests fail at first.
    pub overloaded_ms: Option<Range<i64>>,
    pub resumed: bool,
}

/// What happens in a shift, in the order of time. It may go on past the shift's end for a while.
pub fn happenings(shift: &Shift, rng: &mut Rng) -> Vec<Happening> {
    let mut worker = Worker {
        shift,
        rng,
        now_ms: shift.at_ms.start,
        context: CONTEXT_BASE,
        cached_until_ms: 0,
        out: Vec::new(),
    };
    if shift.resumed {
        worker.context += worker.rng.u64(10_000..80_000);
    }
    worker.push(What::Started);
    worker.pass(2, 40);
    let mut first = !shift.resumed;
    while worker.now_ms < shift.at_ms.end {
        worker.prompt(first);
        first = false;
        let think_seconds = 15 + worker.skewed(620);
        worker.now_ms += i64::from(think_seconds) * SECOND_MS;
    }
    // A tool's end and a request's may have come the wrong way round.
    worker.out.sort_by_key(|happening| happening.at_ms);
    worker.out
}

struct Worker<'a> {
    shift: &'a Shift,
    rng: &'a mut Rng,
    now_ms: i64,
    /// Tokens of the conversation so far.
    context: u64,
    cached_until_ms: i64,
    out: Vec<Happening>,
}

impl Worker<'_> {
    fn prompt(&mut self, first: bool) {
        let length = 12 + self.skewed(1_400);
        let typed_eighths = 24 + self.skewed(400);
        self.push(What::Active { by: ActiveBy::User, eighths: typed_eighths });
        let command = self.one_in(14).then(|| self.one_of(&COMMANDS));
        self.push(What::Prompt { length, command });
        let started_ms = self.now_ms;
        if first {
            self.title();
        }
        if self.context > self.shift.running.context_max() {
            self.compact();
        }
        let skill = self.one_in(14).then(|| self.one_of(&SKILLS));
        self.work_on_it(skill);
        if self.one_in(9) {
            self.commit();
        }
        let busy_eighths = (self.now_ms - started_ms) / (SECOND_MS / 8);
        let busy_eighths = u32::try_from(busy_eighths).unwrap_or(u32::MAX);
        self.push(What::Active { by: ActiveBy::Cli, eighths: busy_eighths });
    }

    /// Requests and tools in turn, until nothing is left to do, a tool is turned down, or a request
    /// fails for good.
    fn work_on_it(&mut self, skill: Option<&'static str>) {
        let steps = 1 + self.skewed(16);
        let mut is_of_mcp = false;
        for step in 0..steps {
            if self.fails() {
                return;
            }
            let request = self.main_request(skill, is_of_mcp);
            if step + 1 == steps {
                self.respond(self.shift.running.model, Source::Main, request);
                return;
            }
            if self.one_in(24) {
                self.delegate();
                continue;
            }
            let tool = self.tool();
            is_of_mcp = tool == MCP_TOOL;
            if !self.use_tool(tool) {
                return;
            }
        }
    }

    fn main_request(&mut self, skill: Option<&'static str>, is_of_mcp: bool) -> u64 {
        let output = 60 + u64::from(self.skewed(2_200));
        let fresh = 200 + u64::from(self.skewed(5_200));
        let cached = self.now_ms < self.cached_until_ms;
        let tokens = Tokens {
            input: self.rng.u64(3..40),
            output,
            cache_read: if cached { self.context } else { CONTEXT_BASE },
            cache_creation: if cached { fresh } else { self.context - CONTEXT_BASE + fresh },
        };
        self.context += fresh + output;
        let id = self.request(self.shift.running, Source::Main, tokens, skill, is_of_mcp);
        self.cached_until_ms = self.now_ms + CACHED_FOR_MS;
        id
    }

    /// Takes its time; what it cost follows from the tokens.
    fn request(
        &mut self,
        running: Running,
        source: Source,
        tokens: Tokens<u64>,
        skill: Option<&'static str>,
        is_of_mcp: bool,
    ) -> u64 {
        let per_second = match (running.model, running.fast) {
            (_, true) => 170,
            (Model::Opus, _) => 62,
            (Model::Sonnet, _) => 78,
            (Model::Haiku, _) => 160,
        };
        let first_token_ms = 350 + self.skewed(2_600);
        let writing_ms = u32::try_from(tokens.output * 1000 / per_second).unwrap_or(u32::MAX);
        let duration_ms = first_token_ms + writing_ms * self.rng.u32(80..130) / 100;
        self.now_ms += i64::from(duration_ms);
        let id = self.rng.u64(..);
        let cost_usd = running.cost_usd(&tokens);
        self.push(What::Request(Request {
            id,
            running,
            source,
            tokens,
            cost_usd,
            duration_ms,
            first_token_ms,
            skill,
            is_of_mcp,
        }));
        id
    }

    fn respond(&mut self, model: Model, source: Source, request: u64) {
        let length = 40 + self.skewed(3_000);
        self.push(What::Response { length, model, source, request });
    }

    fn title(&mut self) {
        let tokens = Tokens {
            input: self.rng.u64(280..900),
            output: self.rng.u64(8..24),
            ..Tokens::default()
        };
        let running = Running::plain(Model::Haiku);
        let id = self.request(running, Source::Title, tokens, None, false);
        self.respond(running.model, Source::Title, id);
    }

    fn compact(&mut self) {
        let (before, output) = (self.context, self.rng.u64(1_800..4_200));
        let tokens = Tokens {
            input: self.rng.u64(500..2_000),
            output,
            cache_read: before,
            cache_creation: self.rng.u64(0..900),
        };
        let started_ms = self.now_ms;
        let id = self.request(self.shift.running, Source::Compact, tokens, None, false);
        self.respond(self.shift.running.model, Source::Compact, id);
        self.context = CONTEXT_BASE + output + self.rng.u64(2_000..9_000);
        self.cached_until_ms = 0;
        let duration_ms = u32::try_from(self.now_ms - started_ms).unwrap_or(u32::MAX);
        self.push(What::Compaction {
            tokens_before: before,
            tokens_after: self.context,
            duration_ms,
        });
    }

    /// A request that was tried again and again, and given up. Rare, but for an overloaded hour.
    fn fails(&mut self) -> bool {
        let overloaded =
            self.shift.overloaded_ms.as_ref().is_some_and(|time| time.contains(&self.now_ms));
        if !(overloaded && self.one_in(6) || self.one_in(400)) {
            return false;
        }
        let (status, words) = if overloaded || self.rng.bool() {
            (529, "Overloaded")
        } else {
            (429, "This request would exceed your organization's rate limit")
        };
        let attempts = if overloaded { self.rng.u32(6..=11) } else { self.rng.u32(1..=4) };
        let retried_ms = (attempts - 1) * self.rng.u32(1_500..6_000);
        let duration_ms = self.rng.u32(90..900);
        self.now_ms += i64::from(retried_ms + duration_ms);
        let id = self.rng.u64(..);
        let running = self.shift.running;
        let failure = Failure { id, running, status, words, attempts, duration_ms, retried_ms };
        self.push(What::Failure(failure));
        true
    }

    fn push(&mut self, what: What) {
        self.out.push(Happening { at_ms: self.now_ms, what });
    }

    fn pass(&mut self, seconds_min: i64, seconds_max: i64) {
        self.now_ms += self.rng.i64(seconds_min * SECOND_MS..seconds_max * SECOND_MS);
    }

    fn one_in(&mut self, count: u32) -> bool {
        self.rng.u32(..count) == 0
    }

    /// Mostly small, up to `max`.
    fn skewed(&mut self, max: u32) -> u32 {
        let product = u64::from(self.rng.u32(..=max)) * u64::from(self.rng.u32(..=max));
        u32::try_from(product / u64::from(max.max(1))).unwrap_or(max)
    }

    /// The last is for who has tools of their own.
    fn one_of(&mut self, list: &[&'static str]) -> &'static str {
        let choices = list.len() - usize::from(!self.shift.person.own_tools);
        list[self.rng.usize(..choices)]
    }
}
