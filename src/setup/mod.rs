//! Setup: what ccotel changes in a home directory, shown before it is done, written down, and undone.
//!
//! ```text
//! parts (shells, editors, Claude Code's settings, links, service) ─▶ wanted edits
//!     wanted + file + journal ─▶ Planned (before, after) ─▶ shown ─▶ journal ─▶ file
//!                                     journal + file ─▶ undo ─▶ file as before, later edits kept
//! ```
//!
//! Nothing is changed that is not in the journal first (`journal`), and only two kinds of edits exist
//! (`edit`): a marked block of text at the end of a file, and keys of a JSON file that were not there.
//! A value that somebody else has set is never replaced, but for one: a status line, which ours then
//! runs, where its user says yes.

pub mod block;
pub mod claude;
pub mod directories;
pub mod edit;
pub mod editors;
pub mod files;
pub mod journal;
pub mod jsonc;
pub mod links;
pub mod preview;
pub mod program;
pub mod shell;
pub mod status_line;
pub mod undo;
