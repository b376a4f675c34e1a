//! What is looked at, and what keys do to it. Pure: what has to be done besides is an [`Effect`].
//!
//! ```text
//!            ⏎                ?
//! Table ───────────▶ Detail      Help, over either; any key leaves it
//!       ◀───────────
//!         Esc ← q           /  types a filter; ⏎ keeps it, Esc drops it
//! ```

use super::keys::Key;
use super::order::{self, Column};
use crate::report::live::LiveSession;

/// Longest filter that can be typed.
const FILTER_LETTERS_MAX: usize = 40;
/// Lines that a page of keys moves by, where the drawing has not said how many fit.
const PAGE_LINES: usize = 10;

/// What a key asks for that is not a change of the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Nothing,
    Quit,
    Suspend,
    /// The screen may have been written over.
    Redraw,
    /// Another session's story, or other sessions, are wanted.
    Look,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum View {
    #[default]
    Table,
    /// The story of the selected session.
    Detail,
}

/// What takes the keys before the view does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Over {
    #[default]
    Nothing,
    Help,
    /// The filter is being typed.
    Filter,
}

#[derive(Clone, Debug)]
pub struct State {
    pub view: View,
    pub over: Over,
    pub column: Column,
    /// Against the column's own direction.
    pub reversed: bool,
    /// Also today's sessions that are not active any more.
    pub all: bool,
    pub filter: String,
    /// By id, so that it stays when rows move.
    pub selected: Option<String>,
    /// Lines above the end of the story; 0 follows what is new.
    pub scrolled: usize,
    /// How many lines of table or story the last drawing had room for, and how far it can scroll.
    pub page: usize,
    pub scrolled_max: usize,
}

impl Default for State {
    fn default() -> Self {
        Self {
            view: View::Table,
            over: Over::Nothing,
            column: Column::Cost,
            reversed: false,
            all: false,
            filter: String::new(),
            selected: None,
            scrolled: 0,
            page: PAGE_LINES,
            scrolled_max: 0,
        }
    }
}

impl State {
    /// The sessions shown, in the order shown.
    pub fn rows<'s>(&self, sessions: &'s [LiveSession]) -> Vec<&'s LiveSession> {
        let wanted = self.filter.to_lowercase();
        let mut rows: Vec<&LiveSession> =
            sessions.iter().filter(|session| order::matches(session, &wanted)).collect();
        order::sort(&mut rows, self.column, self.reversed);
        rows
    }

    /// New data: the selection stays on its session, or goes to the first where that has gone.
    pub fn arrived(&mut self, sessions: &[LiveSession]) {
        if self.view == View::Detail {
            return; // it keeps its session, also when that is not active any more
        }
        let rows = self.rows(sessions);
        if self.position(&rows).is_none() {
            self.selected = rows.first().map(|session| session.session_id.clone());
        }
    }

    /// The selected one's place in the rows.
    pub fn position(&self, rows: &[&LiveSession]) -> Option<usize> {
        let selected = self.selected.as_deref()?;
        rows.iter().position(|session| session.session_id == selected)
    }

    pub fn key(&mut self, key: Key, sessions: &[LiveSession]) -> Effect {
        match key {
            Key::Ctrl('c') => return Effect::Quit,
            Key::Ctrl('z') => return Effect::Suspend,
            Key::Ctrl('l') => return Effect::Redraw,
            _ => {}
        }
        match (self.over, &self.view) {
            (Over::Help, _) => self.over = Over::Nothing,
            (Over::Filter, _) => {
                self.type_filter(key);
                self.arrived(sessions);
            }
            _ if matches!(key, Key::Letter('?' | 'h')) => self.over = Over::Help,
            (_, View::Table) => return self.key_in_table(key, sessions),
            (_, View::Detail) => return self.key_in_detail(key, sessions),
        }
        Effect::Nothing
    }

    fn key_in_table(&mut self, key: Key, sessions: &[LiveSession]) -> Effect {
        match key {
            Key::Escape if !self.filter.is_empty() => self.filter.clear(),
            Key::Letter('q') | Key::Escape => return Effect::Quit,
            Key::Letter('s' | '>') | Key::Right => self.column = self.column.next(),
            Key::Letter('<') | Key::Left => self.column = self.column.previous(),
            Key::Letter('r') => self.reversed = !self.reversed,
            Key::Letter('/') => self.over = Over::Filter,
            Key::Letter('a') => {
                self.all = !self.all;
                return Effect::Look;
            }
            Key::Enter if self.position(&self.rows(sessions)).is_some() => {
                self.view = View::Detail;
                self.scrolled = 0;
                return Effect::Look;
            }
            _ => self.select(key, sessions),
        }
        self.arrived(sessions);
        Effect::Nothing
    }

    fn select(&mut self, key: Key, sessions: &[LiveSession]) {
        let rows = self.rows(sessions);
        let Some(last) = rows.len().checked_sub(1) else { return };
        let at = self.position(&rows).unwrap_or(0);
        let to = match key {
            Key::Up | Key::Letter('k') => at.saturating_sub(1),
            Key::Down | Key::Letter('j') => at + 1,
            Key::PageUp => at.saturating_sub(self.page),
            Key::PageDown => at + self.page,
            Key::Home | Key::Letter('g') => 0,
            Key::End | Key::Letter('G') => last,
            _ => return,
        };
        self.selected = Some(rows[to.min(last)].session_id.clone());
    }

    fn key_in_detail(&mut self, key: Key, sessions: &[LiveSession]) -> Effect {
        let page = self.page.max(1);
        self.scrolled = match key {
            Key::Letter('q') | Key::Escape | Key::Left | Key::Backspace => {
                self.view = View::Table;
                self.arrived(sessions);
                return Effect::Nothing;
            }
            Key::Up | Key::Letter('k') => self.scrolled + 1,
            Key::Down | Key::Letter('j') => self.scrolled.saturating_sub(1),
            Key::PageUp => self.scrolled + page,
            Key::PageDown => self.scrolled.saturating_sub(page),
            Key::Home | Key::Letter('g') => self.scrolled_max,
            Key::End | Key::Letter('G') => 0,
            _ => self.scrolled,
        }
        .min(self.scrolled_max);
        Effect::Nothing
    }

    fn type_filter(&mut self, key: Key) {
        match key {
            Key::Escape => {
                self.filter.clear();
                self.over = Over::Nothing;
            }
            Key::Enter => self.over = Over::Nothing,
            Key::Backspace => {
                self.filter.pop();
            }
            Key::Ctrl('u') => self.filter.clear(),
            Key::Letter(letter)
                if !letter.is_control() && self.filter.chars().count() < FILTER_LETTERS_MAX =>
            {
                self.filter.push(letter);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
