//! One call of one thread of one worker that fails, by `strace`, which counts the calls of each
//! name for each thread.
//!
//! The store's thread has a database of its own to itself once the worker has started, and the history's
//! thread always has: those are followed by thread or by file. What the worker's first thread does before
//! there are others is met only by a tracer that is there from the beginning, so a script takes the
//! binary's place for the holder, and starts the next worker, and only that one, under `strace -D`.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use super::{DEADLINE, LOOK_PERIOD};
use crate::house::{CCOTEL, House};
use crate::programs::Program;

/// What writes to the data directory, of what SQLite and the agent ask of the kernel.
const CALLS: &str =
    "openat,write,pwrite64,ftruncate,fallocate,fdatasync,fsync,fchown,mkdir,rename,unlink";
const QUEUE: [&str; 8] = [
    "",
    "/queue.db",
    "/queue.db-wal",
    "/queue.db-shm",
    "/queue.db-journal",
    "/queue.reserve",
    "/queue.high-water.json",
    "/queue.high-water.json.new",
];
const HISTORY: [&str; 4] =
    ["/history.db", "/history.db-wal", "/history.db-shm", "/history.db-journal"];
/// `$$` is the worker's number to be.
const FIRST: [&str; 5] = [
    "/agent.log",
    "/worker.lock",
    "/last-valid",
    "/last-valid/config.toml",
    "/last-valid/config.$$.tmp",
];

pub const PARTS: [Part; 3] = [Part::First, Part::Store, Part::History];

/// A thread of the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Opens the store.
    First,
    Store,
    History,
}

impl Part {
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "the_start",
            Self::Store => "the_store",
            Self::History => "the_history",
        }
    }

    fn files(self) -> Vec<&'static str> {
        match self {
            Self::First => [&QUEUE[..], &FIRST[..]].concat(),
            Self::Store => QUEUE.to_vec(),
            Self::History => HISTORY.to_vec(),
        }
    }
}

/// A call as `strace` finds it again: the `count`th of this name, from 1.
#[derive(Clone, Debug)]
pub struct Call {
    pub name: String,
    pub count: usize,
}

#[derive(Clone, Debug)]
pub struct Fault {
    pub error: &'static str,
    pub call: Call,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} number {}", self.error, self.call.name, self.call.count)
    }
}

fn binary(house: &House) -> PathBuf {
    house.path("bin/ccotel")
}

/// Starts the agent from a file that a script can take the place of.
pub fn start(house: &House) {
    let binary = binary(house);
    if std::fs::hard_link(CCOTEL, &binary).is_err() {
        // Another process writes it, see `House::executable`.
        assert!(Command::new("cp").args([CCOTEL.as_ref(), &*binary]).status().unwrap().success());
    }
    let started = house.command(&binary).args(["agent", "start"]).output().unwrap();
    assert!(started.status.success(), "{started:?}");
}

/// A worker that is looked at, from its start to its end.
pub struct Trace {
    log: PathBuf,
    attached: Option<Child>,
}

impl Trace {
    /// Begins with a new worker, which has taken the place of the one before.
    pub fn begin(house: &House, part: Part, fault: Option<&Fault>) -> Self {
        let log = house.path("out/calls");
        let strace = Program::Strace.find().expect("found before");
        let data = house.path("data");
        let mut arguments =
            format!("{} -qq -o {} -e trace={CALLS}", strace.display(), log.display());
        for file in part.files() {
            let _ = write!(arguments, " -P {}{file}", data.display());
        }
        if let Some(Fault { error, call: Call { name, count } }) = fault {
            let _ = write!(arguments, " --inject={name}:error={error}:when={count}");
        }
        match part {
            Part::First => replace_binary(house, &format!("{arguments} -D")),
            Part::History => replace_binary(house, &format!("{arguments} -D -f")),
            Part::Store => {}
        }
        let worker = another_worker(house);
        let attached = (part == Part::Store).then(|| attach(&arguments, thread(worker, "store")));
        Self { log, attached }
    }

    /// After the worker's end: its calls in their order, and how many of them failed by our hand.
    pub fn end(mut self) -> (Vec<Call>, usize) {
        if let Some(strace) = &mut self.attached {
            strace.wait().unwrap();
        }
        let log = std::fs::read_to_string(&self.log).unwrap();
        let mut counts = BTreeMap::new();
        let names = log.lines().filter_map(called);
        let calls = names.map(|name| {
            let count = counts.entry(name).and_modify(|count| *count += 1).or_insert(1);
            Call { name: name.to_owned(), count: *count }
        });
        (calls.collect(), log.lines().filter(|line| line.ends_with("(INJECTED)")).count())
    }
}

/// The name in `pwrite64(14, …` or `4711 pwrite64(14, …`; none in what else `strace` writes.
fn called(line: &str) -> Option<&str> {
    let name = line.split_once('(')?.0.rsplit(' ').next()?;
    CALLS.split(',').any(|call| call == name).then_some(name)
}

/// From now on the holder starts one worker so, and those after it as ever.
fn replace_binary(house: &House, strace: &str) {
    let once = house.path("out/traced");
    let script = format!(
        "#!/bin/sh\nif [ \"$2\" = worker ] && mkdir {} 2>/dev/null; then\n  exec {strace} {CCOTEL} \"$@\"\nfi\n\
         exec {CCOTEL} \"$@\"\n",
        once.display()
    );
    let written = house.executable("bin/ccotel.next", &script);
    std::fs::rename(written, binary(house)).unwrap();
}

/// Ends the worker in good order, and waits for the next one, though not for its answers.
fn another_worker(house: &House) -> u64 {
    let status = house.json(&["status", "--json"]);
    let (holder, old) = (number(&status["pid"]), number(&status["worker"]["pid"]));
    let pid = Pid::from_raw(i32::try_from(old).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let children = format!("/proc/{holder}/task/{holder}/children");
    poll("another worker", || {
        let children = std::fs::read_to_string(&children).ok()?;
        let mut pids = children.split_whitespace().filter_map(|pid| pid.parse().ok());
        pids.find(|pid| *pid != old)
    })
}

fn number(value: &serde_json::Value) -> u64 {
    value.as_u64().unwrap()
}

fn thread(worker: u64, name: &str) -> u64 {
    poll("the worker's thread", || {
        let threads = std::fs::read_dir(format!("/proc/{worker}/task")).ok()?.flatten();
        let mut threads = threads.filter(|thread| {
            std::fs::read_to_string(thread.path().join("comm"))
                .is_ok_and(|found| found.trim() == name)
        });
        threads.next()?.file_name().to_str()?.parse().ok()
    })
}

/// To one thread alone.
fn attach(arguments: &str, thread: u64) -> Child {
    let mut words = arguments.split(' ');
    let mut command = Command::new(words.next().unwrap());
    command.args(words).args(["-p", &thread.to_string()]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    poll("strace is there", || {
        let status = std::fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
        let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?;
        (tracer.trim() == child.id().to_string()).then_some(())
    });
    child
}

fn poll<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "never so: {what}");
        std::thread::sleep(LOOK_PERIOD / 10);
    }
}
