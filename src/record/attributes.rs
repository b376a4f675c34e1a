//! The one table of what Claude Code's attributes are, on points, events, spans and resources.
//!
//! Which class is kept at which level is decided in [`super::privacy`]. An attribute that this table
//! does not know is [`Class::Content`], so a new Claude Code version can never widen what is kept.
//! Source: <https://code.claude.com/docs/en/monitoring-usage>, requests recorded from 2.1.197,
//! and what 2.1.329 was seen to send.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, LazyLock};

/// What an attribute tells, and so at which privacy level it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Models, durations, sizes, counts, decisions, statuses, built-in names: always kept.
    Kept,
    /// Kept, but a part of it can be a name of the user's own: `mcp__server__tool`, `PreToolUse:x`.
    OwnPart,
    /// Ids that join records: hashed at `minimal`.
    Id,
    /// Who it is: dropped at `minimal`.
    Identity,
    /// Repository, branch, worktree, directory: dropped at `minimal`.
    Place,
    /// Names of own agents, skills, plugins, MCP servers and tools: dropped at `minimal`.
    OwnName,
    /// Error messages: dropped at `minimal`, one masked line at `standard`.
    ErrorText,
    /// Prompts, responses, commands, paths, bodies: only their length below `full`.
    Content,
}

use Class::{Content, ErrorText, Id, Identity, Kept, OwnName, OwnPart, Place};

