//! Who works at the demo's company, on what, and when.

use super::models::{Model, Running};

pub struct Project {
    pub name: &'static str,
    pub repository: &'static str,
    pub language: &'static str,
    pub branches: &'static [&'static str],
}

pub struct Person {
    pub email: &'static str,
    pub team: &'static str,
    /// Where most time goes first.
    pub projects: &'static [&'static Project],
    /// Minutes of the local day.
    pub hours: (i64, i64),
    /// Sessions a working day, at least and at most.
    pub sessions: (u32, u32),
    /// The model for most sessions, and another one.
    pub usual: Running,
    pub other: Running,
    /// Of a hundred edits, so many are looked at and turned down.
    pub rejects_percent: u32,
    /// Works on some days of the weekend.
    pub weekends: bool,
    /// Has MCP servers, agents and skills of their own.
    pub own_tools: bool,
    pub terminal: &'static str,
    pub version: &'static str,
}

pub const PEOPLE: &[Person] = &[
    Person {
        email: "ada@example.com",
        team: "payments",
        projects: &[&CHECKOUT, &LEDGER],
        hours: (9 * 60, 17 * 60 + 30),
        sessions: (1, 3),
        usual: OPUS,
        other: SONNET,
        rejects_percent: 6,
        weekends: false,
        own_tools: false,
        terminal: "iTerm.app",
        version: "2.1.329",
    },
    Person {
        email: "bruno@example.com",
        team: "payments",
        projects: &[&LEDGER, &FRAUD_RULES],
        hours: (8 * 60, 16 * 60 + 30),
        sessions: (2, 3),
        usual: SONNET,
        other: OPUS,
        rejects_percent: 14,
        weekends: false,
        own_tools: false,
        terminal: "vscode",
        version: "2.1.329",
    },
    Person {
        email: "chiara@example.com",
        team: "payments",
        projects: &[&CHECKOUT, &FRAUD_RULES],
        hours: (10 * 60, 19 * 60),
        sessions: (1, 3),
        usual: OPUS,
        other: OPUS_FAST,
        rejects_percent: 3,
        weekends: true,
        own_tools: true,
        terminal: "ghostty",
        version: "2.1.320",
    },
    Person {
        email: "dev@example.com",
        team: "platform",
        projects: &[&DEPLOY_TOOLS, &OBSERVABILITY],
        hours: (9 * 60 + 30, 18 * 60),
        sessions: (1, 4),
        usual: OPUS_LONG,
        other: SONNET,
        rejects_percent: 5,
        weekends: true,
        own_tools: true,
        terminal: "tmux",
        version: "2.1.329",
    },
    Person {
        email: "emre@example.com",
        team: "platform",
        projects: &[&OBSERVABILITY, &DEPLOY_TOOLS, &CHECKOUT],
        hours: (7 * 60 + 30, 16 * 60),
        sessions: (1, 3),
        usual: SONNET,
        other: HAIKU,
        rejects_percent: 10,
        weekends: false,
        own_tools: false,
        terminal: "cursor",
        version: "2.1.278",
    },
    Person {
        email: "freya@example.com",
        team: "mobile",
        projects: &[&IOS_APP, &ANDROID_APP],
        hours: (9 * 60, 17 * 60),
        sessions: (2, 3),
        usual: OPUS,
        other: SONNET,
        rejects_percent: 8,
        weekends: false,
        own_tools: false,
        terminal: "WarpTerminal",
        version: "2.1.329",
    },
    Person {
        email: "goran@example.com",
        team: "mobile",
        projects: &[&ANDROID_APP],
        hours: (11 * 60, 20 * 60),
        sessions: (1, 3),
        usual: SONNET,
        other: OPUS,
        rejects_percent: 18,
        weekends: false,
        own_tools: false,
        terminal: "vscode",
        version: "2.1.320",
    },
    Person {
        email: "hana@example.com",
        team: "data",
        projects: &[&WAREHOUSE, &FORECASTS],
        hours: (8 * 60 + 30, 17 * 60),
        sessions: (2, 4),
        usual: SONNET_LONG,
        other: OPUS,
        rejects_percent: 7,
        weekends: false,
        own_tools: true,
        terminal: "iTerm.app",
        version: "2.1.329",
    },
    Person {
        email: "ivo@example.com",
        team: "data",
        projects: &[&FORECASTS, &WAREHOUSE],
        hours: (10 * 60, 18 * 60 + 30),
        sessions: (1, 3),
        usual: HAIKU,
        other: SONNET,
        rejects_percent: 9,
        weekends: true,
        own_tools: false,
        terminal: "xterm-256color",
        version: "2.1.278",
    },
];

const OPUS: Running = Running { effort: Some("high"), ..Running::plain(Model::Opus) };
const OPUS_FAST: Running = Running { fast: true, ..OPUS };
const OPUS_LONG: Running = Running { long: true, ..OPUS };
const SONNET: Running = Running { effort: Some("medium"), ..Running::plain(Model::Sonnet) };
const SONNET_LONG: Running = Running { long: true, ..SONNET };
const HAIKU: Running = Running::plain(Model::Haiku);

pub const CHECKOUT: Project = Project {
    name: "checkout",
    repository: "checkout-web",
    language: "TypeScript",
    branches: &["main", "one-click-pay", "fix-rounding"],
};
const LEDGER: Project = Project {
    name: "ledger",
    repository: "ledger",
    language: "Go",
    branches: &["main", "double-entry", "audit-trail"],
};
const FRAUD_RULES: Project = Project {
    name: "fraud-rules",
    repository: "fraud-rules",
    language: "Python",
    branches: &["main", "velocity-check"],
};
const DEPLOY_TOOLS: Project = Project {
    name: "deploy-tools",
    repository: "deploy-tools",
    language: "Rust",
    branches: &["main", "blue-green", "faster-rollback"],
};
const OBSERVABILITY: Project = Project {
    name: "observability",
    repository: "observability",
    language: "Go",
    branches: &["main", "alert-rules"],
};
const IOS_APP: Project = Project {
    name: "ios-app",
    repository: "shop-ios",
    language: "Swift",
    branches: &["main", "widgets"],
};
const ANDROID_APP: Project = Project {
    name: "android-app",
    repository: "shop-android",
    language: "Kotlin",
    branches: &["main", "widgets", "startup-time"],
};
const WAREHOUSE: Project = Project {
    name: "warehouse",
    repository: "warehouse",
    language: "SQL",
    branches: &["main", "orders-v2"],
};
const FORECASTS: Project = Project {
    name: "forecasts",
    repository: "forecasts",
    language: "Python",
    branches: &["main", "seasonality"],
};
