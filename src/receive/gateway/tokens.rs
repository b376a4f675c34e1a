//! The senders' tokens: a directory with one file a sender, named as the sender is.
//!
//! A file has a line for each token that holds, so that a new one can be given out before the old one
//! goes. A line is the token itself, or `blake3:` and the 64 hexadecimal digits of its hash; empty lines
//! and lines that begin with `#` are passed over. Kubernetes mounts a secret so, each key as a file;
//! names that begin with a dot, as its `..data`, are no senders.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::civil::Date;

use crate::agent::files::words;
use crate::config::destination::read::name_rule;
use crate::config::limits::SENDERS_MAX;
use crate::receive::Token;

/// Lines of a sender's file that are read.
pub const TOKENS_MAX: usize = 8;
/// Longest file of a sender.
const FILE_BYTES_MAX: u64 = 8 * 1024;
/// In front of a token's hash.
pub const HASH_PREFIX: &str = "blake3:";

/// By sender, with what is wrong about some of the files.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    pub by_sender: BTreeMap<String, Vec<Token>>,
    pub problems: Vec<String>,
}

/// A file or directory that cannot be used, with what to do.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {}", path.display(), words(cause))]
pub struct TokenFileError {
    path: PathBuf,
    cause: std::io::Error,
}

impl TokenFileError {
    fn new(path: &Path, cause: std::io::Error) -> Self {
        Self { path: path.to_path_buf(), cause }
    }

    pub fn is_gone(&self) -> bool {
        self.cause.kind() == std::io::ErrorKind::NotFound
    }
}

/// Every sender's tokens; a file that is wrong lets nobody in, and is a problem.
pub fn read(directory: &Path) -> Result<Tokens, TokenFileError> {
    let at = |cause| TokenFileError::new(directory, cause);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(at)? {
        let name = entry.map_err(at)?.file_name();
        if !name.as_encoded_bytes().starts_with(b".") {
            names.push(name);
        }
    }
    names.sort();
    let mut tokens = Tokens::default();
    for name in names {
        let path = directory.join(&name);
        let sender = name.to_str().and_then(|name| name_rule(name).ok());
        let read = match sender {
            None => Err("a sender's name is 1 to 63 of a-z 0-9 _ . -".to_owned()),
            Some(_) if tokens.by_sender.len() >= SENDERS_MAX => {
                Err(format!("there are more than {SENDERS_MAX} senders"))
            }
            Some(sender) => lines(&path).map(|found| (sender, found)),
        };
        match read {
            Ok((sender, found)) => {
                tokens.by_sender.insert(sender, found);
            }
            Err(why) => tokens.problems.push(format!("{} is left out: {why}", path.display())),
        }
    }
    Ok(tokens)
}

/// The only token of a file.
pub fn one(file: &Path) -> Result<Token, TokenFileError> {
    let invalid = |why: String| {
        TokenFileError::new(file, std::io::Error::new(std::io::ErrorKind::InvalidData, why))
    };
    let found = lines(file).map_err(invalid)?;
    found.into_iter().next().ok_or_else(|| invalid("there is no token in it".to_owned()))
}

fn lines(file: &Path) -> Result<Vec<Token>, String> {
    let text = crate::config::file::read_text(file, FILE_BYTES_MAX)
        .map_err(|problem| problem.what)?
        .ok_or("it does not exist")?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let found: Vec<&str> = lines.filter(|line| !line.starts_with('#')).collect();
    if found.is_empty() || found.len() > TOKENS_MAX {
        return Err(format!("it holds {} tokens, and may hold 1 to {TOKENS_MAX}", found.len()));
    }
    found.into_iter().map(token).collect()
}

fn token(line: &str) -> Result<Token, String> {
    match line.strip_prefix(HASH_PREFIX) {
        Some(hex) => Token::from_hash(hex)
            .ok_or_else(|| format!("`{HASH_PREFIX}` is followed by 64 hexadecimal digits")),
        None => Token::parse(line).map_err(|error| error.to_string()),
    }
}

/// Lines for the end of a sender's file: since when, and what tells nobody the token.
pub fn entry(token: &str, added: Date) -> String {
    format!("# added {added}\n{HASH_PREFIX}{}\n", blake3::hash(token.as_bytes()).to_hex())
}

/// The last token of a sender's file, which is the newest, with the remarks above it; `None` where
/// there is no older one.
pub fn newest(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let is_token = |line: &&str| !line.starts_with('#');
    let last = lines.iter().rposition(is_token)?;
    let older = lines[..last].iter().rposition(is_token)?;
    Some(lines[older + 1..=last].iter().flat_map(|line| [*line, "\n"]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_a_sender_and_a_wrong_one_lets_nobody_in() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(root.path().join(name), text).unwrap();
        write("ci-shop", "0123456789abcdef-shop\n");
        write(
            "ci-docs",
            &format!(
                "{}0123456789abcdef-old\n",
                entry("a-new-token-of-docs", jiff::civil::date(2026, 5, 1))
            ),
        );
        write("Upper", "0123456789abcdef-upper");
        write("short", "short");
        write("empty", "\n# nothing\n");
        write("torn", "blake3:12");
        write("..data", "0123456789abcdef-link");
        let tokens = read(root.path()).unwrap();
        assert_eq!(tokens.by_sender.keys().collect::<Vec<_>>(), ["ci-docs", "ci-shop"]);
        let docs = &tokens.by_sender["ci-docs"];
        assert!(docs[0].matches("a-new-token-of-docs") && docs[1].matches("0123456789abcdef-old"));
        assert_eq!(tokens.problems.len(), 4, "{:?}", tokens.problems);
        assert!(read(&root.path().join("none")).unwrap_err().is_gone());
    }

    #[test]
    fn the_newest_token_is_the_last_one() {
        assert_eq!(
            newest("# of May\nold\n\n# added 2026-05-01\nnew\n# end\n").as_deref(),
            Some("# added 2026-05-01\nnew\n")
        );
        assert_eq!(newest("oldest\nold\nnew").as_deref(), Some("new\n"));
        assert_eq!(newest("# added 2026-05-01\nonly\n"), None);
        assert_eq!(newest("# nothing\n"), None);
    }
}
