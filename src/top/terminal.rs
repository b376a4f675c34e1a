//! The terminal, taken and given back.
//!
//! While it is taken: raw mode, the alternate screen, a hidden cursor. Mouse and paste are the
//! terminal's own. It is given back when [`Screen`] is dropped, before a panic's message is printed,
//! and around a stop by Ctrl-Z. SIGTERM, SIGHUP and SIGINT end the program by way of [`Event`], so by
//! way of the drop.

use std::io::{Stdout, Write, stdin, stdout};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::TermionBackend;
use ratatui::layout::{Position, Rect};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;
use signal_hook::low_level::emulate_default_handler;

use super::keys::{Key, Keys};

/// Alternate screen, cleared; cursor hidden.
const TAKE: &str = "\x1b[?1049h\x1b[2J\x1b[?25l";
/// The reverse, with colours as they were.
const GIVE_BACK: &str = "\x1b[0m\x1b[?25h\x1b[?1049l";
/// How long the rest of a key's sequence may take to arrive.
const SEQUENCE_WAIT: Duration = Duration::from_millis(50);

/// The terminal's modes from before; `None` while it is not taken. In a static, since a panic gives
/// back what no variable of it reaches.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// What happens to the program from outside.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    Keys(Vec<Key>),
    Resized,
    /// Stopped and continued, by whomever.
    Continued,
    /// By a signal, or the terminal is gone, or who has news is.
    End,
    /// The one who was given the other end of the pipe has news.
    News,
    /// Nothing, for so long.
    Nothing,
}

/// The terminal while it is taken.
pub struct Screen {
    pub terminal: Terminal<TermionBackend<Stdout>>,
    signals: SignalDelivery<UnixStream, SignalOnly>,
    news: UnixStream,
    keys: Keys,
}

impl Screen {
    /// Takes the terminal. What arrives on `news` wakes [`Screen::wait`].
    pub fn take(news: UnixStream) -> std::io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        news.set_nonblocking(true)?;
        let wanted = [SIGTERM, SIGINT, SIGHUP, SIGWINCH, SIGTSTP, SIGCONT];
        let signals = SignalDelivery::with_pipe(read, write, SignalOnly, wanted)?;
        let terminal = Terminal::new(TermionBackend::new(stdout()))?;
        give_back_on_panic();
        take()?;
        Ok(Self { terminal, signals, news, keys: Keys::default() })
    }

    /// Sleeps until something happens, or the time is over.
    pub fn wait(&mut self, limit: Duration) -> std::io::Result<Event> {
        let end = Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let waiting = self.keys.is_waiting();
            let ready = self.poll(if waiting { SEQUENCE_WAIT.min(left) } else { left })?;
            if let Some(event) = self.signalled()? {
                return Ok(event);
            }
            if ready.input
                && let Some(event) = self.typed()?
            {
                return Ok(event);
            }
            if !ready.input && waiting {
                return Ok(Event::Keys(self.keys.settle().into_iter().collect()));
            }
            if ready.news {
                return Ok(if self.drain_news() { Event::News } else { Event::End });
            }
            if Instant::now() >= end {
                return Ok(Event::Nothing);
            }
        }
    }

    /// Gives the terminal back, stops as Ctrl-Z does, and takes it again once continued.
    pub fn suspend(&mut self) -> std::io::Result<()> {
        give_back();
        let _ = stdout().flush();
        emulate_default_handler(SIGTSTP)?;
        self.take_again()
    }

    /// After a stop, whoever was in front meanwhile has left their own modes and text.
    pub fn take_again(&mut self) -> std::io::Result<()> {
        take()?;
        self.redraw()
    }

    /// Nothing of what is on the screen can be relied on. (Not `Terminal::clear`: it asks the terminal
    /// where its cursor is, and takes keys for the answer.)
    pub fn redraw(&mut self) -> std::io::Result<()> {
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::from((Position::ORIGIN, size)))
    }

    fn poll(&self, limit: Duration) -> std::io::Result<Ready> {
        let input = stdin();
        let mut descriptors = [
            PollFd::new(&input, PollFlags::IN),
            PollFd::new(self.signals.get_read(), PollFlags::IN),
            PollFd::new(&self.news, PollFlags::IN),
        ];
        let limit = Timespec::try_from(limit).map_err(std::io::Error::other)?;
        match poll(&mut descriptors, Some(&limit)) {
            // A signal: it is in its pipe.
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let happened = |at: usize| !descriptors[at].revents().is_empty();
        Ok(Ready { input: happened(0), news: happened(2) })
    }

    fn signalled(&mut self) -> std::io::Result<Option<Event>> {
        let signals: Vec<i32> = self.signals.pending().collect();
        if signals.iter().any(|signal| matches!(*signal, SIGTERM | SIGINT | SIGHUP)) {
            return Ok(Some(Event::End));
        }
        if signals.contains(&SIGTSTP) {
            self.suspend()?;
            return Ok(Some(Event::Continued));
        }
        if signals.contains(&SIGCONT) {
            self.take_again()?;
            return Ok(Some(Event::Continued));
        }
        Ok(signals.contains(&SIGWINCH).then_some(Event::Resized))
    }

    /// `None`: not a whole key yet.
    fn typed(&mut self) -> std::io::Result<Option<Event>> {
        let mut bytes = [0; 1024];
        let count = match rustix::io::read(stdin(), &mut bytes) {
            Ok(count) => count,
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => return Ok(None),
            // EIO: the terminal is gone, and with it whoever could read why.
            Err(rustix::io::Errno::IO) => 0,
            Err(error) => return Err(error.into()),
        };
        if count == 0 {
            return Ok(Some(Event::End));
        }
        let keys = self.keys.take(&bytes[..count]);
        Ok((!keys.is_empty()).then_some(Event::Keys(keys)))
    }

    /// `false`: whoever wrote it is gone, by a panic, and nothing more will come.
    fn drain_news(&self) -> bool {
        let mut bytes = [0; 64];
        loop {
            match rustix::io::read(&self.news, &mut bytes) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(_) => return true, // it would block: that was all
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

struct Ready {
    input: bool,
    news: bool,
}

fn take() -> std::io::Result<()> {
    let mut before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
    let modes = tcgetattr(stdin())?;
    let mut raw = modes.clone();
    raw.make_raw();
    tcsetattr(stdin(), OptionalActions::Now, &raw)?;
    // The first look counts: a continued program may find its own raw mode.
    before.get_or_insert(modes);
    write(TAKE)
}

/// Once; a second time does nothing.
fn give_back() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(modes) = before {
        let _ = write(GIVE_BACK);
        let _ = tcsetattr(stdin(), OptionalActions::Now, &modes);
    }
}

fn write(text: &str) -> std::io::Result<()> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// A message of a panic belongs on the screen that stays.
fn give_back_on_panic() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        give_back();
        print(panic);
    }));
}

/// Whether keys and screen are a terminal's.
pub fn is_there() -> bool {
    rustix::termios::isatty(stdin().as_fd()) && rustix::termios::isatty(stdout().as_fd())
}
