//! `ccotel top`: sessions as they run, on a terminal.
//!
//! ```text
//! history.db ──▶ source ──▶ Shown ─┐
//! agent ──────▶ (a thread) ────────┤
//!                                  ├──▶ draw ──▶ terminal
//! bytes ──▶ keys ──▶ state ────────┘
//! ```
//!
//! One thread does everything but asking the agent. It sleeps in one `poll` for keys, signals, the
//! agent's answer, and the next second. [`state`], [`order`], [`keys`] and [`draw`] are pure.

pub mod draw;
pub mod json;
pub mod keys;
pub mod order;
pub mod shown;
pub mod source;
pub mod state;
pub mod terminal;

use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::Context;
use jiff::Zoned;

use crate::agent::status::Status;
use crate::paths::Paths;
use draw::Theme;
use keys::Key;
use shown::Shown;
use source::{Source, StatusSlot, Wanted};
use state::{Effect, State, View};
use terminal::{Event, Screen};

/// Ages move every second, so that is how often the screen is drawn without news.
const SECOND: Duration = Duration::from_secs(1);

/// Until it is quit, or ended by a signal.
pub fn run(
    paths: &Paths,
    theme: Theme,
    all: bool,
    ask_status: impl Fn() -> Status + Send + 'static,
) -> anyhow::Result<()> {
    let (news, told) = UnixStream::pair().context("cannot make a pipe")?;
    let status = source::ask_status(ask_status, told).context("cannot start a thread")?;
    let screen = Screen::take(news).context("cannot take over the terminal")?;
    let state = State { all, ..State::default() };
    let top = Top { screen, state, shown: Shown::default(), source: Source::new(paths), status };
    top.run(theme).context("cannot draw on the terminal")
}

struct Top {
    screen: Screen,
    state: State,
    shown: Shown,
    source: Source,
    status: StatusSlot,
}

impl Top {
    fn run(mut self, theme: Theme) -> std::io::Result<()> {
        loop {
            let now = Zoned::now();
            if self.source.look(&self.wanted(), &mut self.shown, &now) {
                let sessions = self.shown.live.as_ref().map_or(&[][..], |live| &live.sessions);
                self.state.arrived(sessions);
            }
            let (state, shown) = (&mut self.state, &self.shown);
            self.screen.terminal.draw(|frame| draw::draw(frame, state, shown, &now, theme))?;
            match self.screen.wait(to_next_second(&now))? {
                Event::Keys(keys) => {
                    for key in keys {
                        if self.key(key)? == Effect::Quit {
                            return Ok(());
                        }
                    }
                }
                Event::News => self.shown.status = self.status.take().or(self.shown.status.take()),
                Event::End => return Ok(()),
                Event::Resized | Event::Continued | Event::Nothing => {}
            }
        }
    }

    fn key(&mut self, key: Key) -> std::io::Result<Effect> {
        let sessions = self.shown.live.as_ref().map_or(&[][..], |live| &live.sessions);
        let effect = self.state.key(key, sessions);
        match effect {
            Effect::Suspend => self.screen.suspend()?,
            Effect::Redraw => self.screen.redraw()?,
            Effect::Nothing | Effect::Look | Effect::Quit => {}
        }
        Ok(effect)
    }

    fn wanted(&self) -> Wanted {
        let session = match self.state.view {
            View::Detail => self.state.selected.clone(),
            View::Table => None,
        };
        Wanted { all: self.state.all, session }
    }
}

fn to_next_second(now: &Zoned) -> Duration {
    let into = u32::try_from(now.subsec_nanosecond()).unwrap_or(0);
    SECOND.saturating_sub(Duration::from_nanos(into.into()))
}
