//! A terminal: a pty with a screen that can be read.

use std::io::{Read, Write};
use std::num::NonZero;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pty_process::Size;
use pty_process::blocking::Pty;
use rustix::process::Pid;
use rustix::termios::{Termios, tcgetattr, tcgetpgrp};

use super::{http, poll};

const ROWS: NonZero<u16> = NonZero::new(40).expect("not 0");
const COLUMNS: NonZero<u16> = NonZero::new(120).expect("not 0");
const DEADLINE: Duration = Duration::from_mins(1);

/// The program in it is killed when dropped.
pub struct Terminal {
    child: Child,
    pty: Arc<Pty>,
    screen: Arc<Mutex<vt100::Parser>>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    pub fn start(command: Command) -> Result<Self> {
        Self::start_sized(command, ROWS.get(), COLUMNS.get())
    }

    pub fn start_sized(command: Command, rows: u16, columns: u16) -> Result<Self> {
        let (pty, pts) = pty_process::blocking::open()?;
        pty.resize(Size::new(rows, columns))?;
        let child = pty_process::blocking::Command::from(command)
            .spawn(pts)
            .context("starting a program in a terminal")?;
        let pty = Arc::new(pty);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(
            NonZero::new(rows).context("no rows")?,
            NonZero::new(columns).context("no columns")?,
            0,
        )));
        let written = Arc::new(Mutex::new(Vec::new()));
        let (reader, shown, kept) = (pty.clone(), screen.clone(), written.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            // Linux answers EIO when the last program has left the terminal.
            while let Ok(count @ 1..) = (&*reader).read(&mut buffer) {
                let mut screen = shown.lock().unwrap_or_else(PoisonError::into_inner);
                screen.process(&buffer[..count]);
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(&buffer[..count]);
            }
        });
        Ok(Self { child, pty, screen, written })
    }

    pub fn screen(&self) -> String {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner).screen().contents()
    }

    /// As a window that is dragged: the program is told by SIGWINCH.
    pub fn resize(&self, rows: u16, columns: u16) -> Result<()> {
        let mut screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        screen.screen_mut().set_size(
            NonZero::new(rows).context("no rows")?,
            NonZero::new(columns).context("no columns")?,
        );
        Ok(self.pty.resize(Size::new(rows, columns))?)
    }

    /// The modes of its line: raw or cooked, echo, signals.
    pub fn modes(&self) -> Result<Termios> {
        Ok(tcgetattr(&*self.pty)?)
    }

    /// Whether the alternate screen is shown, and whether the cursor is hidden.
    pub fn is_taken(&self) -> (bool, bool) {
        let screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        (screen.screen().alternate_screen(), screen.screen().hide_cursor())
    }

    /// Whether any letter on it has a colour.
    pub fn is_coloured(&self) -> bool {
        let parser = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        let screen = parser.screen();
        let (rows, columns) = screen.size();
        let (rows, columns) = (rows.get(), columns.get());
        let mut cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        cells.any(|(row, column)| {
            screen.cell(row, column).is_some_and(|cell| cell.fgcolor() != vt100::Color::Default)
        })
    }

    /// The group of processes that keys go to.
    pub fn foreground(&self) -> Result<Pid> {
        Ok(tcgetpgrp(&*self.pty)?)
    }

    /// Everything that was written to it, its control sequences included.
    pub fn written(&self) -> String {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&written).into_owned()
    }

    pub fn type_text(&mut self, text: &str) -> Result<()> {
        Ok((&*self.pty).write_all(text.as_bytes())?)
    }

    pub fn wait_for(&self, what: &str, seen: impl Fn(&str) -> bool) -> Result<()> {
        poll::until(what, DEADLINE, || {
            let screen = self.screen();
            ensure!(seen(&screen), "the screen says:\n{screen}");
            Ok(())
        })
    }

    /// Waits for the program's end; its exit code, or none if a signal ended it.
    pub fn finish(mut self, deadline: Duration) -> Result<Option<i32>> {
        let child = &mut self.child;
        let status = poll::until("the program's end", deadline, || {
            child.try_wait()?.context("it still runs")
        })?;
        Ok(status.code())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        http::end(&mut self.child);
    }
}