/// Every attribute of Claude Code's metrics, events, spans and resources, by class.
pub const TABLE: &[(Class, &[&str])] = &[
    (
        Kept,
        &[
            // Resource, and every record.
            "service.name",
            "service.version",
            "service.namespace",
            "os.type",
            "os.version",
            "os.description",
            "host.arch",
            "wsl.version",
            "telemetry.sdk.language",
            "telemetry.sdk.name",
            "telemetry.sdk.version",
            "terminal.type",
            "app.version",
            "app.entrypoint",
            "otel.metric.overflow",
            "event.name",
            "event.timestamp",
            "event.sequence",
            // Log records: of a traced session, and of one with too many attributes.
            "dropped_attributes_count",
            "trace_id",
            "span_id",
            // Metrics.
            "start_type",
            "type",
            "model",
            "context",
            "speed",
            "effort",
            "decision",
            "source",
            "language",
            // Prompts, responses, requests.
            "prompt_length",
            "command_source",
            "response_length",
            "input_tokens",
            "output_tokens",
            "cache_read_tokens",
            "cache_creation_tokens",
            "cost_usd",
            "cache_creation_5m_tokens",
            "cache_creation_1h_tokens",
            "cost_usd_micros",
            "duration_ms",
            "ttft_ms",
            "status_code",
            "attempt",
            "total_attempts",
            "total_retry_duration_ms",
            "server_fallback_hop",
            "has_category",
            "has_explanation",
            "body_length",
            "body_truncated",
            // Tools and permissions.
            "success",
            "error_type",
            "decision_type",
            "decision_source",
            "tool_input_size_bytes",
            "tool_result_size_bytes",
            "mcp_server_scope",
            "tool_source",
            "permission_mode",
            "from_mode",
            "to_mode",
            "trigger",
            // Provider and managed settings (seen in 2.1.329): which kind, not where.
            "anthropic.provider",
            "anthropic.custom_base_url", // whether there is one
            "anthropic.plan",
            "anthropic.seat_type",
            "managed_settings.sources",
            "managed_settings.settings_truncated",
            "managed_settings.source_behavior",
            "managed_settings.trigger",
            "managed_settings.helper.applied",
            "managed_settings.helper.state",
            // Auth, MCP connections, internal errors.
            "action",
            "auth_method",
            "error_category",
            "status",
            "transport_type",
            "server_scope",
            "error_code",
            "error_name",
            "is_plugin",
            // Plugins, skills, mentions.
            "marketplace.is_official",
            "install.trigger",
            "install.disabled_by_default",
            "plugin.scope",
            "enabled_via",
            "has_hooks",
            "has_mcp",
            "host_owned_mcp",
            "skill_path_count",
            "command_path_count",
            "agent_path_count",
            "safe_mode",
            "invocation_trigger",
            "skill.source",
            "skill.kind",
            "mention_type",
            // Hooks.
            "hook_event",
            "hook_type",
            "hook_source",
            "num_hooks",
            "managed_only",
            "num_success",
            "num_blocking",
            "num_non_blocking_error",
            "num_cancelled",
            "total_duration_ms",
            // Compaction, subagents, surveys, retention.
            "pre_tokens",
            "post_tokens",
            "precompute_reuse",
            "agent.source",
            "is_built_in",
            "is_async",
            "total_tokens",
            "total_tool_uses",
            "final_model",
            "model_swapped",
            "event_type",
            "survey_type",
            "enabled_via_override",
            "result",
            "period_days",
            "used_default",
            "skip_reason",
            "transcripts_deleted",
            "session_files_deleted",
            "artifacts_deleted",
            "files_retained_fresh",
            "files_past_cutoff",
            "error_count",
            // Spans.
            "span.type",
            "user_prompt_length",
            "interaction.sequence",
            "interaction.duration_ms",
            "gen_ai.system",
            "gen_ai.request.model",
            "gen_ai.response.finish_reasons",
            "llm_request.context",
            "ttft_ms",
            "response.has_tool_call",
            "stop_reason",
            "result_tokens",
        ],
    ),
    (OwnPart, &["tool_name", "query_source", "hook_name"]),
    (
        Id,
        &[
            "service.instance.id",
            "session.id",
            "ccr.session.id",
            "prompt.id",
            "request_id",
            "client_request_id",
            "tool_use_id",
            "message.uuid",
            "workflow.run_id",
            "appearance_id",
            "agent_id",
            "parent_agent_id",
            "gen_ai.response.id",
            "gen_ai.tool.call.id",
        ],
    ),
    (
        Identity,
        &[
            "user.id",
            "user.email",
            "user.account_uuid",
            "user.account_id",
            "user.groups", // with the next but one: of sessions through a gateway
            "organization.id",
            "identity.source",
            "host.name",
            "host.id",
        ],
    ),
    (
        Place,
        &[
            "vcs.repository.name",
            "vcs.repository.url.full",
            "vcs.owner.name",
            "vcs.provider.name",
            "vcs.ref.head.name",
            "vcs.ref.head.revision",
            "vcs.ref.head.type",
            "ccotel.worktree",
            "ccotel.directory",
        ],
    ),
    (
        OwnName,
        &[
            "agent.name",
            "skill.name",
            "plugin.name",
            "marketplace.name",
            "mcp_server.name",
            "mcp_tool.name",
            "anthropic.mcp.server.name",
            "server_name",
            "command_name",
            "plugin_id",
            "plugin_id_hash",
            "plugin.version",
            "agent_type",
            "workflow.name",
            "skill_name",
            "subagent_type",
        ],
    ),
    (ErrorText, &["error"]),
    (
        Content,
        &[
            "prompt",
            "prompt_text",
            "managed_settings.helper.path",
            "managed_settings.helper.entry",
            "managed_settings.settings",
            "response",
            "body",
            "body_ref",
            "tool_parameters",
            "tool_input",
            "category",
            "hook_matcher",
            "hook_definitions",
            "workspace.host_paths",
            "user_prompt",
            "file_path",
            "full_command",
        ],
    ),
];

/// The attributes of a point that become labels, and no others.
pub const LABELS: &[(&str, &str)] = &[
    ("user.email", "user_email"),
    ("user.account_uuid", "user_account_uuid"),
    ("organization.id", "organization_id"),
    ("type", "type"),
    ("model", "model"),
    ("context", "context"),
    ("query_source", "query_source"),
    ("speed", "speed"),
    ("effort", "effort"),
    ("decision", "decision"),
    ("source", "source"),
    ("tool_name", "tool_name"),
    ("language", "language"),
    ("start_type", "start_type"),
    ("agent.name", "agent_name"),
    ("skill.name", "skill_name"),
    ("plugin.name", "plugin_name"),
    ("marketplace.name", "marketplace_name"),
    ("mcp_server.name", "mcp_server_name"),
    ("mcp_tool.name", "mcp_tool_name"),
    ("app.entrypoint", "app_entrypoint"),
];

