//! Tags: which team, project and other labels a session gets, and which file each came from.
//!
//! Lowest to highest: automatic (project) → the organisation's `config.toml` → the user's → the
//! user's own `OTEL_RESOURCE_ATTRIBUTES` → `.ccotel.toml`, far to near → `CCOTEL_TAGS`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::budget::{Budget, PERIODS, Scope};
use crate::config::{Loaded, Problem};
use crate::record::PrivacyLevel;

pub mod discover;
pub mod encode;
pub mod file;
pub mod git;
pub mod rules;

use discover::Found;
use git::GitFacts;

/// Tags of one session. `team` and `project` come first, the others by name.
pub const TAGS_MAX: usize = 16;
/// Tags of the person at the keyboard: `team=x,project=y`.
pub const TAGS_VARIABLE: &str = "CCOTEL_TAGS";

/// Where a tag came from: a file and its line, or words.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Source {
    pub source: String,
    pub line: Option<u32>,
}

impl Source {
    pub fn named(source: impl Into<String>) -> Self {
        Self { source: source.into(), line: None }
    }

    fn line(file: &Path, line: u32) -> Self {
        Self { source: file.display().to_string(), line: Some(line) }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.source)?;
        self.line.map_or(Ok(()), |line| write!(out, ":{line}"))
    }
}

/// A tag in effect.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Tag {
    pub value: String,
    #[serde(flatten)]
    pub source: Source,
}

/// A resource attribute that the user gives Claude Code already, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    pub key: String,
    pub value: String,
    pub source: Source,
}

/// What a resolution starts from.
pub struct Inputs<'i> {
    pub directory: &'i Path,
    pub home: &'i Path,
    pub loaded: &'i Loaded,
    /// The user's own resource attributes, lowest layer first.
    pub attributes: &'i [Attribute],
    /// The value of `CCOTEL_TAGS`.
    pub variable: Option<&'i str>,
}

/// The tags of a directory, and how they came to be.
#[derive(Clone, Debug)]
pub struct Resolved {
    pub directory: PathBuf,
    pub tags: BTreeMap<String, Tag>,
    pub level: PrivacyLevel,
    pub level_source: Source,
    /// What the repository's files state for its project: shown, and nothing else. None without one.
    pub budgets: Vec<(Budget, Source)>,
    /// The `.ccotel.toml` files that were read, nearest first.
    pub files: Vec<PathBuf>,
    pub problems: Vec<Problem>,
}

/// The tags in effect in a directory. Never fails: what cannot be used is in `problems`.
pub fn resolve(inputs: &Inputs<'_>) -> Resolved {
    let directory = canonical(inputs.directory);
    let home = canonical(inputs.home);
    let (found, problems) = discover::discover(&directory, &home);
    let (level, level_source, wider) = level(inputs.loaded, &found);
    let mut draft = Draft { tags: BTreeMap::new(), problems };
    draft.problems.extend(wider);
    if let Some((project, source)) = automatic_project(&directory, &home) {
        draft.set("project", project, Source::named(source));
    }
    for (key, value) in &inputs.loaded.config.tags {
        let origin = inputs.loaded.origin(&format!("tags.{key}"));
        draft.set(key, value.clone(), Source { source: origin.source(), line: origin.line() });
    }
    for attribute in inputs.attributes {
        // An attribute need not be able to be a tag: it then stays what it is.
        if rules::check(&attribute.key, &attribute.value).is_ok() {
            draft.set(&attribute.key, attribute.value.clone(), attribute.source.clone());
        }
    }
    for Found { path, file } in found.iter().rev() {
        for (key, at) in &file.tags {
            draft.set(key, at.value.clone(), Source::line(path, at.line));
        }
    }
    draft.variable(inputs.variable.unwrap_or_default());
    draft.bound();
    draft.problems.sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
    let project = draft.tags.get("project").map(|tag| tag.value.as_str());
    let budgets = project.map(|project| budgets(project, &found)).unwrap_or_default();
    Resolved {
        directory,
        budgets,
        tags: draft.tags,
        level,
        level_source,
        files: found.into_iter().map(|found| found.path).collect(),
        problems: draft.problems,
    }
}

