//! Where it happens: a sandbox whose Claude Code has hooks, a skill, a plugin, a server of tools and a
//! `gh`, and the sessions in it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::tools_server;
use crate::harness::claude::{self, HAIKU, Printed, SONNET, print_arguments};
use crate::harness::loki::Loki;
use crate::harness::mock_api::MockApi;
use crate::harness::poll;
use crate::harness::prometheus::Prometheus;
use crate::harness::sandbox::Sandbox;
use crate::harness::script::{Script, Turn, Usage};
use crate::harness::serving::Serving;
use crate::harness::terminal::Terminal;

const EDIT: &str = "change the greeting";
const COMMIT: &str = "commit it and open a pull request";
const TOOLS: &str = "use the tool of the bench";
const SKILL: &str = "use the skill";
const SUBAGENT: &str = "let somebody else count";
const COUNTING: &str = "count what there is";
const MENTION: &str = "look at @greeting.txt please";
const REFUSED: &str = "ask for what is refused";
const BAD: &str = "ask for too much";
const BUSY: &str = "ask again and again";
/// In the terminal: an edit that is accepted, and one that is not.
const TERMINAL: [&str; 2] = ["greet us all", "greet nobody"];

const ANSWER: Duration = Duration::from_mins(1);

pub struct House {
    api: MockApi,
    pub prometheus: Prometheus,
    pub loki: Loki,
    tools: (std::net::SocketAddr, Serving),
    // Last: its agent goes after what it sends to, and nothing waits for it.
    pub sandbox: Sandbox,
}

impl House {
    pub fn new() -> Result<Self> {
        let house = Self {
            api: MockApi::start(script()),
            prometheus: Prometheus::start()?,
            loki: Loki::start()?,
            tools: tools_server::start()?,
            sandbox: Sandbox::new()?,
        };
        house.sandbox.run(&["connect", "prometheus", &house.prometheus.write_url()])?;
        house.sandbox.run(&["connect", "loki", &house.loki.push_url()])?;
        fs::write(house.sandbox.repository().join("greeting.txt"), "hello\nworld\n")?;
        fs::write(house.sandbox.repository().join("secret.txt"), "hidden\n")?;
        house.write_a_skill()?;
        house.write_a_gh()?;
        house.sandbox.write_user_settings(&json!({
            "feedbackSurveyRate": 1,
            "permissions": { "deny": ["Edit(secret.txt)"] },
            "hooks": { "PostToolUse": [
                { "matcher": "Edit", "hooks": [{ "type": "command", "command": "true" }] },
            ] },
        }))?;
        Ok(house)
    }

    fn write_a_skill(&self) -> Result<()> {
        let directory = self.sandbox.repository().join(".claude/skills/greet");
        fs::create_dir_all(&directory)?;
        let skill = "---\nname: greet\ndescription: How to greet\n---\nSay hello.\n";
        Ok(fs::write(directory.join("SKILL.md"), skill)?)
    }

    /// Opens no pull request, and says that it did.
    fn write_a_gh(&self) -> Result<()> {
        let directory = self.programs();
        fs::create_dir_all(&directory)?;
        let gh = directory.join("gh");
        fs::write(&gh, "#!/bin/sh\necho https://github.com/example/checkout/pull/7\n")?;
        Ok(fs::set_permissions(&gh, fs::Permissions::from_mode(0o755))?)
    }

    fn programs(&self) -> PathBuf {
        self.sandbox.home().join("programs")
    }

    /// `ccotel claude`, with the `gh` first on its PATH.
    fn claude(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.claude(&self.api, arguments);
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env("PATH", format!("{}:{path}", self.programs().display()))
            .env("CLAUDE_CODE_MAX_RETRIES", "1")
            .env("OTEL_LOG_RAW_API_BODIES", "1")
            .env("CLAUDE_CODE_ENABLE_FEEDBACK_SURVEY_FOR_OTEL", "1")
            .env_remove("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC");
        command
    }

    fn runs(&self, arguments: &[&str]) -> Result<()> {
        let output = self.claude(arguments).stdin(Stdio::null()).output()?;
        ensure!(output.status.success(), "claude {arguments:?}: {output:?}");
        Ok(())
    }

    /// From a marketplace on disk; it has a hook that counts something.
    pub fn install_a_plugin(&self) -> Result<()> {
        let market = self.sandbox.home().join("market");
        let write = |path: &str, text: String| {
            let path = market.join(path);
            fs::create_dir_all(path.parent().unwrap_or(&market))?;
            fs::write(path, text)
        };
        for name in ["bench", "shelf"] {
            let plugin = json!({ "name": name, "version": "1.0.0", "description": "A piece" });
            write(&format!("{name}/.claude-plugin/plugin.json"), plugin.to_string())?;
        }
        let plugins = ["bench", "shelf"].map(
            |name| json!({ "name": name, "source": format!("./{name}"), "description": "A piece" }),
        );
        let list =
            json!({ "name": "stall", "owner": { "name": "A Developer" }, "plugins": plugins });
        write(".claude-plugin/marketplace.json", list.to_string())?;
        let counts = r#"echo '{"metrics":{"files_seen":3}}'"#;
        let hook = json!([{ "hooks": [{ "type": "command", "command": counts }] }]);
        let hooks = json!({ "hooks": { "PostToolUse": hook } });
        write("bench/hooks/hooks.json", hooks.to_string())?;
        self.runs(&["plugin", "marketplace", "add", &market.display().to_string()])?;
        self.runs(&["plugin", "install", "bench@stall"])
    }

