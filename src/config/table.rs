//! Reading a TOML file by hand, key by key, so that every value knows its line and one wrong key
//! costs that key alone. Used for `config.toml` and for `.ccotel.toml`.
//!
//! A `Table` remembers the keys that were asked for; what is left at `finish` is unknown, and is
//! reported with the nearest known name.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::problem::Problem;

/// A value, and the line where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<T> {
    pub value: T,
    pub line: u32,
}

/// A table whose keys are the user's own choice.
pub struct StringMap {
    pub values: BTreeMap<String, At<String>>,
    /// Nothing had to be left out.
    pub complete: bool,
}

/// A file's name and text, and what is found to be wrong with it.
pub struct Source<'f> {
    pub file: &'f Path,
    text: &'f str,
    problems: RefCell<Vec<Problem>>,
}

impl<'f> Source<'f> {
    pub fn new(file: &'f Path, text: &'f str) -> Self {
        Self { file, text, problems: RefCell::default() }
    }

    /// The parsed document, or the syntax error as the only problem.
    pub fn parse(&self) -> Option<toml::Spanned<DeTable<'f>>> {
        DeTable::parse(self.text)
            .map_err(|error| {
                let line = self.line(error.span().map_or(0, |span| span.start));
                let what = format!("not valid TOML: {}", first_line(error.message()));
                let mut problem = Problem::error(self.file, what, "mend this line");
                problem.line = Some(line);
                self.report(problem);
            })
            .ok()
    }

    pub fn report(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    pub fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }

    fn line(&self, offset: usize) -> u32 {
        let before = self.text.get(..offset.min(self.text.len())).unwrap_or(self.text);
        u32::try_from(before.bytes().filter(|byte| *byte == b'\n').count()).unwrap_or(u32::MAX - 1)
            + 1
    }
}

/// One table of the document.
pub struct Table<'t> {
    source: &'t Source<'t>,
    keys: &'t DeTable<'t>,
    /// Dotted path of this table, empty at the top.
    path: String,
    /// Line of the table's header, or of the file's begin.
    pub line: u32,
    known: Vec<&'static str>,
}

impl<'t> Table<'t> {
    pub fn top(source: &'t Source<'t>, table: &'t DeTable<'t>) -> Self {
        Self { source, keys: table, path: String::new(), line: 1, known: Vec::new() }
    }

    pub fn string(&mut self, key: &'static str) -> Option<At<String>> {
        self.typed(key, "a string", |value| match value {
            DeValue::String(text) => Some(text.to_string()),
            _ => None,
        })
    }

    /// A string, or a bare date and time (TOML has a type for it; people write both).
    pub fn time(&mut self, key: &'static str) -> Option<At<String>> {
        self.typed(key, "a string", |value| match value {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Datetime(time) => Some(time.to_string()),
            _ => None,
        })
    }

    pub fn boolean(&mut self, key: &'static str) -> Option<At<bool>> {
        self.typed(key, "true or false", |value| match value {
            DeValue::Boolean(flag) => Some(*flag),
            _ => None,
        })
    }

    pub fn integer(&mut self, key: &'static str) -> Option<At<i64>> {
        self.typed(key, "a whole number", |value| match value {
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        })
    }

    pub fn number(&mut self, key: &'static str) -> Option<At<f64>> {
        self.typed(key, "a number", |value| match value {
            DeValue::Integer(number) => number.as_str().parse().ok(),
            DeValue::Float(number) => number.as_str().parse().ok(),
            _ => None,
        })
    }

    /// A list of strings; one string stands for a list of one.
    pub fn strings(&mut self, key: &'static str) -> Option<At<Vec<String>>> {
        self.typed(key, "a list of strings", |value| match value {
            DeValue::String(text) => Some(vec![text.to_string()]),
            DeValue::Array(items) => items
                .iter()
                .map(|item| match item.get_ref() {
                    DeValue::String(text) => Some(text.to_string()),
                    _ => None,
                })
                .collect(),
            _ => None,
        })
    }

    /// A table with keys of the user's own choice and strings as values; a value that is not a
    /// string is reported and left out, and the map is not `complete`.
    pub fn map(&mut self, key: &'static str) -> StringMap {
        let mut map = StringMap { values: BTreeMap::new(), complete: true };
        let there = self.line_of(key).is_some();
        let Some(table) = self.table(key) else {
            map.complete = !there;
            return map;
        };
        for (name, value) in table.keys {
            let line = table.source.line(value.span().start);
            let name = name.get_ref().to_string();
            match value.get_ref() {
                DeValue::String(text) => {
                    map.values.insert(name, At { value: text.to_string(), line });
                }
                other => {
                    map.complete = false;
                    table.wrong_type(&name, line, "a string", other);
                }
            }
        }
        map
    }

