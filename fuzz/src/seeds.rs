//! Where fuzzing starts: requests of the real Claude Code, what the agent makes of them, and files
//! as users write them.

use std::fs;
use std::path::{Path, PathBuf};

use ccotel::record::Batch;
use ccotel::store::row::RowWriter;
use ccotel::store::samples::{Entry, write_entries};
use ccotel::store::stream::Stream;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

use super::{plain, targets};

/// Larger requests make fuzzing slow and teach it little.
const SEED_BYTES_MAX: usize = 16 << 10;

/// The first inputs of a target. `root` is the repository.
pub fn of(target: &str, root: &Path) -> Vec<Vec<u8>> {
    let recorded = || recorded(root);
    let protobuf = |recorded: Vec<Request>| {
        recorded.into_iter().filter(|it| !it.is_json).map(|it| it.body).collect::<Vec<_>>()
    };
    let mut seeds = match target {
        "otlp_protobuf" | "otlp_same_in_both" => protobuf(recorded()),
        "otlp_json" => recorded().into_iter().filter(|it| it.is_json).map(|it| it.body).collect(),
        "gzip_body" => protobuf(recorded()).iter().step_by(8).map(|it| plain::gzip(it)).collect(),
        "project_file" => texts(&PROJECT_FILES),
        "config_file" => texts(&CONFIG_FILES),
        "resource_attributes" => texts(&ATTRIBUTES),
        "stored_rows" => rows(&recorded()),
        other => panic!("no target is called {other}"),
    };
    seeds.extend(regressions(target, root));
    seeds
}

/// Inputs that broke a promise once.
fn regressions(target: &str, root: &Path) -> Vec<Vec<u8>> {
    let files = files_in(&root.join("fuzz/regressions").join(target));
    files.iter().map(|file| fs::read(file).expect("a file that was just listed")).collect()
}

struct Request {
    body: Vec<u8>,
    is_json: bool,
    signal: Signal,
}

#[derive(Clone, Copy)]
enum Signal {
    Metrics,
    Logs,
    Traces,
}

/// Requests recorded from Claude Code, of the size that fuzzing can work with.
fn recorded(root: &Path) -> Vec<Request> {
    let fixtures = files_in(&root.join("tests/fixtures/claude-code-2.1.197"));
    assert!(!fixtures.is_empty(), "the fixtures are in {}", root.display());
    let bodies = fixtures.iter().flat_map(|folder| files_in(folder)).filter_map(|file| {
        let name = file.file_name()?.to_str()?.to_owned();
        let body = (file.extension()? == "bin").then(|| fs::read(&file).ok()).flatten()?;
        let signal = match name.split('-').nth(1)? {
            "metrics" => Signal::Metrics,
            "logs" => Signal::Logs,
            _ => Signal::Traces,
        };
        Some(Request { body, is_json: name.contains("json"), signal })
    });
    bodies.filter(|request| request.body.len() <= SEED_BYTES_MAX).collect()
}

/// Every kind of row, as the store would write the requests.
fn rows(requests: &[Request]) -> Vec<Vec<u8>> {
    let mut writer = RowWriter::new().expect("a compressor");
    let entry = |series| Entry { series, was_live: true, is_live: true, before: 1.5, after: 2.0 };
    let mut rows = vec![write_entries(&[entry(0), entry(300)]), Stream::default().to_bytes()];
    for (index, request) in requests.iter().filter(|it| !it.is_json).enumerate().step_by(4) {
        let batch = batch(&request.body, request.signal, index);
        rows.push(writer.write(&batch).expect("a row"));
    }
    rows
}

fn batch(body: &[u8], signal: Signal, choice: usize) -> Batch {
    const READABLE: &str = "a recorded request is readable";
    let recorder = targets::recorder(choice);
    match signal {
        Signal::Metrics => {
            recorder.metrics(ExportMetricsServiceRequest::decode(body).expect(READABLE)).batch
        }
        Signal::Logs => {
            recorder.logs(ExportLogsServiceRequest::decode(body).expect(READABLE)).batch
        }
        Signal::Traces => {
            recorder.traces(ExportTraceServiceRequest::decode(body).expect(READABLE)).batch
        }
    }
}

/// In the order of their names, so that every run starts alike.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    files
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

const PROJECT_FILES: [&str; 4] = [
    "team = \"payments\"\nproject = \"checkout\"\n[tags]\ncost_center = \"cc-42\"\n\
     [privacy]\nlevel = \"minimal\"\n",
    "root = true\n[budget]\ndaily_usd = 20\nweekly_usd = 99.5\nmonthly_usd = 1e3\n",
    "tags = { a.b = \"1\", a_b = \"2\" }\nprivacy = 1\n",
    "team = 5\n\"te\\u0061m\" = 'x'\n[agent]\nlisten = [\"0.0.0.0:1\"]\n",
];

const CONFIG_FILES: [&str; 4] = [
    "team = \"platform\"\n[agent]\nlisten = [\"127.0.0.1:14318\", \"localhost:4318\", \"[::1]:0\"]\n\
     max_disk = \"512 MiB\"\nhistory_days = 400\naccept = \"any\"\n\
     [privacy]\nlevel = \"standard\"\nemail = \"hash\"\n",
    "[[destination]]\nname = \"team-prom\"\ntype = \"prometheus\"\n\
     url = \"https://prom.example.com/api/v1/write\"\nprotocol = \"2.0\"\n\
     bearer_token_file = \"~/prom.token\"\nprivacy = \"minimal\"\ntenant = \"a\"\nsince = \"7d\"\n\
     tls = { ca = \"ca.pem\", cert = \"c.pem\", key = \"k.pem\" }\n\
     [[destination]]\nname = \"loki\"\ntype = \"loki\"\nurl = \"http://127.0.0.1:3100\"\n\
     basic_auth = { username = \"u\", password_file = \"p\" }\nheaders = { X-A = \"b\" }\n",
    "[[destination]]\nname = \"x\"\ntype = \"otlp\"\nurl = \"http://[::1]:4318\"\n\
     token_command = [\"cat\", \"token\"]\nsince = 2026-11-14T00:00:00Z\n",
    "[tags]\na.b = \"1\"\na_b = \"2\"\n[privacy]\nlevel = \"tight\"\nemail = 5\n[agent]\nlisten = 4\n",
];

const ATTRIBUTES: [&str; 5] = [
    "team=payments,project=checkout,cost_center=cc%2042",
    "team=a b, cost=50%,x=\"quoted\",none,=y,eq=a=b,\u{e9}=\u{fc}",
    "ccotel.launch.id=0123,ccotel.privacy=minimal",
    "%41=%4,%zz=%C3%28,a=%",
    ",,=,a=\"\",b=\",c=\"\"",
];
