//! Reading a transcript from an offset, line by line, in chunks of bounded size.
//!
//! Most bytes of a transcript lie in lines that do not count (snapshots of prompts, tools and files),
//! and are passed over without being parsed.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use memchr::{memchr, memmem};
use serde::de::IgnoredAny;

use super::counts::Counts;
use super::item::Item;
use super::transcript::Transcript;

/// Longest line that is read. Pictures in a prompt make lines of some megabytes.
pub const LINE_BYTES_MAX: usize = 16 << 20;
/// Read at once.
const BLOCK_BYTES: usize = 256 << 10;
/// Handed on at once.
const CHUNK_ITEMS: usize = 4096;
const CHUNK_BYTES: u64 = 32 << 20;
/// So much is read again before the place where the last import ended: a tool's name stands before
/// its result, and what a request was for before its answer.
pub const AGAIN_BYTES: u64 = 4 << 20;

/// A part of a file, read.
#[derive(Debug, Default)]
pub struct Chunk {
    pub items: Vec<Item>,
    pub counts: Counts,
    /// Bytes read since the chunk before.
    pub bytes: u64,
    /// Where the line after the last whole one begins.
    pub offset: u64,
}

/// Which lines can matter.
struct Filter {
    assistant: memmem::Finder<'static>,
    user: memmem::Finder<'static>,
    command: memmem::Finder<'static>,
    request: memmem::Finder<'static>,
    any: memmem::Finder<'static>,
}

impl Filter {
    fn new() -> Self {
        Self {
            assistant: memmem::Finder::new(br#""type":"assistant""#),
            user: memmem::Finder::new(br#""type":"user""#),
            command: memmem::Finder::new(br#""subtype":"local_command""#),
            request: memmem::Finder::new(br#""type":"api-request""#),
            any: memmem::Finder::new(br#""type":""#),
        }
    }

    /// A quote inside of a JSON text is escaped, so these stand where they seem to.
    fn lets_through(&self, line: &[u8]) -> bool {
        self.assistant.find(line).is_some()
            || self.user.find(line).is_some()
            || self.command.find(line).is_some()
            || self.request.find(line).is_some()
            || self.any.find(line).is_none()
    }
}

/// Reads what follows `offset`; hands on chunks, and whether each is the last,
/// until there is no more or `hand_on` says no.
pub fn read(
    path: &Path,
    offset: u64,
    mut hand_on: impl FnMut(Chunk, bool) -> bool,
) -> io::Result<()> {
    let mut file = File::open(path)?;
    let start = offset.saturating_sub(AGAIN_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut reading = Reading {
        transcript: Transcript::default(),
        filter: Filter::new(),
        chunk: Chunk::default(),
        counted_from: offset,
        at: start,
        whole: offset,
        // What precedes the first line's end belongs to a line before.
        skipping: (start > 0).then_some(Skipping::Unknown),
    };
    let mut buffer: Vec<u8> = Vec::with_capacity(BLOCK_BYTES);
    loop {
        let rest = buffer.len();
        let read = file.by_ref().take(BLOCK_BYTES as u64).read_to_end(&mut buffer)?;
        if read == 0 {
            break;
        }
        let used = reading.lines(&buffer, rest);
        buffer.drain(..used);
        if buffer.len() > LINE_BYTES_MAX {
            reading.begin_skipping(buffer.len() as u64);
            buffer.clear();
        }
        if reading.is_full() && !hand_on(reading.take(), false) {
            return Ok(());
        }
    }
    reading.end(&buffer);
    hand_on(reading.take(), true);
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Skipping {
    /// The rest of a line whose beginning was not read.
    Unknown,
    TooLong,
}

struct Reading {
    transcript: Transcript,
    filter: Filter,
    chunk: Chunk,
    /// What ends before was counted by an earlier import. A line begins here.
    counted_from: u64,
    /// The end of the last whole line.
    whole: u64,
    /// Where the buffer begins in the file.
    at: u64,
    skipping: Option<Skipping>,
}

impl Reading {
    /// Reads the whole lines of a buffer whose first `searched` bytes hold no line's end. Returns how
    /// many bytes they were.
    fn lines(&mut self, buffer: &[u8], searched: usize) -> usize {
        let mut used = 0;
        let mut search = searched;
        while let Some(end) = memchr(b'\n', &buffer[search..]) {
            let end = search + end;
            self.line(&buffer[used..end]);
            used = end + 1;
            search = used;
        }
        used
    }

    fn line(&mut self, line: &[u8]) {
        self.at += line.len() as u64 + 1;
        let skipped = self.skipping.take();
        // Its end of line may have come since: the line was whole without it.
        if self.at - 1 <= self.counted_from {
            self.chunk.bytes += self.at.saturating_sub(self.whole);
            self.whole = self.whole.max(self.at);
            // Only so that what follows is understood.
            if skipped.is_none() && self.filter.lets_through(line) {
                self.transcript.read(line, &mut Counts::default(), &mut |_| {});
            }
            return;
        }
        self.whole = self.at;
        let chunk = &mut self.chunk;
        chunk.bytes += line.len() as u64 + 1;
        let line = line.trim_ascii();
        if line.is_empty() && skipped.is_none() {
            return;
        }
        chunk.counts.lines += 1;
        if skipped.is_some() {
            chunk.counts.too_long += 1;
        } else if line.first() != Some(&b'{') || line.last() != Some(&b'}') {
            chunk.counts.broken += 1;
        } else if self.filter.lets_through(line) {
            let items = &mut chunk.items;
            self.transcript.read(line, &mut chunk.counts, &mut |item| items.push(item));
        }
    }

    /// The line is longer than any that is read: its beginning goes, its end is looked for.
    fn begin_skipping(&mut self, bytes: u64) {
        self.at += bytes;
        self.chunk.bytes += bytes;
        if self.skipping.is_none() {
            self.skipping = Some(Skipping::TooLong);
        }
    }

    fn is_full(&self) -> bool {
        self.chunk.items.len() >= CHUNK_ITEMS || self.chunk.bytes >= CHUNK_BYTES
    }

    fn take(&mut self) -> Chunk {
        Chunk { offset: self.whole, ..std::mem::take(&mut self.chunk) }
    }

    /// What stands behind the last line's end: a line that is whole all the same, or half a one.
    fn end(&mut self, rest: &[u8]) {
        if rest.trim_ascii().is_empty() && self.skipping != Some(Skipping::TooLong) {
            return;
        }
        let whole = self.skipping.is_none() && serde_json::from_slice::<IgnoredAny>(rest).is_ok();
        if whole {
            self.line(rest);
            // Its end is still to come: an empty line then.
            self.whole = self.at - 1;
        } else {
            self.chunk.counts.half += 1;
        }
    }
}
