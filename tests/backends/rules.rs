//! The rules of Loki's push endpoint, asked of the real one and of the stand-in with the same
//! questions, so that the one vouches for the other.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use prost::Message as _;

use crate::harness::http;
use crate::harness::loki::Loki;
use crate::harness::loki_rules::{EntryProto, LabelPair, PushRequest, StreamProto, Timestamp};
use crate::harness::poll;

/// A flush of Loki's.
const SEEN_DEADLINE: Duration = Duration::from_mins(1);

const HOUR_S: i64 = 3600;
const DAY_S: i64 = 24 * HOUR_S;

/// A stream of its own for each question, so that none has an influence on another.
struct Asked<'a> {
    loki: &'a Loki,
    tenant: &'a str,
    now_s: i64,
}

/// What is pushed, what is answered, and what is there afterwards.
struct Rule {
    name: &'static str,
    entries: Vec<EntryProto>,
    status: u16,
    words: &'static str,
    kept: Vec<&'static str>,
}

pub fn hold(loki: &Loki) -> Result<()> {
    let now_s = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    let asked = Asked { loki, tenant: "rules", now_s };
    for rule in rules(now_s) {
        let name = rule.name;
        asked.about(rule).with_context(|| name.to_owned())?;
    }
    asked.about_labels()?;
    asked.about_bodies()?;
    asked.about_repetition()?;
    Asked { tenant: "slow-rules", ..asked }.about_rates()
}

fn rules(now_s: i64) -> Vec<Rule> {
    let e = |ago_s: i64, line: &str| entry(now_s - ago_s, line, &[]);
    let long = "x".repeat(256 * 1024 + 1);
    let metadata = |count: usize, bytes: usize| {
        let pairs: Vec<(String, String)> =
            (0..count).map(|index| (format!("m{index:04}"), "v".repeat(bytes))).collect();
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
        entry(now_s, "with metadata", &pairs)
    };
    let rule = |name, entries, status, words, kept: &[&'static str]| Rule {
        name,
        entries,
        status,
        words,
        kept: kept.to_vec(),
    };
    vec![
        rule("plain entries", vec![e(10, "a"), e(0, "b")], 204, "", &["a", "b"]),
        rule("an entry twice in a push", vec![e(5, "a"), e(5, "a")], 204, "", &["a"]),
        rule("two lines at one time", vec![e(5, "a"), e(5, "b")], 204, "", &["a", "b"]),
        rule(
            "six days ago, in order",
            vec![e(6 * DAY_S, "old"), e(0, "new")],
            204,
            "",
            &["old", "new"],
        ),
        rule(
            "older than a week",
            vec![e(7 * DAY_S + HOUR_S, "too old"), e(0, "beside it")],
            400,
            "has timestamp too old",
            &["beside it"],
        ),
        rule("9 minutes ahead", vec![e(-9 * 60, "ahead")], 204, "", &["ahead"]),
        rule(
            "11 minutes ahead",
            vec![e(0, "beside it"), e(-11 * 60, "too new")],
            400,
            "has timestamp too new",
            &["beside it"],
        ),
        rule(
            "50 minutes behind its stream",
            vec![e(0, "newest"), e(50 * 60, "late")],
            204,
            "",
            &["late", "newest"],
        ),
        rule(
            "70 minutes behind its stream",
            vec![e(0, "newest"), e(70 * 60, "too late"), e(1, "beside it")],
            400,
            "entry too far behind",
            &["beside it", "newest"],
        ),
        rule(
            "a line that is too long",
            vec![e(1, &long), e(0, "beside it")],
            400,
            "max entry size",
            &["beside it"],
        ),
        rule("128 entries of metadata", vec![metadata(128, 1)], 204, "", &["with metadata"]),
        rule(
            "129 entries of metadata",
            vec![metadata(129, 1), e(1, "beside it")],
            400,
            "too many structured metadata",
            &["beside it"],
        ),
        rule(
            "more than 64 KB of metadata",
            vec![metadata(2, 32 * 1024), e(1, "beside it")],
            400,
            "structured metadata too large",
            &["beside it"],
        ),
    ]
}

