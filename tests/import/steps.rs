//! Any history of a few growing files and of imports that are cut off comes to what one import of all
//! of it comes to.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use ccotel::import::summary::Summary;
use ccotel::import::{self, Options};
use ccotel::paths::Paths;
use proptest::prelude::*;
use rusqlite::Connection;
use serde_json::Value;

use crate::lines::{answer_of, prompt, time};

const SESSIONS: usize = 3;
/// Few, so that the same ones come again.
const IDS: u8 = 6;

#[derive(Clone, Debug)]
enum Step {
    /// A line of a file, or the first half of one; the rest comes before the next line.
    Append { file: usize, line: Line, half: bool },
    /// The file again with its last line first.
    Rewrite { file: usize },
    /// Cut off after so many reports of progress.
    Import { progress: usize },
}

#[derive(Clone, Debug)]
enum Line {
    Answer { session: usize, id: u8, output: i64 },
    Prompt { session: usize, id: u8 },
    Broken,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let line = prop_oneof![
        6 => (0..SESSIONS, 0..IDS, 1..500_i64)
            .prop_map(|(session, id, output)| Line::Answer { session, id, output }),
        2 => (0..SESSIONS, 0..IDS).prop_map(|(session, id)| Line::Prompt { session, id }),
        1 => Just(Line::Broken),
    ];
    let step = prop_oneof![
        6 => (0..SESSIONS, line, proptest::bool::weighted(0.2))
            .prop_map(|(file, line, half)| Step::Append { file, line, half }),
        1 => (0..SESSIONS).prop_map(|file| Step::Rewrite { file }),
        3 => (0..4_usize).prop_map(|progress| Step::Import { progress }),
    ];
    proptest::collection::vec(step, 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_steps_come_to_what_one_import_comes_to(steps in steps()) {
        let root = tempfile::tempdir().expect("a folder");
        let many = paths(root.path(), "many");
        let mut files = Files::new(root.path());
        for step in &steps {
            match step {
                Step::Append { file, line, half } => files.append(*file, line, *half),
                Step::Rewrite { file } => files.rewrite(*file),
                Step::Import { progress } => {
                    import_until(&many, root.path(), *progress);
                }
            }
        }
        (0..SESSIONS).for_each(|file| files.finish(file));
        import_until(&many, root.path(), usize::MAX);
        let again = import_until(&many, root.path(), usize::MAX);
        prop_assert_eq!((again.added.requests, again.added.prompts, again.grown), (0, 0, 0));
        let once = paths(root.path(), "once");
        import_until(&once, root.path(), usize::MAX);
        prop_assert_eq!(counted(&many), counted(&once));
    }
}

/// Transcripts, and what of their last line is still to come.
struct Files {
    folder: PathBuf,
    rest: [String; SESSIONS],
}

impl Files {
    fn new(root: &Path) -> Self {
        let folder = root.join("projects");
        fs::create_dir_all(&folder).expect("a folder");
        Self { folder, rest: Default::default() }
    }

    fn append(&mut self, file: usize, line: &Line, half: bool) {
        self.finish(file);
        let text = format!("{}\n", line.text());
        let cut = if half { text.len() / 2 } else { text.len() };
        self.write(file, &text[..cut]);
        text[cut..].clone_into(&mut self.rest[file]);
    }

    fn finish(&mut self, file: usize) {
        let rest = std::mem::take(&mut self.rest[file]);
        if !rest.is_empty() {
            self.write(file, &rest);
        }
    }

    fn rewrite(&mut self, file: usize) {
        self.finish(file);
        let Ok(text) = fs::read_to_string(self.path(file)) else { return };
        let mut lines: Vec<&str> = text.lines().collect();
        lines.rotate_right(1);
        fs::write(self.path(file), lines.join("\n") + "\n").expect("it is written");
    }

    fn path(&self, file: usize) -> PathBuf {
        self.folder.join(format!("{file}.jsonl"))
    }

    fn write(&self, file: usize, text: &str) {
        let opened = OpenOptions::new().create(true).append(true).open(self.path(file));
        opened.and_then(|mut file| file.write_all(text.as_bytes())).expect("it is written");
    }
}

impl Line {
    fn text(&self) -> String {
        let session = |number: &usize| format!("session-{number}");
        let value: Value = match self {
            Self::Answer { session: number, id, output } => {
                // An answer's copies differ in what they came to, and in nothing else.
                answer_of(
                    &session(number),
                    &format!("{number}-{id}"),
                    &time(i64::from(*id)),
                    10,
                    *output,
                )
            }
            Self::Prompt { session: number, id } => {
                prompt(&session(number), &format!("{number}-{id}"), i64::from(*id), "hello")
            }
            Self::Broken => return "{broken".to_owned(),
        };
        value.to_string()
    }
}

fn paths(root: &Path, name: &str) -> Paths {
    let directory = |kind: &str| {
        let path = root.join(name).join(kind);
        fs::create_dir_all(&path).expect("a folder");
        path
    };
    Paths {
        config_dir: directory("config"),
        data_dir: directory("data"),
        runtime_dir: directory("run"),
        home: directory("home"),
    }
}

fn import_until(paths: &Paths, root: &Path, progress_max: usize) -> Summary {
    let options = Options {
        roots: vec![root.join("projects")],
        since_ms: 0,
        now_ms: jiff::Timestamp::now().as_millisecond(),
        dry_run: false,
    };
    let stop = AtomicBool::new(progress_max == 0);
    let mut seen = 0;
    let mut progress = |_, _| {
        seen += 1;
        stop.store(seen >= progress_max, Ordering::Relaxed);
    };
    import::run(paths, &options, &stop, &mut progress).expect("an import")
}

/// Every request and prompt, and the sums that a report takes.
fn counted(paths: &Paths) -> Vec<String> {
    let imported = Connection::open(paths.imported_db()).expect("it is there");
    let mut rows = Vec::new();
    for query in [
        "SELECT session.session_id || ' ' || time_ms || ' ' || request_id || ' ' || input_tokens || ' ' ||
           output_tokens || ' ' || printf('%.9f', cost_usd)
         FROM request JOIN session ON session.id = request.session_id ORDER BY 1",
        "SELECT session.session_id || ' ' || time_ms || ' ' || length
         FROM prompt JOIN session ON session.id = prompt.session_id ORDER BY 1",
        "SELECT session.session_id || ' ' || requests || ' ' || output_tokens || ' ' ||
           printf('%.9f', cost_usd) || ' ' || printf('%.9f', dearest_usd)
         FROM prompt_usage JOIN session ON session.id = prompt_usage.session_id ORDER BY 1",
    ] {
        let mut statement = imported.prepare(query).expect("the tables are there");
        let texts = statement.query_map([], |row| row.get::<_, Option<String>>(0));
        rows.extend(texts.expect("rows").map(|row| row.expect("a row").unwrap_or_default()));
    }
    rows
}
