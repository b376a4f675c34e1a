//! Rows: how a [`Batch`] lies on disk.
//!
//! ```text
//! row     = version:u8 (1) · payload          points: payload as it is; events, spans: zstd, with the length in front
//! payload = strings · count:varint · record…
//! strings = count:varint · (length:varint · UTF-8 bytes)…       each distinct text of the row once
//! point   = metric:ref · labels · stream:16 bytes · start_ns:varint · time_ns:varint · value:8 bytes · temporality:u8
//! labels  = count:varint · (name:ref · value:ref)…
//! event   = time_ns:varint · name:ref · body:ref · service:ref · labels · id:16 bytes · count:varint · (key:ref · value)…
//! value   = 0 · ref | 1 · zigzag varint | 2 · 8 bytes | 3 · u8 | 4 · ref (JSON)
//! span    = spans:varint · length:varint · ResourceSpans
//! ref     = varint, an index into strings
//! ```
//!
//! Integers are LEB128, floats little-endian. A row that does not decode is reported, never guessed at.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use super::wire::{Reader, Writer};
use crate::record::{Batch, Event, Labels, Point, Temporality, Value};

const VERSION: u8 = 1;
/// A decompressed row is never larger than what a request may decompress to.
const ROW_BYTES_MAX: usize = 128 * 1024 * 1024;
const ZSTD_LEVEL: i32 = 1;

/// A stored row that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    #[error("row of version {0}, this ccotel reads version {VERSION}")]
    Version(u8),
    #[error("row is cut short or damaged at byte {0}")]
    Damaged(usize),
    #[error("row does not decompress: {0}")]
    Compression(String),
}

thread_local! {
    // Making one costs more than decompressing a row with it.
    static DECOMPRESSOR: RefCell<std::io::Result<zstd::bulk::Decompressor<'static>>> =
        RefCell::new(zstd::bulk::Decompressor::new());
}

/// Turns batches into rows; holds the compressor and the string table, so that they are reused.
pub struct RowWriter {
    compressor: zstd::bulk::Compressor<'static>,
}

impl RowWriter {
    pub fn new() -> std::io::Result<Self> {
        Ok(Self { compressor: zstd::bulk::Compressor::new(ZSTD_LEVEL)? })
    }

    pub fn write(&mut self, batch: &Batch) -> std::io::Result<Vec<u8>> {
        match batch {
            Batch::Points(points) => Ok(payload(&[VERSION], points.len(), |row| {
                for point in points {
                    write_point(row, point);
                }
            })),
            Batch::Events(events) => self.compress(&payload(&[], events.len(), |row| {
                for event in events {
                    write_event(row, event);
                }
            })),
            Batch::Spans(spans) => self.compress(&payload(&[], spans.len(), |row| {
                for (count, bytes) in spans {
                    row.out.varint(u64::from(*count));
                    row.out.text(bytes);
                }
            })),
        }
    }

    fn compress(&mut self, payload: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut head = Writer::default();
        head.byte(VERSION);
        head.varint(payload.len() as u64);
        let mut row = head.into_bytes();
        row.extend(self.compressor.compress(payload)?);
        Ok(row)
    }
}

pub fn read_points(row: &[u8]) -> Result<Vec<Point>, RowError> {
    let mut reader = Reader::new(versioned(row)?);
    let strings = read_strings(&mut reader)?;
    let count = reader.count().ok_or_else(|| damaged(&reader))?;
    (0..count).map(|_| read_point(&mut reader, &strings).ok_or_else(|| damaged(&reader))).collect()
}

pub fn read_events(row: &[u8]) -> Result<Vec<Event>, RowError> {
    let payload = decompress(row)?;
    let mut reader = Reader::new(&payload);
    let strings = read_strings(&mut reader)?;
    let count = reader.count().ok_or_else(|| damaged(&reader))?;
    (0..count).map(|_| read_event(&mut reader, &strings).ok_or_else(|| damaged(&reader))).collect()
}

pub fn read_spans(row: &[u8]) -> Result<Vec<(u32, Vec<u8>)>, RowError> {
    let payload = decompress(row)?;
    let mut reader = Reader::new(&payload);
    read_strings(&mut reader)?;
    let count = reader.count().ok_or_else(|| damaged(&reader))?;
    (0..count)
        .map(|_| {
            let spans = u32::try_from(reader.varint()?).ok()?;
            Some((spans, reader.text()?.to_vec()))
        })
        .map(|span| span.ok_or(RowError::Damaged(payload.len())))
        .collect()
}

/// A row being written: records go to `out`, texts to the table in front of it.
#[derive(Default)]
struct Row {
    strings: Writer,
    strings_count: u64,
    index: HashMap<Arc<str>, u64>,
    out: Writer,
}

impl Row {
    fn reference(&mut self, text: &Arc<str>) {
        let next = self.strings_count;
        let index = *self.index.entry(text.clone()).or_insert(next);
        if index == next {
            self.strings.text(text.as_bytes());
            self.strings_count += 1;
        }
        self.out.varint(index);
    }

    fn labels(&mut self, labels: &Labels) {
        self.out.varint(labels.len() as u64);
        for (name, value) in labels {
            self.reference(name);
            self.reference(value);
        }
    }
}

