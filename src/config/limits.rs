//! Every built-in limit, in one list, for `ccotel config show`.

use crate::receive::gateway;

/// One limit of the program that is no setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Limit {
    /// Dotted, by room: `tags.count`.
    pub name: &'static str,
    pub value: u64,
    pub unit: &'static str,
    /// What is bounded, and what happens beyond it.
    pub what: &'static str,
}

/// `config.toml`, the user's and the organisation's.
pub const CONFIG_FILE_BYTES_MAX: u64 = 1024 * 1024;
/// `[[destination]]` tables in all.
pub const DESTINATIONS_MAX: usize = 16;
/// `headers` of one destination.
pub const HEADERS_MAX: usize = 16;
/// Budgets in all: each gives two series, and is a question to the history.
pub const BUDGETS_MAX: usize = 32;
/// `[agent] listen` addresses.
pub const LISTEN_MAX: usize = 8;
/// Senders of one gateway.
pub const SENDERS_MAX: usize = 500;
/// `[agent] allowed_hosts`.
pub const ALLOWED_HOSTS_MAX: usize = 16;
/// Of one name, as in DNS.
pub const HOST_BYTES_MAX: usize = 253;
/// `[agent] max_disk`, least value.
pub const DISK_BYTES_MIN: u64 = 16 * 1024 * 1024;
/// `[agent] max_disk`, greatest value.
pub const DISK_BYTES_MAX: u64 = 1024 * 1024 * 1024 * 1024;
/// `[agent] history_days`, greatest value.
pub const HISTORY_DAYS_MAX: u32 = 3650;

/// What `ccotel config show` lists. Other rooms' constants are added here.
pub const LIMITS: &[Limit] = &[
    limit("config.file", CONFIG_FILE_BYTES_MAX, "bytes", "a larger config.toml is not read"),
    limit("config.destinations", DESTINATIONS_MAX as u64, "", "further ones are refused"),
    limit("config.budgets", BUDGETS_MAX as u64, "", "further ones are refused"),
    limit("config.headers", HEADERS_MAX as u64, "", "of one destination"),
    limit("config.listen", LISTEN_MAX as u64, "addresses", "further ones are refused"),
    limit("config.allowed_hosts", ALLOWED_HOSTS_MAX as u64, "names", "further ones are refused"),
    limit(
        "tags.file",
        crate::tags::file::PROJECT_FILE_BYTES_MAX,
        "bytes",
        "a larger .ccotel.toml is not read",
    ),
    limit("tags.count", crate::tags::TAGS_MAX as u64, "tags", "further ones are left out"),
    limit(
        "tags.key",
        crate::tags::rules::KEY_BYTES_MAX as u64,
        "bytes",
        "a tag with a longer name is left out",
    ),
    limit(
        "tags.value",
        crate::tags::rules::VALUE_BYTES_MAX as u64,
        "bytes",
        "after percent-encoding; a tag with a longer value is left out",
    ),
    limit(
        "tags.directories",
        crate::tags::discover::DIRECTORIES_MAX as u64,
        "directories",
        "looked at upward from the working directory",
    ),
    limit(
        "launch.settings",
        crate::launch::layers::SETTINGS_FILE_BYTES_MAX,
        "bytes",
        "a larger settings file of Claude Code is not merged",
    ),
    limit(
        "launch.kept",
        crate::launch::settings::KEPT.as_secs(),
        "seconds",
        "the settings file of a launch is kept, for sessions that are started again",
    ),
    limit(
        "launch.problems",
        crate::launch::problems::PROBLEMS_FILE_BYTES_MAX as u64,
        "bytes",
        "of what went wrong at launches; the oldest make room",
    ),
    limit(
        "launch.depth",
        crate::launch::depth::DEPTH_MAX as u64,
        "launches",
        "within each other in a minute are a loop, and are ended",
    ),
    limit("receive.body", RECEIVE.body_bytes_max as u64, "bytes", "a larger request gets a 413"),
    limit(
        "receive.decompressed",
        RECEIVE.decompressed_bytes_max as u64,
        "bytes",
        "a request that is larger decompressed gets a 413",
    ),
    limit(
        "receive.values",
        crate::receive::expansion::VALUES_MAX as u64,
        "values",
        "a request of more messages, or of more JSON values, gets a 413",
    ),
    limit(
        "receive.bodies",
        RECEIVE.budget_bytes_max as u64,
        "bytes",
        "of all requests at once; further ones are told to come again",
    ),
    limit("receive.connections", RECEIVE.connections_max as u64, "", "further ones wait"),
    limit("gateway.senders", SENDERS_MAX as u64, "", "further ones are left out, and said"),
    limit(
        "gateway.connections",
        GATEWAY.connections_max as u64,
        "",
        "of all senders; further ones are told to come again",
    ),
    limit(
        "gateway.strangers",
        gateway::strangers::STRANGERS_MAX as u64,
        "",
        "connections without a sender yet; the oldest of the address that has most makes room",
    ),
    limit(
        "gateway.bodies",
        GATEWAY.budget_bytes_max as u64,
        "bytes",
        "of all requests at once; further ones are told to come again",
    ),
    limit(
        "gateway.decompressed",
        GATEWAY.decompressed_bytes_max as u64,
        "bytes",
        "a request that is larger decompressed gets a 413",
    ),
    limit(
        "gateway.tokens",
        gateway::tokens::TOKENS_MAX as u64,
        "",
        "of one sender; a file with more lets nobody in",
    ),
    limit(
        "gateway.sender.connections",
        gateway::usage::CONNECTIONS_MAX as u64,
        "",
        "of one sender; further ones are told to come again",
    ),
    limit(
        "gateway.sender.requests",
        gateway::usage::REQUESTS_MAX as u64,
        "",
        "of one sender at once; further ones wait for their turn",
    ),
    limit(
        "gateway.sender.bodies",
        gateway::usage::BODY_BYTES_MAX as u64,
        "bytes",
        "of one sender's requests at once; further ones are told to come again",
    ),
    limit(
        "record.records",
        crate::record::RECORDS_MAX as u64,
        "records",
        "of one request; further ones are rejected, and counted",
    ),
    limit(
        "record.attributes",
        crate::record::ATTRIBUTES_MAX as u64,
        "attributes",
        "of one event, further ones are counted; a data point with more is rejected",
    ),
    limit(
        "record.usd",
        crate::record::amounts::USD_MAX,
        "USD",
        "of one data point or event; one that says more is rejected, and counted",
    ),
    limit(
        "record.count",
        crate::record::amounts::COUNT_MAX,
        "",
        "of anything else that Claude Code counts, in one data point or event; likewise",
    ),
];

const GATEWAY: crate::receive::Limits = gateway::LIMITS;
const RECEIVE: crate::receive::Limits = crate::receive::Limits::DESIGN;

const fn limit(name: &'static str, value: u64, unit: &'static str, what: &'static str) -> Limit {
    Limit { name, value, unit, what }
}
