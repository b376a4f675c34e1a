//! Transcripts as Claude Code writes them, made up, with their true totals.
//!
//! What makes counting hard is in them: several lines an answer, with usage that grows in the older
//! version's files; subagents in files of their own; forks that copy what they continue, with and
//! without the name of the session that paid; lines that are broken, half, foreign or synthetic; models
//! without a price. Costs are worked out here by a table of its own.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use fastrand::Rng;
use serde_json::{Value, json};

/// What an import of everything must come to.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Truth {
    pub sessions: u64,
    pub prompts: u64,
    pub requests: u64,
    pub unpriced_requests: u64,
    pub errors: u64,
    pub tool_calls: u64,
    pub cost_usd: f64,
    pub input: i64,
    pub output: i64,
    pub cache_read: i64,
    pub cache_creation: i64,
    pub broken: u64,
    pub half: u64,
    pub foreign: u64,
    pub synthetic: u64,
    pub bytes: u64,
    pub files: u64,
}

/// Dollars of a million tokens: input, output, cache read, writes of 5 minutes and of an hour.
const PRICES: [(&str, Option<[f64; 5]>); 4] = [
    ("claude-sonnet-4-6", Some([3.0, 15.0, 0.3, 3.75, 6.0])),
    ("claude-opus-4-8", Some([5.0, 25.0, 0.5, 6.25, 10.0])),
    ("claude-haiku-4-5-20251001", Some([1.0, 5.0, 0.1, 1.25, 2.0])),
    ("some-gateway-model", None),
];
/// 2026-10-01.
const START_MS: i64 = 1_790_812_800_000;
/// Output tokens in all but the last line of an answer whose usage grows.
const SAID_FIRST: i64 = 1;
const PROJECTS: [&str; 5] = ["checkout", "search", "billing", "site", "tools"];

/// Makes transcripts of about so many bytes under a folder.
pub struct Generator {
    random: Rng,
    root: PathBuf,
    words: String,
    text_bytes_max: usize,
    pub truth: Truth,
    number: u64,
}

/// A session being written.
struct Session {
    id: String,
    file: BufWriter<File>,
    cwd: String,
    now_ms: i64,
    /// Usage of an answer's first line is only a beginning.
    grows: bool,
    /// Lines that a fork would copy.
    copied: Vec<Value>,
    sidechain: bool,
}

impl Generator {
    pub fn new(root: &Path, seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let words = (0..40_000)
            .map(|_| if random.u8(..) < 40 { ' ' } else { random.lowercase() })
            .collect();
        Self {
            random,
            root: root.to_path_buf(),
            words,
            text_bytes_max: usize::MAX,
            truth: Truth::default(),
            number: 0,
        }
    }

    /// With short texts: more of what counts in as many bytes.
    #[must_use]
    pub fn brief(mut self) -> Self {
        self.text_bytes_max = 40;
        self
    }

    /// Writes sessions until there are so many bytes.
    pub fn write(&mut self, bytes: u64) -> io::Result<()> {
        while self.truth.bytes < bytes {
            self.session()?;
        }
        Ok(())
    }

