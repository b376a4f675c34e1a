//! The documented rules of Loki's push endpoint, enforced in memory.
//!
//! - `POST /loki/api/v1/push`, snappy (block format) protobuf, answered with 204. Every content type
//!   but JSON is taken for that.
//!   <https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs>
//! - Validation is an entry's: valid ones are stored although the answer is 400.
//! - Within a stream an entry may be up to half of `max_chunk_age` (1 h) behind the newest one.
//!   <https://grafana.com/docs/loki/latest/configure/#accept-out-of-order-writes>
//! - Defaults of `limits_config`: `reject_old_samples_max_age` 1 w, `creation_grace_period` 10 min,
//!   `max_line_size` 256 KB, 15 label names beside `service_name`, names up to 1,024 and values up to 2,048 bytes,
//!   structured metadata up to 64 KB and 128 entries.
//! - A tenant's ingestion rate is a token bucket; a push that does not fit is a 429, and nothing of
//!   it is stored.
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

/// `ingestion_rate_mb` and `ingestion_burst_size_mb` of a slow tenant, in bytes.
pub const RATE_BYTES_PER_SECOND: u32 = 64 << 10;
pub const RATE_BURST_BYTES: u32 = 128 << 10;

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
    tenant: String,
    streams: BTreeMap<Fields, Stream>,
    rate: Option<Rate>,
    /// `reject_old_samples: false`.
    takes_any_age: bool,
}

/// The token bucket of a tenant with a low ingestion rate.
#[derive(Debug)]
struct Rate {
    bytes_left: i64,
    filled_ns: i64,
}

#[derive(Debug, Default)]
struct Stream {
    newest_ns: i64,
    entries: BTreeSet<(i64, String, Fields)>,
}

impl Streams {
    pub fn new(tenant: &str, is_slow: bool) -> Self {
        let rate = Rate { bytes_left: i64::from(RATE_BURST_BYTES), filled_ns: 0 };
        let rate = is_slow.then_some(rate);
        Self { tenant: tenant.to_owned(), rate, ..Self::default() }
    }

    #[must_use]
    pub fn of_any_age(self) -> Self {
        Self { takes_any_age: true, ..self }
    }

    /// The body of a native push.
    pub fn push(&mut self, now_ns: i64, content_type: &str, body: &[u8]) -> Answer {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        let malformed = content_type.contains(';') && !content_type.contains('=');
        if malformed || media_type == "application/json" {
            return refused(&format!("no push can be read as {content_type:?}"));
        }
        if body.len() > REQUEST_BYTES_MAX {
            return Answer { status: 413, text: "request entity too large".into() };
        }
        match decode(body) {
            // One set of labels that cannot be read, and the push is none.
            Ok(request) => {
                match request.streams.iter().find_map(|it| read_labels(&it.labels).err()) {
                    Some(error) => refused(&error),
                    None => self.take(now_ns, request),
                }
            }
            Err(error) => refused(&error),
        }
    }

    /// What was asked to be stored, in whichever format.
    pub fn take(&mut self, now_ns: i64, request: PushRequest) -> Answer {
        let (mut errors, mut valid, mut lines, mut bytes) = (Vec::new(), Vec::new(), 0, 0);
        for stream in request.streams {
            let labels = match read_labels(&stream.labels).and_then(within_limits) {
                Ok(labels) => labels,
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            };
            let mut entries = Vec::new();
            for entry in stream.entries {
                match check(&entry, now_ns, self.takes_any_age) {
                    Ok(time_ns) => {
                        lines += 1;
                        bytes += entry.line.len() + metadata_bytes(&entry.structured_metadata);
                        entries.push((time_ns, entry));
                    }
                    Err(error) => errors.push(error),
                }
            }
            valid.push((labels, entries));
        }
        if let Err(text) = self.spend(now_ns, lines, bytes) {
            return Answer { status: 429, text };
        }
        for (labels, entries) in valid {
            errors.extend(self.append(&labels, entries));
        }
        match errors.first() {
            None => Answer { status: 204, text: String::new() },
            Some(first) => refused(first),
        }
    }

