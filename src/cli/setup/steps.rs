//! Showing a change, asking, making it.

use std::io::{BufRead as _, Write as _};
use std::path::Path;

use crate::cli::{say, say_wrapped};
use crate::paths::Paths;
use crate::setup::edit::{self, Wanted};
use crate::setup::files::SetupError;
use crate::setup::journal::Journal;
use crate::setup::links;
use crate::setup::preview;

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// Somebody at a terminal.
    Terminal,
    /// `--yes`.
    Yes,
    /// Nobody: changes are shown and not made.
    Never,
}

pub struct Setup<'s> {
    pub paths: &'s Paths,
    pub program: &'s Path,
    pub journal: &'s mut Journal,
    pub asking: Asking,
    /// Changes that were due, and those that were made.
    pub shown: usize,
    pub made: usize,
}

impl<'s> Setup<'s> {
    pub fn new(
        paths: &'s Paths,
        program: &'s Path,
        journal: &'s mut Journal,
        asking: Asking,
    ) -> Self {
        Self { paths, program, journal, asking, shown: 0, made: 0 }
    }

    /// A path as its user writes it.
    pub fn named(&self, path: &Path) -> String {
        match path.strip_prefix(&self.paths.home) {
            Ok(below) if self.paths.home.parent().is_some() => format!("~/{}", below.display()),
            _ => path.display().to_string(),
        }
    }

    /// Gives a file what it shall have, if it lacks it. True if it has it in the end.
    pub fn file(&mut self, path: &Path, wanted: &Wanted, why: &str) -> Result<bool, SetupError> {
        let Some(planned) = edit::plan(self.journal, path, wanted)? else { return Ok(true) };
        let what = if planned.current.is_some() { "changes" } else { "is made" };
        self.head(&format!("{} {what}: {why}", self.named(path)));
        for line in preview::difference(planned.current.as_deref(), &planned.after) {
            say(&line);
        }
        if !self.is_wanted() {
            return Ok(false);
        }
        planned.carry_out(self.journal)?;
        self.made += 1;
        Ok(true)
    }

    /// A link in our own directory.
    pub fn link(&mut self, path: &Path, why: &str) -> Result<(), SetupError> {
        if !links::is_due(path, self.program) {
            return Ok(());
        }
        self.head(&format!("{} is made: {why}", self.named(path)));
        say(&format!("  + {} -> {}", self.named(path), self.program.display()));
        if self.is_wanted() {
            links::make(self.journal, path, self.program)?;
            self.made += 1;
        }
        Ok(())
    }

    /// Anything else: what it is, and the lines that it comes to.
    pub fn action(
        &mut self,
        head: &str,
        lines: &[String],
        act: impl FnOnce(&mut Self) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.head(head);
        for line in lines {
            say(&format!("  + {line}"));
        }
        if self.is_wanted() {
            act(self)?;
            self.made += 1;
        }
        Ok(())
    }

    fn head(&mut self, line: &str) {
        say("");
        say_wrapped(line);
        self.shown += 1;
    }

    fn is_wanted(&self) -> bool {
        match self.asking {
            Asking::Yes => true,
            Asking::Never => false,
            Asking::Terminal => {
                let answer = self.ask("Make this change? [Y/n] ");
                matches!(answer.as_deref(), Some("" | "y" | "yes"))
            }
        }
    }

    /// An answer in small letters; `None` where nobody is there to give one.
    pub fn ask(&self, question: &str) -> Option<String> {
        if self.asking != Asking::Terminal {
            return None;
        }
        let mut stdout = std::io::stdout();
        let _ = stdout.write_all(question.as_bytes()).and_then(|()| stdout.flush());
        let mut answer = String::new();
        match std::io::stdin().lock().read_line(&mut answer) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(answer.trim().to_lowercase()),
        }
    }
}