    fn session(&mut self) -> io::Result<()> {
        let project = PROJECTS[self.random.usize(..PROJECTS.len())];
        let folder = self.root.join(format!("-home-dev-src-{project}"));
        fs::create_dir_all(&folder)?;
        let grows = self.random.bool();
        let id = self.id("session");
        let mut session = Session {
            file: BufWriter::new(File::create(folder.join(format!("{id}.jsonl")))?),
            cwd: format!("/home/dev/src/{project}"),
            now_ms: START_MS + self.random.i64(0..30 * 86_400_000),
            grows,
            copied: Vec::new(),
            sidechain: false,
            id,
        };
        self.truth.files += 1;
        self.truth.sessions += 1;
        for _ in 0..self.random.u8(1..12) {
            self.prompt(&mut session, &folder)?;
        }
        if self.random.u8(..) < 20 {
            self.line(&mut session, br#"{"type":"assistant","message":{"id":"msg_"#)?;
            self.truth.broken += 1;
        }
        if self.random.u8(..) < 60 {
            self.fork(&session, &folder)?;
        }
        if self.random.u8(..) < 20 {
            let half = br#"{"type":"user","message":{"role":"user","content":"ha"#;
            session.file.write_all(half)?;
            self.truth.bytes += half.len() as u64;
            self.truth.half += 1;
        }
        session.file.flush()
    }

    fn prompt(&mut self, session: &mut Session, folder: &Path) -> io::Result<()> {
        self.truth.prompts += 1;
        let prompt = self.id("prompt");
        let text = self.text(20, 2000);
        let user = json!({
            "promptId": prompt, "type": "user", "promptSource": "typed",
            "message": { "role": "user", "content": text },
        });
        self.put(session, user, true)?;
        self.noise(session)?;
        for _ in 0..self.random.u8(1..12) {
            self.answer(session, &prompt, true)?;
        }
        if self.random.u8(..) < 25 {
            self.subagent(session, folder, &prompt)?;
        }
        self.answer(session, &prompt, false)?;
        if self.random.u8(..) < 12 {
            self.truth.errors += 1;
            let error = json!({
                "type": "assistant", "isApiErrorMessage": true, "apiErrorStatus": 529,
                "message": { "id": self.id("error"), "model": "<synthetic>", "role": "assistant",
                    "content": [{ "type": "text", "text": "API Error: overloaded" }],
                    "usage": { "input_tokens": 0, "output_tokens": 0 } },
            });
            self.put(session, error, false)?;
        }
        if self.random.u8(..) < 12 {
            self.truth.synthetic += 1;
            let own_words = json!({
                "type": "assistant",
                "message": { "id": self.id("own"), "model": "<synthetic>", "role": "assistant",
                    "content": [{ "type": "text", "text": "No response requested." }],
                    "usage": { "input_tokens": 0, "output_tokens": 0 } },
            });
            self.put(session, own_words, false)?;
        }
        if self.random.u8(..) < 8 {
            self.truth.foreign += 1;
            self.line(session, br#"{"type":"assistant","message":{"said":"in another way"}}"#)?;
        }
        Ok(())
    }

    /// An answer in one to three lines, and the result of its tool.
    fn answer(&mut self, session: &mut Session, prompt: &str, tool: bool) -> io::Result<()> {
        let (model, prices) =
            PRICES[if self.random.u8(..) < 6 { 3 } else { self.random.usize(..3) }];
        let (input, output) = (self.random.i64(1..200), self.random.i64(20..3000));
        let (read, creation) = (self.random.i64(0..90_000), self.random.i64(0..9_000));
        let hour = if self.random.bool() { creation / 3 } else { 0 };
        let tokens = [input, output, read, creation - hour, hour];
        self.truth.requests += 1;
        self.truth.input += input;
        self.truth.output += output;
        self.truth.cache_read += read;
        self.truth.cache_creation += creation;
        match prices {
            Some(prices) => {
                #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
                let cost: f64 =
                    tokens.iter().zip(prices).map(|(tokens, price)| *tokens as f64 * price).sum();
                self.truth.cost_usd += cost / 1e6;
            }
            None => self.truth.unpriced_requests += 1,
        }
        let (id, request, tool_id) = (self.id("msg"), self.id("req"), self.id("toolu"));
        let lines = self.random.usize(1..4);
        for part in 0..lines {
            let last = part + 1 == lines;
            let content = if last && tool {
                json!({ "type": "tool_use", "id": tool_id, "name": "Bash",
                    "input": { "command": self.text(20, 600) } })
            } else {
                json!({ "type": "text", "text": self.text(50, 3000) })
            };
            let said = if last || !session.grows { output } else { SAID_FIRST };
            let line = json!({
                "type": "assistant", "requestId": request, "promptId": prompt,
                "message": {
                    "id": id, "type": "message", "role": "assistant", "model": model,
                    "content": [content], "stop_reason": null,
                    "usage": {
                        "input_tokens": input, "output_tokens": said,
                        "cache_read_input_tokens": read, "cache_creation_input_tokens": creation,
                        "cache_creation": { "ephemeral_5m_input_tokens": creation - hour,
                            "ephemeral_1h_input_tokens": hour },
                        "service_tier": "standard", "iterations": [],
                    },
                },
            });
            self.put(session, line, true)?;
        }
        if tool {
            self.truth.tool_calls += 1;
            let output = self.text(100, 16_000);
            let failed = self.random.u8(..) < 20;
            let result = json!({
                "type": "user", "promptId": prompt,
                "message": { "role": "user", "content": [{ "type": "tool_result",
                    "tool_use_id": tool_id, "content": output, "is_error": failed }] },
                "toolUseResult": { "stdout": output, "stderr": "", "interrupted": false },
                "permissionDecision": { "decision": "accept", "source": "config" },
            });
            self.put(session, result, true)?;
        }
        Ok(())
    }

    fn subagent(&mut self, parent: &mut Session, folder: &Path, prompt: &str) -> io::Result<()> {
        let folder = folder.join(&parent.id).join("subagents");
        fs::create_dir_all(&folder)?;
        let file = File::create(folder.join(format!("agent-{}.jsonl", self.id("agent"))))?;
        self.truth.files += 1;
        let mut session = Session {
            id: parent.id.clone(),
            file: BufWriter::new(file),
            cwd: parent.cwd.clone(),
            now_ms: parent.now_ms,
            grows: parent.grows,
            copied: Vec::new(),
            sidechain: true,
        };
        let task = json!({ "type": "user", "message": { "role": "user", "content": "a task" } });
        self.put(&mut session, task, false)?;
        for _ in 0..self.random.u8(1..6) {
            self.answer(&mut session, prompt, true)?;
        }
        session.file.flush()
    }

    /// A session that goes on from a copy of another: what is copied counts no second time.
    fn fork(&mut self, original: &Session, folder: &Path) -> io::Result<()> {
        let id = self.id("session");
        let mut session = Session {
            file: BufWriter::new(File::create(folder.join(format!("{id}.jsonl")))?),
            cwd: original.cwd.clone(),
            now_ms: original.now_ms + 60_000,
            grows: original.grows,
            copied: Vec::new(),
            sidechain: false,
            id,
        };
        self.truth.files += 1;
        self.truth.sessions += 1;
        let says_who_paid = self.random.bool();
        for line in &original.copied {
            let mut line = line.clone();
            if says_who_paid {
                line["requestSessionId"] = original.id.clone().into();
            }
            line["sessionId"] = session.id.clone().into();
            self.line(&mut session, line.to_string().as_bytes())?;
        }
        self.prompt(&mut session, folder)?;
        session.file.flush()
    }

    /// Snapshots, which are long and do not count, and what Claude Code says by itself.
    fn noise(&mut self, session: &mut Session) -> io::Result<()> {
        let meta = json!({
            "type": "user", "isMeta": true,
            "message": { "role": "user", "content": "<system-reminder>x</system-reminder>" },
        });
        self.put(session, meta, false)?;
        let snapshot = json!({
            "type": "attachment",
            "attachment": { "type": "prompt_snapshot", "systemPrompt": [self.text(5000, 30_000)] },
        });
        self.put(session, snapshot, false)?;
        let title =
            format!(r#"{{"type":"summary","summary":"{}","leafUuid":"x"}}"#, self.id("title"));
        self.line(session, title.as_bytes())
    }

    fn put(&mut self, session: &mut Session, mut line: Value, copy: bool) -> io::Result<()> {
        session.now_ms += self.random.i64(50..20_000);
        let time = jiff::Timestamp::from_millisecond(session.now_ms).map_err(io::Error::other)?;
        line["uuid"] = self.id("uuid").into();
        line["timestamp"] = time.to_string().into();
        line["sessionId"] = session.id.clone().into();
        line["cwd"] = session.cwd.clone().into();
        line["gitBranch"] = "main".into();
        line["version"] = if session.grows { "2.0.14" } else { "2.1.329" }.into();
        line["isSidechain"] = session.sidechain.into();
        line["userType"] = "external".into();
        line["entrypoint"] = "cli".into();
        self.line(session, line.to_string().as_bytes())?;
        if copy {
            session.copied.push(line);
        }
        Ok(())
    }

    fn line(&mut self, session: &mut Session, line: &[u8]) -> io::Result<()> {
        session.file.write_all(line)?;
        session.file.write_all(b"\n")?;
        self.truth.bytes += line.len() as u64 + 1;
        Ok(())
    }

    fn text(&mut self, from: usize, to: usize) -> String {
        let length = self.random.usize(from..to).min(self.text_bytes_max);
        let start = self.random.usize(..self.words.len() - length);
        self.words[start..start + length].to_owned()
    }

    fn id(&mut self, what: &str) -> String {
        self.number += 1;
        format!("{what}_{:06x}{:024x}", self.number, self.random.u64(..))
    }
}