    pub fn table(&mut self, key: &'static str) -> Option<Table<'t>> {
        let (line, value) = self.take(key)?;
        match value {
            DeValue::Table(table) => Some(self.child(table, self.dotted(key), line)),
            other => {
                self.wrong_type(key, line, "a table", other);
                None
            }
        }
    }

    /// The tables in this one, whose names are the user's own choice; what is none is reported.
    pub fn named(self) -> Vec<(String, Table<'t>)> {
        let mut tables = Vec::new();
        for (name, value) in self.keys {
            let line = self.source.line(value.span().start);
            let name = name.get_ref().to_string();
            match value.get_ref() {
                DeValue::Table(table) => {
                    let path = self.dotted(&name);
                    tables.push((name, self.child(table, path, line)));
                }
                other => self.wrong_type(&name, line, "a table", other),
            }
        }
        tables
    }

    /// `[[key]]`.
    pub fn tables(&mut self, key: &'static str) -> Vec<Table<'t>> {
        let Some((line, value)) = self.take(key) else { return Vec::new() };
        let DeValue::Array(items) = value else {
            self.wrong_type(key, line, &format!("a list of tables ([[{key}]])"), value);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items {
            let line = self.source.line(item.span().start);
            match item.get_ref() {
                DeValue::Table(table) => tables.push(self.child(table, self.dotted(key), line)),
                other => self.wrong_type(key, line, "a table", other),
            }
        }
        tables
    }

    /// Where `key` stands, if it is there at all, whatever its type.
    pub fn line_of(&self, key: &str) -> Option<u32> {
        self.keys.get(key).map(|value| self.source.line(value.span().start))
    }

    /// Says that a value of the right type is not acceptable.
    pub fn refuse(&self, key: &str, line: u32, what: impl Into<String>, remedy: impl Into<String>) {
        let problem = Problem::error(self.source.file, what, remedy).at(line, self.dotted(key));
        self.source.report(problem);
    }

    /// Says that this table is not acceptable.
    pub fn refuse_self(&self, what: impl Into<String>, remedy: impl Into<String>) {
        let problem = Problem::error(self.source.file, what, remedy);
        self.source.report(problem.at(self.line, self.path.clone()));
    }

    pub fn warn(&self, key: &str, line: u32, what: impl Into<String>, remedy: impl Into<String>) {
        let problem = Problem::warning(self.source.file, what, remedy).at(line, self.dotted(key));
        self.source.report(problem);
    }

    /// Reports every key that nobody asked for.
    pub fn finish(self) {
        for (name, value) in self.keys {
            let name = name.get_ref();
            if self.known.contains(&name.as_ref()) {
                continue;
            }
            let remedy = match nearest(name, &self.known) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            let line = self.source.line(value.span().start);
            self.warn(name, line, format!("unknown key `{}`", self.dotted(name)), remedy);
        }
    }

    pub fn dotted(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn child(&self, table: &'t DeTable<'t>, path: String, line: u32) -> Table<'t> {
        Table { source: self.source, keys: table, path, line, known: Vec::new() }
    }

    fn typed<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        read: impl Fn(&DeValue<'_>) -> Option<T>,
    ) -> Option<At<T>> {
        let (line, value) = self.take(key)?;
        let found = read(value);
        if found.is_none() {
            self.wrong_type(key, line, wanted, value);
        }
        found.map(|value| At { value, line })
    }

    fn take(&mut self, key: &'static str) -> Option<(u32, &'t DeValue<'t>)> {
        self.known.push(key);
        let value = self.keys.get(key)?;
        Some((self.source.line(value.span().start), value.get_ref()))
    }

    fn wrong_type(&self, key: &str, line: u32, wanted: &str, found: &DeValue<'_>) {
        let kind = match found {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let what = format!("`{}` must be {wanted}, and is {kind}", self.dotted(key));
        let is_quoted = match found {
            DeValue::String(text) if wanted == "true or false" => text.parse::<bool>().is_ok(),
            DeValue::String(text) => text.parse::<f64>().is_ok(),
            _ => false,
        };
        let remedy = match wanted {
            "a string" => "write it as \"…\"",
            "a whole number" | "a number" | "true or false" if is_quoted => {
                "write it without quotes"
            }
            "a whole number" | "a number" => "write a number, as in 20",
            "true or false" => "write true or false",
            "a list of strings" => "write it as [\"…\", \"…\"]",
            _ => "",
        };
        self.refuse(key, line, what, remedy);
    }
}

/// The known name that a typing error may have meant, at most a third of its letters away.
fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    known
        .iter()
        .map(|candidate| (distance(name, candidate), *candidate))
        .filter(|(edits, candidate)| edits * 3 <= candidate.len())
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance. Names are cut, so a megabyte of key costs nothing.
fn distance(left: &str, right: &str) -> usize {
    const NAME_CHARS_MAX: usize = 64;
    let right: Vec<char> = right.chars().take(NAME_CHARS_MAX).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, left_char) in left.chars().take(NAME_CHARS_MAX).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right_char) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(left_char != *right_char);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_finds_its_key() {
        assert_eq!(nearest("max_dsik", &["listen", "max_disk", "accept"]), Some("max_disk"));
        assert_eq!(nearest("history", &["listen", "history_days"]), None);
        assert_eq!(nearest("endpoint", &["team", "project", "root"]), None);
        assert_eq!(nearest("Team", &["team", "root"]), Some("team"));
    }

    #[test]
    fn every_value_knows_its_line_and_what_is_left_is_unknown() {
        let file = Path::new("x.toml");
        let source = Source::new(file, "a = 1\n[part]\nb = \"two\"\nc = []\nd.e = 1\n");
        let document = source.parse().unwrap();
        let mut top = Table::top(&source, document.get_ref());
        assert_eq!(top.integer("a"), Some(At { value: 1, line: 1 }));
        let mut part = top.table("part").unwrap();
        assert_eq!(part.string("b"), Some(At { value: "two".into(), line: 3 }));
        assert_eq!(part.string("c"), None);
        part.finish();
        top.finish();
        let problems: Vec<String> =
            source.into_problems().iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [
                "x.toml:4: `part.c` must be a string, and is a list; write it as \"…\"",
                "x.toml:5: unknown key `part.d`; known here: b, c",
            ]
        );
    }

    #[test]
    fn a_syntax_error_names_its_line() {
        let source = Source::new(Path::new("x.toml"), "a = 1\nb = = 2\n");
        assert!(source.parse().is_none());
        assert_eq!(source.into_problems()[0].line, Some(2));
    }
}