/// Of each period the nearest file's.
fn budgets(project: &str, found: &[Found]) -> Vec<(Budget, Source)> {
    let of_period = |wanted| {
        found.iter().find_map(|Found { path, file }| {
            let (period, at) = file.budget.iter().find(|(period, _)| *period == wanted)?;
            let scope = Scope::Project(project.to_owned());
            let budget = Budget { scope, period: *period, usd: at.value };
            Some((budget, Source::line(path, at.line)))
        })
    };
    PERIODS.into_iter().filter_map(of_period).collect()
}

struct Draft {
    tags: BTreeMap<String, Tag>,
    problems: Vec<Problem>,
}

impl Draft {
    /// A higher layer takes the tag's place, whichever way it spells `.` and `_`.
    fn set(&mut self, key: &str, value: String, source: Source) {
        self.tags.retain(|known, _| known == key || !rules::same_key(known, key));
        self.tags.insert(key.to_owned(), Tag { value, source });
    }

    fn variable(&mut self, text: &str) {
        for (key, value) in encode::entries(text) {
            match rules::check(&key, &value) {
                Ok(()) => self.set(&key, value, Source::named(TAGS_VARIABLE)),
                Err(why) => {
                    let mut problem =
                        Problem::error(Path::new(TAGS_VARIABLE), why.what, why.remedy);
                    problem.key = Some(key);
                    self.problems.push(problem);
                }
            }
        }
    }

    fn bound(&mut self) {
        let over = self.tags.len().saturating_sub(TAGS_MAX);
        let optional = self.tags.keys().filter(|key| !matches!(key.as_str(), "team" | "project"));
        let surplus: Vec<String> = optional.rev().take(over).cloned().collect();
        // One problem a file, where the first of them stands: forty lines would hide the others.
        let mut left_out: BTreeMap<String, Vec<(Option<u32>, String)>> = BTreeMap::new();
        for key in surplus {
            let Some(Tag { source, .. }) = self.tags.remove(&key) else { continue };
            left_out.entry(source.source).or_default().push((source.line, key));
        }
        for (file, mut tags) in left_out {
            tags.sort();
            let line = tags.first().and_then(|(line, _)| *line);
            let keys: Vec<String> = tags.iter().map(|(_, key)| format!("`{key}`")).collect();
            let are = if keys.len() == 1 { "is" } else { "are" };
            let what = format!("more than {TAGS_MAX} tags; {} {are} left out", keys.join(", "));
            let mut problem = Problem::error(Path::new(&file), what, "keep the ones you query by");
            problem.line = line;
            problem.key = Some("tags".to_owned());
            self.problems.push(problem);
        }
    }
}

/// The user's level, or a tighter one of any file on the way.
fn level(loaded: &Loaded, found: &[Found]) -> (PrivacyLevel, Source, Vec<Problem>) {
    let origin = loaded.origin("privacy.level");
    let mut level = loaded.config.privacy.level;
    let mut source = Source { source: origin.source(), line: origin.line() };
    let mut problems = Vec::new();
    for Found { path, file } in found.iter().rev() {
        let Some(asked) = &file.privacy else { continue };
        if asked.value < level {
            level = asked.value;
            source = Source::line(path, asked.line);
        } else if asked.value > level {
            let what = "`privacy.level` is wider than yours, which holds";
            let remedy = "a repository can only tighten it";
            problems.push(Problem::warning(path, what, remedy).at(asked.line, "privacy.level"));
        }
    }
    (level, source, problems)
}

/// The last part of the origin remote's name, or the folder's; nothing in the home directory.
fn automatic_project(directory: &Path, home: &Path) -> Option<(String, &'static str)> {
    if directory == home || directory.parent().is_none() {
        return None;
    }
    // A home directory under version control (dotfiles) is no project.
    let facts = git::facts(directory).filter(|facts| facts.root != home);
    automatic_from(facts.as_ref(), directory)
        .filter(|(name, _)| rules::check("project", name).is_ok())
}

fn automatic_from(facts: Option<&GitFacts>, directory: &Path) -> Option<(String, &'static str)> {
    let Some(facts) = facts else {
        return Some((folder(directory)?, "automatic: the folder's name"));
    };
    if let Some(name) = facts.repository.as_deref().and_then(|name| name.rsplit('/').next()) {
        return Some((name.to_owned(), "automatic: the origin remote's name"));
    }
    Some((folder(&facts.main_root)?, "automatic: the checkout's folder name"))
}

fn folder(directory: &Path) -> Option<String> {
    Some(directory.file_name()?.to_string_lossy().into_owned())
}

/// Links resolved, so that a home directory reached by a link is still the home directory.
fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

#[cfg(test)]
mod tests;
