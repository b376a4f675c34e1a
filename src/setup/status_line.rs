//! Claude Code's `statusLine`: ours where there is none, ours in front of the one that is there.
//!
//! ```sh
//! /usr/bin/ccotel statusline
//! [ -x /usr/bin/ccotel ] && exec /usr/bin/ccotel statusline --chain 'echo mine'; echo mine
//! ```
//!
//! The second one shows the user's own line also when the package is gone. Both are found again
//! after somebody has edited them, so that taking them out leaves no dead command behind.

use std::path::Path;

use super::jsonc::{self, JsoncError, Key};
use super::shell::Shell;

pub const LIMITS: &str = "shows cost, budget, context and limits below Claude Code's input; a status line that a project \
     sets wins over it";

const TOP: &str = "statusLine";

/// What `statusLine` is now, and the keys that make it ours.
#[derive(Debug, PartialEq, Eq)]
pub enum StatusLine {
    None(Vec<Key>),
    /// Theirs, which ours runs.
    Theirs(Vec<Key>),
    Ours,
    /// Nothing that a command could be added to.
    Strange,
}

fn at(name: &str) -> Vec<String> {
    vec![TOP.to_owned(), name.to_owned()]
}

/// Of the text of a settings file, with what an earlier setup set there.
pub fn found(text: &str, earlier: &[Key], program: &Path) -> Result<StatusLine, JsoncError> {
    if jsonc::get(text, &[TOP.to_owned()])?.is_none_or(|found| found == "null") {
        let command = Key::new(&[TOP, "command"], own(program, None));
        return Ok(StatusLine::None(vec![Key::new(&[TOP, "type"], "command"), command]));
    }
    let kind = match jsonc::get(text, &at("type")) {
        Err(JsoncError::NotAnObjectWithin(_)) => return Ok(StatusLine::Strange),
        kind => kind?,
    };
    let found = jsonc::get(text, &at("command"))?;
    let command: Option<String> = found.as_deref().and_then(|it| serde_json::from_str(it).ok());
    let (Some(found), Some(command)) = (found, command) else { return Ok(StatusLine::Strange) };
    if kind.is_some_and(|kind| kind != jsonc::string("command")) {
        return Ok(StatusLine::Strange);
    }
    let known = earlier.iter().find(|key| key.path == at("command") && key.value == command);
    let theirs = match known {
        Some(known) => known.instead_of.clone(),
        None if is_own(&command) => return Ok(StatusLine::Ours),
        None => Some(found),
    };
    let chained = theirs.as_deref().and_then(|it| serde_json::from_str::<String>(it).ok());
    let value = own(program, chained.as_deref());
    if value == command {
        return Ok(StatusLine::Ours);
    }
    let key = Key { instead_of: theirs, ..Key::new(&[TOP, "command"], value) };
    // Made for us, and made again: with its type.
    let ours: Vec<Key> = earlier.iter().filter(|key| key.path == at("type")).cloned().collect();
    Ok(StatusLine::Theirs(ours.into_iter().chain([key]).collect()))
}

/// The text without ours where somebody has edited it since: what it chains comes back, and without
/// that there is none. What still has our exact value is not this function's.
pub fn take_out_edited(text: &str, keys: &[Key]) -> Result<String, JsoncError> {
    let Some(key) = keys.iter().find(|key| key.path == at("command")) else {
        return Ok(text.to_owned());
    };
    let found = match jsonc::get(text, &key.path) {
        Err(JsoncError::NotAnObjectWithin(_)) => None,
        found => found?,
    };
    let command = found.as_deref().and_then(|it| serde_json::from_str::<String>(it).ok());
    let Some(command) = command.filter(|command| *command != key.value) else {
        return Ok(text.to_owned());
    };
    match program_of(&command) {
        Found::Others => Ok(text.to_owned()),
        Found::Ours => jsonc::remove(text, TOP),
        Found::OursInFrontOf(theirs) => {
            let theirs = jsonc::string(&theirs);
            let edited = Key { value: command, instead_of: Some(theirs), ..key.clone() };
            jsonc::take_out(text, &[edited], &[])
        }
    }
}

