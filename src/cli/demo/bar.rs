//! The progress bar: only on a terminal, and gone when it is dropped.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::demo::Fortnight;
use crate::demo::run::Progress;

/// How far it is, on a terminal.
pub(super) struct Bar {
    bar: ProgressBar,
    total: u64,
    sending: bool,
}

impl Bar {
    pub(super) fn new(fortnight: &Fortnight) -> Self {
        let total: usize = fortnight.sessions.iter().map(|session| session.happenings.len()).sum();
        let total = total as u64;
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        bar.set_style(style("fourteen days pass"));
        Self { bar, total, sending: false }
    }

    pub(super) fn show(&mut self, progress: Progress) {
        match progress {
            Progress::Filling(done) => self.bar.set_position(done as u64),
            Progress::Sending(left) => {
                if !self.sending {
                    self.sending = true;
                    self.total = left;
                    self.bar.set_style(style("sending"));
                    self.bar.set_length(left);
                }
                self.bar.set_position(self.total.saturating_sub(left));
            }
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style(what: &str) -> ProgressStyle {
    let template = format!("{what} {{wide_bar}} {{percent}} %");
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
