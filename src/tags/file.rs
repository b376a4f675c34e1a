//! `.ccotel.toml`, the file in a repository.
//!
//! Its type is the trust boundary. Whoever can push to a repository can write this file, so there
//! is no field here for an address, a header, a command, a path, or for anything that would collect
//! more: nothing to ask for, nothing to confirm. It tags, tightens privacy, and states a budget
//! that is only shown.

use std::collections::BTreeMap;
use std::path::Path;

use super::rules;
use crate::config::budget::{self, Budget, Period, Scope};
use crate::config::problem::Problem;
use crate::config::shape::{privacy_level, proven};
use crate::config::table::{At, Source, Table};
use crate::record::PrivacyLevel;

/// The file's name, in any directory from the working directory upward.
pub const PROJECT_FILE_NAME: &str = ".ccotel.toml";
/// A larger one is not read.
pub const PROJECT_FILE_BYTES_MAX: u64 = 64 * 1024;

/// What a repository may say.
#[derive(Debug, Default, PartialEq)]
pub struct ProjectFile {
    /// `team` and `project` among them.
    pub tags: BTreeMap<String, At<String>>,
    /// Nothing further up counts.
    pub root: bool,
    /// Only ever tightens.
    pub privacy: Option<At<PrivacyLevel>>,
    /// For its own project, and only ever shown.
    pub budget: Vec<(Period, At<f64>)>,
}

/// Reads the text of a `.ccotel.toml`. A value of a wrong type makes the file say nothing, but for
/// what it says of privacy; a tag that cannot be one is left out alone.
pub fn read(file: &Path, text: &str) -> (ProjectFile, Vec<Problem>) {
    let source = Source::new(file, text);
    let Some(document) = source.parse() else {
        return (unparsable(text), source.into_problems());
    };
    let mut top = Table::top(&source, document.get_ref());
    let privacy = privacy(&mut top);
    let root = top.boolean("root").is_some_and(|root| root.value);
    let mut tags = top.map("tags").values;
    for key in ["team", "project"] {
        let Some(value) = top.string(key) else { continue };
        if tags.contains_key(key) {
            let what = format!("`{key}` stands at the top and under [tags]; the top holds");
            top.warn(key, value.line, what, "remove one");
        }
        tags.insert(key.to_owned(), value);
    }
    let budget = top.table("budget").map(budget).unwrap_or_default();
    top.finish();
    let mut problems = source.into_problems();
    if problems.iter().any(Problem::is_error) {
        return (ProjectFile { privacy, ..ProjectFile::default() }, problems);
    }
    let (tags, refused) = rules::screen(tags);
    for (key, line, why) in refused {
        problems.push(Problem::error(file, why.what, why.remedy).at(line, format!("tags.{key}")));
    }
    (ProjectFile { tags, root, privacy, budget }, problems)
}

/// Nothing, except that a text that speaks of privacy may have wanted it tight.
fn unparsable(text: &str) -> ProjectFile {
    let line = text.lines().position(|line| line.contains("privacy"));
    let line = line.and_then(|index| u32::try_from(index + 1).ok());
    let privacy = line.map(|line| At { value: PrivacyLevel::Minimal, line });
    ProjectFile { privacy, ..ProjectFile::default() }
}

fn privacy(top: &mut Table<'_>) -> Option<At<PrivacyLevel>> {
    let unclear = |line: Option<u32>| line.map(|line| At { value: PrivacyLevel::Minimal, line });
    let line = top.line_of("privacy");
    let Some(mut table) = top.table("privacy") else { return unclear(line) };
    let line = table.line_of("level");
    let level = table.string("level");
    let level = proven(&table, "level", level, |text| privacy_level(&text));
    table.finish();
    level.or_else(|| unclear(line))
}

fn budget(mut table: Table<'_>) -> Vec<(Period, At<f64>)> {
    let found = budget::amounts(&mut table, &Scope::Total);
    table.finish();
    let amount = |At { value: Budget { period, usd, .. }, line }| (period, At { value: usd, line });
    found.into_iter().map(amount).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> (ProjectFile, Vec<String>) {
        let (file, problems) = read(Path::new(".ccotel.toml"), text);
        (file, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn it_tags_tightens_and_states_a_budget() {
        let (file, problems) = read_text(
            "team = \"payments\"\nroot = true\n[tags]\ncost_center = \"cc 42\"\n\
             [privacy]\nlevel = \"minimal\"\n[budget]\ndaily_usd = 20\nmonthly_usd = 99.5\n",
        );
        assert_eq!(problems, [""; 0]);
        assert_eq!(file.tags["team"], At { value: "payments".into(), line: 1 });
        assert_eq!(file.tags["cost_center"], At { value: "cc 42".into(), line: 4 });
        assert!(file.root);
        assert_eq!(file.privacy, Some(At { value: PrivacyLevel::Minimal, line: 6 }));
        let at = |value, line| At { value, line };
        assert_eq!(file.budget, [(Period::Day, at(20.0, 8)), (Period::Month, at(99.5, 9))]);
    }

    #[test]
    fn a_wrong_type_silences_the_file_but_not_its_privacy() {
        let (file, problems) =
            read_text("team = 5\nproject = \"x\"\n[privacy]\nlevel = \"minimal\"\n");
        assert!(file.tags.is_empty());
        assert_eq!(file.privacy.map(|level| level.value), Some(PrivacyLevel::Minimal));
        assert_eq!(
            problems,
            [".ccotel.toml:1: `team` must be a string, and is a whole number; write it as \"…\""]
        );
    }

    #[test]
    fn a_level_that_cannot_be_told_is_minimal() {
        for text in ["[privacy]\nlevel = \"tight\"", "privacy = 1", "[privacy\nlevel = \"minimal\""]
        {
            let (file, problems) = read_text(text);
            assert_eq!(
                file.privacy.map(|level| level.value),
                Some(PrivacyLevel::Minimal),
                "{text}"
            );
            assert_eq!(problems.len(), 1, "{text}");
        }
    }

    #[test]
    fn what_would_widen_is_an_unknown_key() {
        let (file, problems) = read_text("teem = \"x\"\n[agent]\nlisten = [\"0.0.0.0:1\"]\n");
        assert!(file.tags.is_empty());
        assert_eq!(
            problems,
            [
                ".ccotel.toml:2: unknown key `agent`; known here: privacy, root, tags, team, \
                 project, budget",
                ".ccotel.toml:1: unknown key `teem`; did you mean `team`?",
            ]
        );
    }
}
