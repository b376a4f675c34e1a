//! The documented rules of Loki's push endpoint, enforced in memory.
//!
//! - `POST /loki/api/v1/push`, snappy (block format) protobuf, answered with 204.
//!   <https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs>
//! - Validation is an entry's: valid ones are stored although the answer is 400.
//! - Within a stream an entry may be up to half of `max_chunk_age` (1 h) behind the newest one.
//!   <https://grafana.com/docs/loki/latest/configure/#accept-out-of-order-writes>
//! - Defaults of `limits_config`: `reject_old_samples_max_age` 1 w, `creation_grace_period` 10 min,
//!   `max_line_size` 256 KB, 15 label names, names up to 1,024 and values up to 2,048 bytes,
//!   structured metadata up to 64 KB and 128 entries.
//! - An entry equal to a stored one of its stream in time, line and metadata is dropped.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;

pub type Fields = BTreeMap<String, String>;

const SECOND_NS: i64 = 1_000_000_000;
const AGE_NS_MAX: i64 = 7 * 24 * 3600 * SECOND_NS;
const FUTURE_NS_MAX: i64 = 600 * SECOND_NS;
const BEHIND_NS_MAX: i64 = 3600 * SECOND_NS;
const LINE_BYTES_MAX: usize = 256 * 1024;
const LABELS_MAX: usize = 15;
const LABEL_NAME_BYTES_MAX: usize = 1024;
const LABEL_VALUE_BYTES_MAX: usize = 2048;
const METADATA_BYTES_MAX: usize = 64 * 1024;
const METADATA_ENTRIES_MAX: usize = 128;
const REQUEST_BYTES_MAX: usize = 100 * 1024 * 1024;

/// One stored entry, its metadata beside its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub labels: Fields,
    pub metadata: Fields,
    pub time_ns: i64,
    pub line: String,
}

impl Entry {
    /// A label or a piece of structured metadata, as LogQL sees it.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.metadata.get(name).or_else(|| self.labels.get(name)).map(String::as_str)
    }
}

/// What is answered to a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub text: String,
}

/// The streams, and everything they refused.
#[derive(Debug, Default)]
pub struct Streams {
    streams: BTreeMap<Fields, Stream>,
}

#[derive(Debug, Default)]
struct Stream {
    newest_ns: i64,
    entries: BTreeSet<(i64, String, Fields)>,
}

impl Streams {
    pub fn push(&mut self, now_ns: i64, content_type: &str, body: &[u8]) -> Answer {
        if content_type != "application/x-protobuf" {
            return refused(&format!("Content-Type {content_type:?} is not taken here"));
        }
        if body.len() > REQUEST_BYTES_MAX {
            return Answer { status: 413, text: "request entity too large".into() };
        }
        let request = match decode(body) {
            Ok(request) => request,
            Err(error) => return refused(&error),
        };
        let errors: Vec<String> = request
            .streams
            .into_iter()
            .flat_map(|stream| match parse_labels(&stream.labels) {
                Ok(labels) => self.append(now_ns, &labels, stream.entries),
                Err(error) => {
                    vec![format!("error at least one label pair is required or malformed: {error}")]
                }
            })
            .collect();
        match errors.first() {
            None => Answer { status: 204, text: String::new() },
            Some(first) => refused(first),
        }
    }

    /// All entries, in order of time.
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = self
            .streams
            .iter()
            .flat_map(|(labels, stream)| {
                stream.entries.iter().map(|(time_ns, line, metadata)| Entry {
                    labels: labels.clone(),
                    metadata: metadata.clone(),
                    time_ns: *time_ns,
                    line: line.clone(),
                })
            })
            .collect();
        entries.sort_by_key(|entry| entry.time_ns);
        entries
    }

    fn append(&mut self, now_ns: i64, labels: &Fields, entries: Vec<EntryProto>) -> Vec<String> {
        let stream = self.streams.entry(labels.clone()).or_default();
        let mut errors = Vec::new();
        for entry in entries {
            match check(&entry, now_ns, stream.newest_ns) {
                Ok(time_ns) => {
                    stream.newest_ns = stream.newest_ns.max(time_ns);
                    let metadata = pairs(entry.structured_metadata);
                    stream.entries.insert((time_ns, entry.line, metadata));
                }
                Err(error) => errors.push(error),
            }
        }
        errors
    }
}

fn refused(text: &str) -> Answer {
    Answer { status: 400, text: text.into() }
}

