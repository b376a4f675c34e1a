//! What became of the lines.

/// Lines that were looked at, and those that do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    pub lines: u64,
    /// No JSON.
    pub broken: u64,
    /// A last line without its end: it is read when it is whole.
    pub half: u64,
    /// Longer than any line that Claude Code writes.
    pub too_long: u64,
    /// JSON, but without what a line of its type has.
    pub foreign: u64,
    /// Claude Code's own words in the place of an answer.
    pub synthetic: u64,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        self.lines += other.lines;
        self.broken += other.broken;
        self.half += other.half;
        self.too_long += other.too_long;
        self.foreign += other.foreign;
        self.synthetic += other.synthetic;
    }
}
