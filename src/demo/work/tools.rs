//! Tools that Claude Code calls, the agents it hands work to, and what comes of both.

use super::Worker;
use crate::demo::happening::{Decision, EDIT_TOOLS, MCP_TOOL, Source, ToolEnded, What};
use crate::demo::models::{Model, Running, Tokens};

/// Of a hundred requests: calls of each tool.
const TOOLS: [(&str, u32); 9] = [
    ("Read", 27),
    ("Bash", 24),
    ("Edit", 20),
    ("Grep", 11),
    ("Write", 6),
    ("Glob", 4),
    ("TodoWrite", 4),
    (MCP_TOOL, 2),
    ("WebFetch", 2),
];
/// What is everybody's, and last one's own.
const AGENTS: [&str; 3] = ["Explore", "general-purpose", "custom"];

impl Worker<'_> {
    /// False if it was turned down, and with it the turn.
    pub(super) fn use_tool(&mut self, tool: &'static str) -> bool {
        let edits = EDIT_TOOLS.contains(&tool);
        let asks = edits || tool == "Bash" && self.one_in(3);
        let rejected = asks && self.rng.u32(..100) < self.shift.person.rejects_percent;
        let source = match (rejected, asks) {
            (true, _) => "user_reject",
            (false, true) if self.one_in(2) => "user_temporary",
            (false, true) => "user_permanent",
            (false, false) => "config",
        };
        if asks {
            self.pass(2, 14);
        }
        let call = self.rng.u64(..);
        let language = edits.then_some(self.shift.project.language);
        let accepted = !rejected;
        self.push(What::Decision(Decision { call, tool, accepted, source, language }));
        if rejected {
            return false;
        }
        let success = self.run(call, tool);
        if edits && success {
            let (added, removed) = (self.skewed(70), self.skewed(30));
            let added = if tool == "Write" { added * 2 + 5 } else { added };
            let removed = if tool == "Write" { 0 } else { removed };
            self.push(What::Lines { running: self.shift.running, added, removed });
        }
        true
    }

    fn run(&mut self, call: u64, tool: &'static str) -> bool {
        let (longest_ms, failing_percent) = match tool {
            "Bash" => (52_000, 9),
            "WebFetch" => (7_000, 12),
            MCP_TOOL => (4_500, 6),
            "Edit" => (60, 4),
            _ => (240, 1),
        };
        let duration_ms = 3 + self.skewed(longest_ms);
        self.now_ms += i64::from(duration_ms);
        let success = self.rng.u32(..100) >= failing_percent;
        let input_bytes = 30 + self.skewed(1_100);
        let result_bytes = 20 + self.skewed(9_000);
        let ended = ToolEnded { call, tool, success, duration_ms, input_bytes, result_bytes };
        self.push(What::ToolEnded(ended));
        success
    }

    /// An agent of its own context does a part of the work.
    pub(super) fn delegate(&mut self) {
        let agent = self.one_of(&AGENTS);
        let model = if agent == "Explore" { Model::Haiku } else { Model::Sonnet };
        let running = Running::plain(model);
        let call = self.rng.u64(..);
        let started_ms = self.now_ms;
        let decision =
            Decision { call, tool: "Agent", accepted: true, source: "config", language: None };
        self.push(What::Decision(decision));
        let requests = 2 + self.skewed(7);
        let mut context = 9_000;
        for step in 1..=requests {
            let fresh = 300 + u64::from(self.skewed(6_000));
            let tokens = Tokens {
                input: self.rng.u64(2..20),
                output: 40 + u64::from(self.skewed(1_100)),
                cache_read: if step == 1 { 0 } else { context },
                cache_creation: if step == 1 { context + fresh } else { fresh },
            };
            context += fresh + tokens.output;
            let id = self.request(running, Source::Agent(agent), tokens, None, false);
            if step == requests {
                self.respond(model, Source::Agent(agent), id);
            } else {
                let tool = if self.rng.bool() { "Grep" } else { "Read" };
                self.use_tool(tool);
            }
        }
        let duration_ms = self.now_ms - started_ms;
        let tools = requests - 1;
        self.push(What::SubagentDone { agent, model, tokens: context, tools, duration_ms });
        let duration_ms = u32::try_from(duration_ms).unwrap_or(u32::MAX);
        let result_bytes = 400 + self.skewed(5_000);
        self.push(What::ToolEnded(ToolEnded {
            call,
            tool: "Agent",
            success: true,
            duration_ms,
            input_bytes: 300,
            result_bytes,
        }));
    }

    pub(super) fn commit(&mut self) {
        self.use_tool_always("Bash");
        self.push(What::Commit);
        if self.one_in(4) {
            self.use_tool_always("Bash");
            self.push(What::PullRequest);
        }
    }

    /// Allowed once and for all, and it does what it should.
    fn use_tool_always(&mut self, tool: &'static str) {
        let call = self.rng.u64(..);
        let decision = Decision { call, tool, accepted: true, source: "config", language: None };
        self.push(What::Decision(decision));
        let duration_ms = 200 + self.skewed(3_000);
        self.now_ms += i64::from(duration_ms);
        let (input_bytes, result_bytes) = (120, 180);
        let ended = ToolEnded { call, tool, success: true, duration_ms, input_bytes, result_bytes };
        self.push(What::ToolEnded(ended));
    }

    pub(super) fn tool(&mut self) -> &'static str {
        let shares: u32 = TOOLS.iter().map(|(_, share)| share).sum();
        let mut draw = self.rng.u32(..shares);
        for (tool, share) in TOOLS {
            if draw < share && (tool != MCP_TOOL || self.shift.person.own_tools) {
                return tool;
            }
            draw = draw.saturating_sub(share);
        }
        "Read"
    }
}