    /// A prompt of every kind.
    pub fn printed(&self) -> Result<()> {
        let servers = json!({ "mcpServers": {
            "bench": { "type": "http", "url": format!("http://{}/mcp", self.tools.0) },
        } });
        let servers = servers.to_string();
        let arguments = print_arguments(SONNET, &["--mcp-config", &servers]);
        let mut session = Printed::start(self.claude(&arguments))?;
        for prompt in [EDIT, COMMIT, TOOLS, SKILL, SUBAGENT, MENTION] {
            let result = session.ask(prompt)?;
            ensure!(!result.is_error, "{prompt}: {result:?}");
        }
        session.set_permission_mode("acceptEdits")?;
        for prompt in [REFUSED, BAD, BUSY, "/compact"] {
            session.ask(prompt)?;
        }
        session.finish()?;
        Ok(())
    }

    /// Edits that the user accepts and rejects, a plugin from the interface, and a logout.
    pub fn in_a_terminal(&self) -> Result<()> {
        let arguments = ["--model", HAIKU, "--allowedTools", "Bash Read", "--", TERMINAL[0]];
        let mut terminal = Terminal::start(self.claude(&arguments))?;
        let asks = |screen: &str| screen.contains("Do you want to make this edit");
        terminal.wait_for("the question about an edit", asks)?;
        terminal.type_text("1")?;
        self.ended(&terminal, TERMINAL[0])?;
        type_prompt(&mut terminal, TERMINAL[1])?;
        terminal.wait_for("the question about another edit", asks)?;
        terminal.type_text("\u{1b}")?;
        terminal.wait_for("an empty input line", claude::has_empty_input)?;
        type_prompt(&mut terminal, "/plugin install shelf@stall")?;
        terminal.wait_for("what a plugin asks", |screen| screen.contains("❯ Install for you"))?;
        terminal.type_text("\r")?;
        terminal.wait_for("the plugin", |screen| screen.contains("Installed shelf"))?;
        terminal.wait_for("an empty input line", claude::has_empty_input)?;
        type_prompt(&mut terminal, "/logout")?;
        let code = terminal.finish(ANSWER)?;
        ensure!(code == Some(0), "claude ended with {code:?}");
        Ok(())
    }

    fn ended(&self, terminal: &Terminal, prompt: &str) -> Result<()> {
        poll::until("the last answer to a prompt", ANSWER, || {
            ensure!(self.api.finished(prompt) > 0, "{prompt:?}: {:#?}", self.api.log());
            Ok(())
        })
        .with_context(|| format!("the screen says:\n{}", terminal.screen()))?;
        terminal.wait_for("an empty input line", claude::has_empty_input)
    }

    /// Its logs have a place of their own, which is the agent's as well.
    pub fn traced_in_detail(&self) -> Result<()> {
        let token = fs::read_to_string(self.sandbox.paths().token_file())?;
        let address = self.sandbox.agent_address()?;
        let mut command = self.claude(&print_arguments(HAIKU, &[]));
        command
            .env("ENABLE_BETA_TRACING_DETAILED", "1")
            .env("OTEL_LOG_USER_PROMPTS", "1")
            .env("OTEL_LOG_TOOL_DETAILS", "1")
            .env("OTEL_LOG_TOOL_CONTENT", "1")
            .env("BETA_TRACING_ENDPOINT", format!("http://{address}/{}", token.trim()));
        claude::session(command, &[COUNTING])?;
        Ok(())
    }
}

fn type_prompt(terminal: &mut Terminal, prompt: &str) -> Result<()> {
    terminal.type_text(prompt)?;
    terminal.wait_for("what was typed", |screen| screen.contains(prompt))?;
    terminal.type_text("\r")
}

fn script() -> Script {
    let usage = Usage::new(21, 9, 400, 60);
    let edit = |file: &str, from: &str, to: &str| {
        let input = json!({ "file_path": file, "old_string": from, "new_string": to });
        Turn::tool("Edit", input, usage)
    };
    let read = |file: &str| Turn::tool("Read", json!({ "file_path": file }), usage);
    let done = || Turn::text("Done.", usage);
    Script::default()
        .prompt(
            EDIT,
            [
                read("greeting.txt"),
                edit("greeting.txt", "world", "you"),
                read("secret.txt"),
                edit("secret.txt", "hidden", "seen"),
                done(),
            ],
        )
        .prompt(
            COMMIT,
            [
                Turn::bash("git add -A && git commit -qm greeting", usage),
                Turn::bash("gh pr create --title greeting --body greeting", usage),
                done(),
            ],
        )
        .prompt(TOOLS, [Turn::tool(tools_server::TOOL, json!({}), usage), done()])
        .prompt(SKILL, [Turn::tool("Skill", json!({ "skill": "greet" }), usage), done()])
        .prompt(
            SUBAGENT,
            [
                Turn::tool(
                    "Agent",
                    json!({
                        "description": "count", "prompt": COUNTING, "subagent_type": "general-purpose",
                    }),
                    usage,
                ),
                done(),
            ],
        )
        .prompt(COUNTING, [Turn::text("Three.", usage)])
        .prompt(MENTION, [done()])
        .prompt(REFUSED, [Turn::refusal(usage)])
        .prompt(BAD, [Turn::bad_request()])
        .prompt(BUSY, [Turn::overloaded()])
        .prompt(TERMINAL[0], [read("greeting.txt"), edit("greeting.txt", "you", "all"), done()])
        .prompt(TERMINAL[1], [read("greeting.txt"), edit("greeting.txt", "all", "none"), done()])
}