fn decode(body: &[u8]) -> Result<PushRequest, String> {
    let plain = snap::raw::Decoder::new()
        .decompress_vec(body)
        .map_err(|error| format!("snappy: {error}"))?;
    PushRequest::decode(plain.as_slice()).map_err(|error| format!("protobuf: {error}"))
}

/// The entry's time, or why it is refused.
fn check(entry: &EntryProto, now_ns: i64, newest_ns: i64) -> Result<i64, String> {
    let time = entry.timestamp.as_ref().ok_or("entry without a timestamp")?;
    let time_ns = time.seconds * SECOND_NS + i64::from(time.nanos);
    let metadata = &entry.structured_metadata;
    let metadata_bytes: usize =
        metadata.iter().map(|pair| pair.name.len() + pair.value.len()).sum();
    if time_ns < now_ns - AGE_NS_MAX {
        Err(format!("entry for stream has timestamp too old: {time_ns}"))
    } else if time_ns > now_ns + FUTURE_NS_MAX {
        Err(format!("entry for stream has timestamp too new: {time_ns}"))
    } else if time_ns < newest_ns - BEHIND_NS_MAX {
        Err(format!(
            "entry too far behind, entry timestamp is: {time_ns}, oldest acceptable timestamp is: {}",
            newest_ns - BEHIND_NS_MAX
        ))
    } else if entry.line.len() > LINE_BYTES_MAX {
        Err(format!("max entry size {LINE_BYTES_MAX} bytes exceeded: {} bytes", entry.line.len()))
    } else if metadata.len() > METADATA_ENTRIES_MAX || metadata_bytes > METADATA_BYTES_MAX {
        Err(format!(
            "structured metadata too large: {} entries, {metadata_bytes} bytes",
            metadata.len()
        ))
    } else if let Some(pair) = metadata.iter().find(|pair| !is_label_name(&pair.name)) {
        // Loki would rename it; a client whose names come back changed does not know its own data.
        Err(format!("structured metadata name {:?} is no label name", pair.name))
    } else {
        Ok(time_ns)
    }
}

/// `{name="value", …}`, values quoted as in Go and JSON.
fn parse_labels(text: &str) -> Result<Fields, String> {
    let wrong = || format!("{text:?}");
    let mut rest =
        text.strip_prefix('{').and_then(|it| it.strip_suffix('}')).ok_or_else(wrong)?.trim();
    let mut labels = Fields::new();
    while !rest.is_empty() {
        let (name, quoted) = rest.split_once('=').ok_or_else(wrong)?;
        let mut strings = serde_json::Deserializer::from_str(quoted).into_iter::<String>();
        let value = strings.next().and_then(Result::ok).ok_or_else(wrong)?;
        rest = quoted[strings.byte_offset()..].trim_start();
        rest = match rest.strip_prefix(',') {
            Some(rest) => rest.trim_start(),
            None if rest.is_empty() => rest,
            None => return Err(wrong()),
        };
        let name = name.trim();
        if !is_label_name(name) || name.len() > LABEL_NAME_BYTES_MAX {
            return Err(format!("label name {name:?}"));
        }
        if value.len() > LABEL_VALUE_BYTES_MAX {
            return Err(format!("label value too long: {name}"));
        }
        if labels.insert(name.to_owned(), value).is_some() {
            return Err(format!("duplicate label name {name}"));
        }
    }
    if labels.is_empty() || labels.len() > LABELS_MAX {
        return Err(format!("{} label names", labels.len()));
    }
    Ok(labels)
}

fn is_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn pairs(pairs: Vec<LabelPair>) -> Fields {
    pairs.into_iter().map(|pair| (pair.name, pair.value)).collect()
}

// `logproto.PushRequest`, from Loki's `pkg/push/push.proto`.

#[derive(Clone, PartialEq, Message)]
pub struct PushRequest {
    #[prost(message, repeated, tag = "1")]
    pub streams: Vec<StreamProto>,
}

#[derive(Clone, PartialEq, Message)]
pub struct StreamProto {
    #[prost(string, tag = "1")]
    pub labels: String,
    #[prost(message, repeated, tag = "2")]
    pub entries: Vec<EntryProto>,
}

#[derive(Clone, PartialEq, Message)]
pub struct EntryProto {
    #[prost(message, optional, tag = "1")]
    pub timestamp: Option<Timestamp>,
    #[prost(string, tag = "2")]
    pub line: String,
    #[prost(message, repeated, tag = "3")]
    pub structured_metadata: Vec<LabelPair>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub struct Timestamp {
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct LabelPair {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub value: String,
}