/// The events that Claude Code is known to send.
pub const EVENTS: &[&str] = &[
    "user_prompt",
    "assistant_response",
    "api_request",
    "api_error",
    "api_retries_exhausted",
    "api_refusal",
    "api_request_body",
    "api_response_body",
    "tool_result",
    "tool_decision",
    "permission_mode_changed",
    "auth",
    "mcp_server_connection",
    "internal_error",
    "plugin_installed",
    "plugin_loaded",
    "skill_activated",
    "at_mention",
    "hook_registered",
    "managed_settings_resolved",
    "hook_execution_start",
    "hook_execution_complete",
    "hook_plugin_metrics",
    "compaction",
    "subagent_completed",
    "feedback_survey",
    "retention_sweep",
    "safety_event",
    "system_prompt",
    "tool",
];

/// An attribute of the table.
#[derive(Debug)]
pub struct Known {
    /// Its place in the table, for caches.
    pub index: usize,
    pub key: Arc<str>,
    pub class: Class,
    /// Its label on series, if it has one.
    pub label: Option<Arc<str>>,
    /// Its texts come again and again, so a recorder remembers the last ones.
    pub repeats: bool,
}

static INDEX: LazyLock<HashMap<&'static str, Known, BuildHasherDefault<KeyHasher>>> =
    LazyLock::new(|| {
        let keys = TABLE.iter().flat_map(|(class, keys)| keys.iter().map(|key| (*class, *key)));
        keys.enumerate()
            .map(|(index, (class, key))| {
                let label = LABELS.iter().find(|(attribute, _)| *attribute == key);
                let label = label.map(|(_, label)| Arc::from(*label));
                let repeats = repeats(class, key);
                (key, Known { index, key: key.into(), class, label, repeats })
            })
            .collect()
    });

fn repeats(class: Class, key: &str) -> bool {
    const NUMBERS: &[&str] = &["_ms", "_tokens", "_bytes", "_length", ".timestamp"];
    match class {
        Id => ["session.id", "prompt.id", "workflow.run_id", "agent_id"].contains(&key),
        ErrorText | Content => false,
        _ => !NUMBERS.iter().any(|end| key.ends_with(end)),
    }
}

/// How many attributes the table knows.
pub fn known_count() -> usize {
    INDEX.len()
}

/// The table's entry of an attribute.
pub fn find(key: &str) -> Option<&'static Known> {
    INDEX.get(key)
}

/// The class of an attribute on records named `event`, or `None` for one that is not known.
///
/// `number` says that the value is a number, a flag, or a text of digits.
pub fn class(event: &str, key: &str, number: bool) -> Option<Class> {
    if let Some(known) = find(key) {
        return Some(class_in(event, known));
    }
    if number && key.ends_with("_length") {
        return Some(Kept); // the length of content, ours or Claude Code's
    }
    // Up to 20 keys of the plugin's own choosing.
    (number && event == "hook_plugin_metrics").then_some(OwnName)
}

/// The class of a known attribute on records named `event`.
pub fn class_in(event: &str, known: &Known) -> Class {
    // A survey's answer is a choice from a list; a model's response is text.
    if known.class == Content && event == "feedback_survey" && &*known.key == "response" {
        return Kept;
    }
    known.class
}

/// The class of a label, tags and Prometheus' own being [`Class::Kept`].
pub fn class_of_label(name: &str) -> Class {
    let attribute = LABELS.iter().find(|(_, label)| *label == name);
    attribute.and_then(|(key, _)| find(key)).map_or(Kept, |known| known.class)
}

/// A quick hash for the keys of a table that is fixed at build time, so nobody can make it collide.
#[derive(Default)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = (self.0.rotate_left(5) ^ u64::from_le_bytes(word))
                .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }
}
