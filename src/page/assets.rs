//! The page itself: the same bytes for everybody, compiled in.
//!
//! Addresses of views are the page's own to understand; all of them are answered with the shell.

use super::reply::{self, Reply};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! files {
    ($($name:literal: $kind:ident),* $(,)?) => {
        &[$((concat!("/assets/", $name), $kind, include_str!(concat!("assets/", $name)))),*]
    };
}

const SHELL: &str = include_str!("assets/index.html");
const FILES: &[(&str, &str, &str)] = files! {
    "icon.svg": SVG,
    "tokens.css": CSS,
    "layout.css": CSS,
    "parts.css": CSS,
    "tables.css": CSS,
    "session.css": CSS,
    "states.css": CSS,
    "chart.css": CSS,
    "main.js": SCRIPT,
    "access.js": SCRIPT,
    "address.js": SCRIPT,
    "api.js": SCRIPT,
    "budgets.js": SCRIPT,
    "calendar.js": SCRIPT,
    "chart.js": SCRIPT,
    "controls.js": SCRIPT,
    "dom.js": SCRIPT,
    "format.js": SCRIPT,
    "live.js": SCRIPT,
    "lists.js": SCRIPT,
    "states.js": SCRIPT,
    "theme.js": SCRIPT,
    "totals.js": SCRIPT,
    "view_health.js": SCRIPT,
    "view_models.js": SCRIPT,
    "view_overview.js": SCRIPT,
    "view_session.js": SCRIPT,
    "view_sessions.js": SCRIPT,
    "view_tools.js": SCRIPT,
};

/// What is at a path, if anything.
pub(super) fn of(path: &str) -> Option<Reply> {
    let is_view = matches!(path, "/" | "/sessions" | "/tools" | "/models" | "/health")
        || path.strip_prefix("/sessions/").is_some_and(|id| !id.contains('/'));
    if is_view {
        return Some(reply::body(SHELL, HTML));
    }
    let (_, kind, content) = FILES.iter().find(|(name, ..)| *name == path)?;
    Some(reply::body(*content, kind))
}
