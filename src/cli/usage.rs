//! What was typed and means nothing, in one sentence.
//!
//! clap says it in a paragraph with a tip, a usage line and an invitation; what a reader needs of it
//! is what was wrong, what was meant, and which help to ask for.

use std::ffi::OsString;
use std::fmt::Write as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};

/// The sentence, without a newline at its end.
pub fn sentence(error: &Error, root: &Command, arguments: &[OsString]) -> String {
    let (command, called) = called(root, arguments);
    let mut sentence = what(error, command, &called);
    match suggested(error) {
        Some(meant) => {
            let _ = write!(sentence, "; did you mean {meant}?");
        }
        None => {
            let _ = write!(sentence, "; see `{called} --help`");
        }
    }
    sentence.replace(['\n', '\r'], " ")
}

fn what(error: &Error, command: &Command, called: &str) -> String {
    let arg = name(&text(error, ContextKind::InvalidArg));
    let value = text(error, ContextKind::InvalidValue);
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let word = text(error, ContextKind::InvalidSubcommand);
            format!("`{called}` knows no command `{word}`")
        }
        ErrorKind::MissingSubcommand => {
            let shown = command.get_subcommands().filter(|one| !one.is_hide_set());
            let known: Vec<_> = shown.map(Command::get_name).filter(|it| *it != "help").collect();
            format!("`{called}` needs one of {}", known.join(", "))
        }
        ErrorKind::UnknownArgument => {
            let kind = if arg.starts_with('-') { "option" } else { "argument" };
            format!("`{called}` takes no {kind} `{arg}`")
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = list(error, ContextKind::InvalidArg).join(" and ");
            format!("`{called}` needs {missing}")
        }
        ErrorKind::ArgumentConflict => match list(error, ContextKind::PriorArg).as_slice() {
            [] => format!("{arg} cannot be given like this"),
            [same] if name(same) == arg => format!("{arg} can be given once only"),
            others => {
                let others: Vec<_> = others.iter().map(|other| name(other)).collect();
                format!("{arg} cannot be given together with {}", others.join(" and "))
            }
        },
        ErrorKind::InvalidValue if value.is_empty() => format!("{arg} needs a value"),
        ErrorKind::InvalidValue => {
            let known = list(error, ContextKind::ValidValue).join(", ");
            format!("`{value}` is no {arg}, which is one of {known}")
        }
        ErrorKind::ValueValidation => {
            let why = std::error::Error::source(error).map(ToString::to_string);
            format!("{arg}: {}", why.unwrap_or_else(|| format!("`{value}` cannot be used")))
        }
        _ => first_line(error),
    }
}

/// The command that was called, and by which words: `ccotel agent logs`.
fn called<'c>(root: &'c Command, arguments: &[OsString]) -> (&'c Command, String) {
    let mut command = root;
    let mut words = vec![root.get_name()];
    for word in arguments.iter().skip(1) {
        match command.find_subcommand(word) {
            Some(found) => command = found,
            // An option; values of ours do not stand before a command.
            None if word.to_string_lossy().starts_with('-') => continue,
            None => break,
        }
        words.push(command.get_name());
    }
    (command, words.join(" "))
}

/// An option without the name of its value.
fn name(arg: &str) -> String {
    match arg.split_once([' ', '=']) {
        Some((option, _)) if option.starts_with('-') => option.to_owned(),
        _ => arg.to_owned(),
    }
}

fn suggested(error: &Error) -> Option<String> {
    let kinds =
        [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue];
    // clap lists what is most alike last.
    let meant = kinds.into_iter().find_map(|kind| list(error, kind).pop())?;
    Some(format!("`{meant}`"))
}

fn text(error: &Error, kind: ContextKind) -> String {
    list(error, kind).join(", ")
}

/// As in the help, without the brackets: `<URL>` is URL.
fn list(error: &Error, kind: ContextKind) -> Vec<String> {
    let plain = |text: &String| text.trim_end_matches("...").replace(['<', '>'], "");
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![plain(text)],
        Some(ContextValue::Strings(texts)) => texts.iter().map(plain).collect(),
        _ => Vec::new(),
    }
}

/// What clap has no parts for.
fn first_line(error: &Error) -> String {
    let rendered = error.to_string();
    let line = rendered.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}