/// Names a command that still runs ours, in a way that cannot be taken out of it.
pub fn remains(text: &str, keys: &[Key]) -> Option<String> {
    let key = keys.iter().find(|key| key.path == at("command"))?;
    let command = jsonc::get(text, &key.path).ok().flatten()?;
    // One that was there before us may name ccotel, too.
    (is_own(&command) && key.instead_of.as_deref() != Some(&*command)).then(|| key.name())
}

/// Claude Code has a shell run it. Its standard input is there for either program.
fn own(program: &Path, chained: Option<&str>) -> String {
    let program = Shell::Bash.quote_path(program);
    match chained {
        Some(theirs) => {
            let quoted = Shell::Bash.quote(theirs);
            format!("[ -x {program} ] && exec {program} statusline --chain {quoted}; {theirs}")
        }
        None => format!("{program} statusline"),
    }
}

/// One of ours, or one that somebody has put there by hand.
pub fn is_own(command: &str) -> bool {
    command.contains("ccotel") && command.contains(" statusline")
}

/// Whose a command is.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Others,
    Ours,
    OursInFrontOf(String),
}

fn program_of(command: &str) -> Found {
    let Some(words) = words(command) else { return Found::Others };
    let guard = ["[", "-x", "", "]"];
    let is_guarded = words.len() > 7
        && guard.iter().zip(&words).all(|(expected, word)| {
            expected.is_empty() || matches!(word, Word::Text(text) if text == expected)
        })
        && words[4..6] == [Word::Operator('&'), Word::Operator('&')]
        && words[6] == Word::Text("exec".to_owned());
    let rest = &words[if is_guarded { 7 } else { 0 }..];
    let mut texts = rest.iter().map_while(|word| match word {
        Word::Text(text) => Some(text.as_str()),
        Word::Operator(_) => None,
    });
    let program = texts.find(|text| !is_assignment(text)).unwrap_or_default();
    let is_ours = Path::new(program).file_name().is_some_and(|name| name == "ccotel");
    if !is_ours || texts.next() != Some("statusline") {
        return Found::Others;
    }
    while let Some(option) = texts.next() {
        let value = option.strip_prefix("--chain=");
        let value = if option == "--chain" { texts.next() } else { value };
        if let Some(theirs) = value {
            return Found::OursInFrontOf(theirs.to_owned());
        }
    }
    Found::Ours
}

/// `NO_COLOR=1` in front of a program.
fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Word {
    Text(String),
    Operator(char),
}

/// As a shell reads them, without what it would put in for variables; `None` for an open quote.
fn words(command: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = command.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => {
                let text = word.get_or_insert_default();
                loop {
                    match letters.next()? {
                        '\'' => break,
                        other => text.push(other),
                    }
                }
            }
            '"' => {
                let text = word.get_or_insert_default();
                loop {
                    match letters.next()? {
                        '"' => break,
                        '\\' if letters.peek().is_some_and(|next| "\"\\$`".contains(*next)) => {
                            text.extend(letters.next());
                        }
                        other => text.push(other),
                    }
                }
            }
            '\\' => word.get_or_insert_default().extend(letters.next()),
            letter if letter.is_whitespace() || ";&|".contains(letter) => {
                words.extend(word.take().map(Word::Text));
                match letter {
                    '\n' => words.push(Word::Operator(';')),
                    ';' | '&' | '|' => words.push(Word::Operator(letter)),
                    _ => {}
                }
            }
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word.map(Word::Text));
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ours_chains_is_found_whatever_became_of_it() {
        let in_front = |theirs: &str| Found::OursInFrontOf(theirs.to_owned());
        for theirs in ["echo mine", "printf '%s' \"it's\"; date", "a\\b 'c'\n# d", "-x"] {
            let command = own(Path::new("/opt/it's here/ccotel"), Some(theirs));
            assert_eq!(program_of(&command), in_front(theirs), "{command}");
        }
        let edited = "NO_COLOR=1 ccotel statusline --no-color --chain=\"echo \\\"a\\\" $B\"";
        assert_eq!(program_of(edited), in_front("echo \"a\" $B"));
        assert_eq!(program_of("/usr/bin/ccotel statusline --no-color"), Found::Ours);
        for other in ["echo ccotel statusline", "mine; ccotel statusline", "ccotel 'statusline", ""]
        {
            assert_eq!(program_of(other), Found::Others, "{other}");
        }
    }
}
