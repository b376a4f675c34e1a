//! The `usage` of an answer, as transcripts have it.

use serde::Deserialize;

use super::lenient::{self, Flag, Text};

/// Largest count believed. More in a sum of millions would not fit SQLite's integers.
const TOKENS_MAX: i64 = 1 << 40;
/// Parts of one answer that are looked at.
const ITERATIONS_MAX: usize = 64;

/// Tokens by type, and what else has a price.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    pub total: Part,
    /// The messages that one response consisted of, where it says so.
    pub iterations: Vec<Part>,
    pub web_searches: i64,
    pub speed: Option<String>,
    /// Answered in the United States by the request's wish.
    pub inference_us: bool,
}

/// Tokens of one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    pub input: i64,
    pub output: i64,
    pub cache_read: i64,
    /// Cache writes, those of an hour included.
    pub cache_creation: i64,
    pub cache_write_1h: i64,
}

impl Part {
    /// Tokens of the prompt.
    pub fn prompt(&self) -> i64 {
        self.input + self.cache_read + self.cache_creation
    }

    pub fn all(&self) -> i64 {
        self.prompt() + self.output
    }

    fn add(&mut self, other: &Self) {
        self.input += other.input;
        self.output += other.output;
        self.cache_read += other.cache_read;
        self.cache_creation += other.cache_creation;
        self.cache_write_1h += other.cache_write_1h;
    }
}

impl Usage {
    pub fn is_fast(&self) -> bool {
        self.speed.as_deref() == Some("fast")
    }

    /// The parts of the response, if they come to the whole of it. What is known only of the whole
    /// to be a write of an hour is given to the first parts that have writes left.
    pub fn parts(&self) -> Option<&[Part]> {
        let mut sum = Part::default();
        self.iterations.iter().for_each(|part| sum.add(part));
        (!self.iterations.is_empty() && sum == self.total).then_some(&self.iterations)
    }
}

/// The object in the file.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct RawUsage<'l> {
    #[serde(deserialize_with = "lenient::count")]
    input_tokens: i64,
    #[serde(deserialize_with = "lenient::count")]
    output_tokens: i64,
    #[serde(deserialize_with = "lenient::count")]
    cache_read_input_tokens: i64,
    #[serde(deserialize_with = "lenient::count")]
    cache_creation_input_tokens: i64,
    #[serde(deserialize_with = "lenient::object")]
    cache_creation: RawCacheCreation,
    #[serde(deserialize_with = "lenient::object")]
    server_tool_use: RawServerToolUse,
    #[serde(borrow)]
    speed: Text<'l>,
    #[serde(borrow)]
    inference_geo: Text<'l>,
    #[serde(deserialize_with = "lenient::list")]
    iterations: Vec<RawIteration>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawCacheCreation {
    #[serde(deserialize_with = "lenient::count")]
    ephemeral_1h_input_tokens: i64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawServerToolUse {
    #[serde(deserialize_with = "lenient::count")]
    web_search_requests: i64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawIteration {
    #[serde(rename = "type", deserialize_with = "lenient::is_message")]
    message: Flag,
    #[serde(deserialize_with = "lenient::count")]
    input_tokens: i64,
    #[serde(deserialize_with = "lenient::count")]
    output_tokens: i64,
    #[serde(deserialize_with = "lenient::count")]
    cache_read_input_tokens: i64,
    #[serde(deserialize_with = "lenient::count")]
    cache_creation_input_tokens: i64,
    #[serde(deserialize_with = "lenient::object")]
    cache_creation: RawCacheCreation,
}

impl RawUsage<'_> {
    pub fn read(&self) -> Usage {
        let iterations = self.iterations.iter().filter(|one| one.message.0);
        Usage {
            total: part(
                [
                    self.input_tokens,
                    self.output_tokens,
                    self.cache_read_input_tokens,
                    self.cache_creation_input_tokens,
                ],
                &self.cache_creation,
            ),
            iterations: iterations.take(ITERATIONS_MAX).map(RawIteration::read).collect(),
            web_searches: bounded(self.server_tool_use.web_search_requests),
            speed: self.speed.owned(),
            inference_us: self.inference_geo.as_str() == Some("us"),
        }
    }
}

impl RawIteration {
    fn read(&self) -> Part {
        part(
            [
                self.input_tokens,
                self.output_tokens,
                self.cache_read_input_tokens,
                self.cache_creation_input_tokens,
            ],
            &self.cache_creation,
        )
    }
}

fn part([input, output, read, creation]: [i64; 4], detail: &RawCacheCreation) -> Part {
    let cache_creation = bounded(creation);
    Part {
        input: bounded(input),
        output: bounded(output),
        cache_read: bounded(read),
        cache_creation,
        cache_write_1h: detail.ephemeral_1h_input_tokens.clamp(0, cache_creation),
    }
}

fn bounded(count: i64) -> i64 {
    if (0..=TOKENS_MAX).contains(&count) { count } else { 0 }
}