    /// Takes the bytes out of the bucket, or says why not.
    fn spend(&mut self, now_ns: i64, lines: usize, bytes: usize) -> Result<(), String> {
        let Some(rate) = &mut self.rate else { return Ok(()) };
        let (per_second, burst) = (i64::from(RATE_BYTES_PER_SECOND), i64::from(RATE_BURST_BYTES));
        let passed_ms = (now_ns - rate.filled_ns).clamp(0, 60 * SECOND_NS) / 1_000_000;
        rate.bytes_left = (rate.bytes_left + passed_ms * per_second / 1000).min(burst);
        rate.filled_ns = now_ns;
        let wanted = i64::try_from(bytes).unwrap_or(i64::MAX);
        if wanted > rate.bytes_left {
            return Err(format!(
                "ingestion rate limit exceeded for user {} (limit: {per_second} bytes/sec) while \
                 attempting to ingest '{lines}' lines totaling '{bytes}' bytes",
                self.tenant
            ));
        }
        rate.bytes_left -= wanted;
        Ok(())
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

    fn append(&mut self, labels: &Fields, entries: Vec<(i64, EntryProto)>) -> Vec<String> {
        let stream = self.streams.entry(labels.clone()).or_default();
        let mut errors = Vec::new();
        for (time_ns, entry) in entries {
            let oldest_ns = stream.newest_ns - BEHIND_NS_MAX;
            if time_ns < oldest_ns {
                errors.push(format!(
                    "entry too far behind, entry timestamp is: {time_ns}, oldest acceptable \
                     timestamp is: {oldest_ns}"
                ));
                continue;
            }
            stream.newest_ns = stream.newest_ns.max(time_ns);
            let metadata = pairs(entry.structured_metadata);
            stream.entries.insert((time_ns, entry.line, metadata));
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

/// The entry's time, or why it is refused wherever it goes.
fn check(entry: &EntryProto, now_ns: i64, takes_any_age: bool) -> Result<i64, String> {
    let time = entry.timestamp.as_ref().ok_or("entry without a timestamp")?;
    let time_ns = time.seconds * SECOND_NS + i64::from(time.nanos);
    let metadata = &entry.structured_metadata;
    let bytes = metadata_bytes(metadata);
    if time_ns < now_ns - AGE_NS_MAX && !takes_any_age {
        Err(format!("entry for stream has timestamp too old: {time_ns}"))
    } else if time_ns > now_ns + FUTURE_NS_MAX {
        Err(format!("entry for stream has timestamp too new: {time_ns}"))
    } else if entry.line.len() > LINE_BYTES_MAX {
        Err(format!("max entry size {LINE_BYTES_MAX} bytes exceeded: {} bytes", entry.line.len()))
    } else if metadata.len() > METADATA_ENTRIES_MAX {
        Err(format!("too many structured metadata labels: {}", metadata.len()))
    } else if bytes > METADATA_BYTES_MAX {
        Err(format!("structured metadata too large: {bytes} bytes"))
    } else if let Some(pair) = metadata.iter().find(|pair| !is_label_name(&pair.name)) {
        // Loki would rename it; a client whose names come back changed does not know its own data.
        Err(format!("structured metadata name {:?} is no label name", pair.name))
    } else {
        Ok(time_ns)
    }
}

fn metadata_bytes(metadata: &[LabelPair]) -> usize {
    metadata.iter().map(|pair| pair.name.len() + pair.value.len()).sum()
}

/// `{name="value", …}`, values quoted as in Go and JSON.
fn read_labels(text: &str) -> Result<Fields, String> {
    let wrong = || format!("parse error: {text:?}");
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
        if !is_label_name(name) {
            return Err(wrong());
        }
        if labels.insert(name.to_owned(), value).is_some() {
            return Err(format!("duplicate label name {name}"));
        }
    }
    Ok(labels)
}

fn within_limits(labels: Fields) -> Result<Fields, String> {
    if labels.is_empty() {
        return Err("at least one label pair is required".into());
    }
    for (name, value) in &labels {
        if name.len() > LABEL_NAME_BYTES_MAX {
            return Err(format!("label name too long: {name}"));
        }
        if value.len() > LABEL_VALUE_BYTES_MAX {
            return Err(format!("label value too long: {name}"));
        }
    }
    let counted = labels.keys().filter(|name| *name != "service_name").count();
    if counted > LABELS_MAX {
        return Err(format!("{} label names; limit {LABELS_MAX}", labels.len()));
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