fn payload(head: &[u8], records: usize, write: impl FnOnce(&mut Row)) -> Vec<u8> {
    let mut row = Row::default();
    write(&mut row);
    let mut payload = Writer::default();
    payload.bytes(head);
    payload.varint(row.strings_count);
    payload.bytes(&row.strings.into_bytes());
    payload.varint(records as u64);
    payload.bytes(&row.out.into_bytes());
    payload.into_bytes()
}

fn write_point(row: &mut Row, point: &Point) {
    row.reference(&point.metric);
    row.labels(&point.labels);
    row.out.bytes(&point.stream.to_le_bytes());
    row.out.varint(point.start_ns);
    row.out.varint(point.time_ns);
    row.out.bytes(&point.value.to_le_bytes());
    row.out.byte(match point.temporality {
        Temporality::Delta => 1,
        Temporality::Cumulative => 2,
    });
}

fn write_event(row: &mut Row, event: &Event) {
    row.out.varint(event.time_ns);
    row.reference(&event.name);
    row.reference(&event.body);
    row.reference(&event.service);
    row.labels(&event.tags);
    row.out.bytes(&event.id.to_le_bytes());
    row.out.varint(event.attributes.len() as u64);
    for (key, value) in &event.attributes {
        row.reference(key);
        match value {
            Value::Text(text) => {
                row.out.byte(0);
                row.reference(text);
            }
            Value::Int(number) => {
                row.out.byte(1);
                row.out.zigzag(*number);
            }
            Value::Double(number) => {
                row.out.byte(2);
                row.out.bytes(&number.to_le_bytes());
            }
            Value::Bool(flag) => {
                row.out.byte(3);
                row.out.byte(u8::from(*flag));
            }
            Value::Json(text) => {
                row.out.byte(4);
                row.reference(text);
            }
        }
    }
}

fn read_point(reader: &mut Reader<'_>, strings: &[Arc<str>]) -> Option<Point> {
    Some(Point {
        metric: read_reference(reader, strings)?,
        labels: read_labels(reader, strings)?,
        stream: u128::from_le_bytes(reader.array()?),
        start_ns: reader.varint()?,
        time_ns: reader.varint()?,
        value: f64::from_le_bytes(reader.array()?),
        temporality: match reader.byte()? {
            1 => Temporality::Delta,
            2 => Temporality::Cumulative,
            _ => return None,
        },
    })
}

fn read_event(reader: &mut Reader<'_>, strings: &[Arc<str>]) -> Option<Event> {
    Some(Event {
        time_ns: reader.varint()?,
        name: read_reference(reader, strings)?,
        body: read_reference(reader, strings)?,
        service: read_reference(reader, strings)?,
        tags: read_labels(reader, strings)?,
        id: u128::from_le_bytes(reader.array()?),
        attributes: (0..reader.count()?)
            .map(|_| Some((read_reference(reader, strings)?, read_value(reader, strings)?)))
            .collect::<Option<_>>()?,
    })
}

fn read_value(reader: &mut Reader<'_>, strings: &[Arc<str>]) -> Option<Value> {
    Some(match reader.byte()? {
        0 => Value::Text(read_reference(reader, strings)?),
        1 => Value::Int(reader.zigzag()?),
        2 => Value::Double(f64::from_le_bytes(reader.array()?)),
        3 => Value::Bool(reader.byte()? != 0),
        4 => Value::Json(read_reference(reader, strings)?),
        _ => return None,
    })
}

fn read_labels(reader: &mut Reader<'_>, strings: &[Arc<str>]) -> Option<Labels> {
    (0..reader.count()?)
        .map(|_| Some((read_reference(reader, strings)?, read_reference(reader, strings)?)))
        .collect()
}

fn read_reference(reader: &mut Reader<'_>, strings: &[Arc<str>]) -> Option<Arc<str>> {
    strings.get(usize::try_from(reader.varint()?).ok()?).cloned()
}

fn read_strings(reader: &mut Reader<'_>) -> Result<Vec<Arc<str>>, RowError> {
    let count = reader.count().ok_or_else(|| damaged(reader))?;
    (0..count)
        .map(|_| reader.text().and_then(|bytes| std::str::from_utf8(bytes).ok()).map(Arc::from))
        .collect::<Option<_>>()
        .ok_or_else(|| damaged(reader))
}

fn versioned(row: &[u8]) -> Result<&[u8], RowError> {
    match row.split_first() {
        Some((&VERSION, payload)) => Ok(payload),
        Some((&other, _)) => Err(RowError::Version(other)),
        None => Err(RowError::Damaged(0)),
    }
}

fn decompress(row: &[u8]) -> Result<Vec<u8>, RowError> {
    let mut reader = Reader::new(versioned(row)?);
    let length = reader.varint().and_then(|length| usize::try_from(length).ok());
    let length =
        length.filter(|length| *length <= ROW_BYTES_MAX).ok_or_else(|| damaged(&reader))?;
    DECOMPRESSOR
        .with_borrow_mut(|decompressor| match decompressor {
            Ok(decompressor) => decompressor.decompress(reader.rest(), length),
            Err(error) => Err(std::io::Error::other(error.to_string())),
        })
        .map_err(|error| RowError::Compression(error.to_string()))
}

fn damaged(reader: &Reader<'_>) -> RowError {
    RowError::Damaged(reader.position())
}

#[cfg(test)]
mod tests;