impl Asked<'_> {
    fn about(&self, rule: Rule) -> Result<()> {
        let question = rule.name.replace(' ', "_");
        let labels = format!(r#"{{service_name="claude-code", question="{question}"}}"#);
        let answer = self.push(&labels, rule.entries)?;
        ensure!(
            answer.0 == rule.status && answer.1.contains(rule.words),
            "answered {}: {}",
            answer.0,
            &answer.1[..answer.1.len().min(400)]
        );
        self.kept(&question, &rule.kept)
    }

    fn about_labels(&self) -> Result<()> {
        let with = |more: &[(String, String)]| {
            let more = more.iter().map(|(name, value)| format!(", {name}=\"{value}\""));
            format!("{{service_name=\"claude-code\"{}}}", more.collect::<String>())
        };
        let many = |count: usize| -> Vec<(String, String)> {
            (0..count).map(|index| (format!("label_{index:02}"), "v".to_owned())).collect()
        };
        let long = |name: usize, value: usize| vec![("n".repeat(name), "v".repeat(value))];
        let questions = [
            ("15 labels beside the service", with(&many(15)), 204, ""),
            ("16 labels beside the service", with(&many(16)), 400, "label names; limit 15"),
            ("a value of 2,048 bytes", with(&long(4, 2048)), 204, ""),
            ("a value of 2,049 bytes", with(&long(4, 2049)), 400, "label value too long"),
            ("a name of 1,024 bytes", with(&long(1024, 1)), 204, ""),
            ("a name of 1,025 bytes", with(&long(1025, 1)), 400, "label name too long"),
            ("no quotes", "{service_name=claude-code}".to_owned(), 400, "parse error"),
        ];
        for (name, labels, status, words) in questions {
            let answer = self.push(&labels, vec![entry(self.now_s, "x", &[])])?;
            let found = answer.0 == status && answer.1.contains(words);
            ensure!(found, "{name}: {} {}", answer.0, &answer.1[..answer.1.len().min(400)]);
        }
        let beside = |bad: &str, question: &str| {
            let good = format!(r#"{{service_name="claude-code", question="{question}"}}"#);
            let streams = [(bad, "bad"), (&good, "good")]
                .map(|(labels, line)| stream(labels, vec![entry(self.now_s, line, &[])]));
            self.post("application/x-protobuf", snappy(&PushRequest { streams: streams.into() }))
        };
        let answer = beside(&with(&long(4, 2049)), "beside_too_long")?;
        ensure!(answer.0 == 400, "labels beyond a limit: {answer:?}");
        self.kept("beside_too_long", &["good"])?;
        let answer = beside("{service_name=claude-code}", "beside_malformed")?;
        ensure!(answer.0 == 400, "malformed labels: {answer:?}");
        self.kept("beside_malformed", &[])
    }

    fn about_bodies(&self) -> Result<()> {
        let labels = r#"{service_name="claude-code", question="bodies"}"#;
        let good = || {
            let streams = vec![stream(labels, vec![entry(self.now_s, "good", &[])])];
            PushRequest { streams }
        };
        let questions = [
            ("no snappy", "application/x-protobuf", good().encode_to_vec(), 400),
            ("no protobuf", "application/x-protobuf", snappy_bytes(&[7; 99]), 400),
            ("protobuf as JSON", "application/json", snappy(&good()), 400),
            ("another content type", "text/plain", snappy(&good()), 204),
            ("a malformed content type", "protobuf; ;", snappy(&good()), 400),
            ("no body", "application/x-protobuf", Vec::new(), 400),
        ];
        for (name, content_type, body, status) in questions {
            let answer = self.post(content_type, body)?;
            ensure!(answer.0 == status, "{name}: {answer:?}");
        }
        Ok(())
    }

    /// What was sent before is not there twice, however much came between.
    fn about_repetition(&self) -> Result<()> {
        let labels = r#"{service_name="claude-code", question="repetition"}"#;
        let filler = "y".repeat(500);
        // More than a block of Loki's, which is 256 KB.
        let entries: Vec<EntryProto> = (0..3000)
            .map(|index| {
                let line = format!("{index:04} {filler}");
                entry(self.now_s - 3000 + index, &line, &[("id", &index.to_string())])
            })
            .collect();
        for round in 0..3 {
            for part in entries.chunks(1000) {
                let answer = self.push(labels, part.to_vec())?;
                ensure!(answer.0 == 204, "round {round}: {answer:?}");
            }
        }
        let lines: Vec<&str> = entries.iter().map(|entry| entry.line.as_str()).collect();
        self.kept("repetition", &lines)
    }

    fn about_rates(&self) -> Result<()> {
        let labels = r#"{service_name="claude-code", question="rates"}"#;
        let line = "z".repeat(1000);
        let entries = |count: i64, from: i64| -> Vec<EntryProto> {
            (0..count).map(|index| entry(self.now_s - from - index, &line, &[])).collect()
        };
        let answer = self.push(labels, entries(200, 0))?;
        ensure!(
            answer.0 == 429 && answer.1.contains("gestion rate limit exceeded"),
            "more than a burst: {answer:?}"
        );
        let answer = self.push(labels, entries(100, 0))?;
        ensure!(answer.0 == 204, "less than a burst: {answer:?}");
        let answer = self.push(labels, entries(100, 500))?;
        ensure!(answer.0 == 429, "as much again, at once: {answer:?}");
        // Nothing of a 429 is kept.
        self.kept("rates", &vec![line.as_str(); 100])
    }

    fn push(&self, labels: &str, entries: Vec<EntryProto>) -> Result<(u16, String)> {
        let streams = vec![stream(labels, entries)];
        self.post("application/x-protobuf", snappy(&PushRequest { streams }))
    }

    fn post(&self, content_type: &str, body: Vec<u8>) -> Result<(u16, String)> {
        let headers = [("content-type", content_type), ("x-scope-orgid", self.tenant)];
        http::post(&self.loki.push_url(), &headers, body)
    }

    fn kept(&self, question: &str, lines: &[&str]) -> Result<()> {
        poll::until("what is kept", SEEN_DEADLINE, || {
            let kept = self.lines(question)?;
            if kept != lines {
                self.loki.flush()?;
            }
            ensure!(kept == lines, "kept {kept:?} instead of {lines:?}");
            Ok(())
        })
    }

    /// What is kept of a question's stream, in order of time.
    fn lines(&self, question: &str) -> Result<Vec<String>> {
        let entries = self.loki.entries_of(self.tenant, &[("question", question)])?;
        Ok(entries.into_iter().map(|entry| entry.line).collect())
    }
}

fn snappy(request: &PushRequest) -> Vec<u8> {
    snappy_bytes(&request.encode_to_vec())
}

fn snappy_bytes(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).expect("a body of megabytes")
}

fn stream(labels: &str, entries: Vec<EntryProto>) -> StreamProto {
    StreamProto { labels: labels.into(), entries }
}

fn entry(seconds: i64, line: &str, metadata: &[(&str, &str)]) -> EntryProto {
    let pairs = metadata.iter();
    EntryProto {
        timestamp: Some(Timestamp { seconds, nanos: 0 }),
        line: line.into(),
        structured_metadata: pairs
            .map(|(name, value)| LabelPair { name: (*name).into(), value: (*value).into() })
            .collect(),
    }
}
