//! A file system that becomes read-only under a running agent, for real and as the kernel says it.
//!
//! Linux refuses an orderly `mount -o remount,ro` while anybody has a file open for writing, as the agent
//! has: it is a file system with errors that becomes read-only under it. Such an ext4 cannot be made
//! writable again but by mounting it anew. A network's file system can, with the agent's files open all the
//! while: there the kernel answers EROFS, and later does not, which is what `strace` injects here.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};
use tokio::runtime::Runtime;

use crate::done;
use crate::house::House;
use crate::namespace::{INSIDE_VARIABLE, inside};
use crate::otlp::{self, RECORDS};
use crate::programs::Program;

const ERRORS: &str = "a_file_system_that_becomes_read_only_for_its_errors_loses_nothing";
const RECOVERS: &str = "a_read_only_file_system_refuses_until_it_is_writable_again";
const NOW_AND_THEN: &str = "a_disk_with_errors_now_and_then_loses_nothing_and_counts_nothing_twice";
const DEADLINE: Duration = Duration::from_mins(1);
/// What writes, of what SQLite and the agent ask of the kernel.
const WRITES: &str = "pwrite64,ftruncate,fallocate,fdatasync,fsync,mkdir,rename,unlink";

pub fn trials() -> Vec<Trial> {
    vec![
        with_an_ext4_of_its_own(),
        with_errors_of_the_kernel(RECOVERS, writable_again),
        with_errors_of_the_kernel(NOW_AND_THEN, fails_now_and_then),
    ]
}

fn with_an_ext4_of_its_own() -> Trial {
    if std::env::var_os(INSIDE_VARIABLE).is_some() {
        return Trial::test(ERRORS, || done(read_only_for_its_errors));
    }
    if let Some(unshare) = Program::MountNamespace.find()
        && may_break_an_ext4(&unshare)
    {
        return Trial::test(ERRORS, move || inside(&unshare, "-m", ERRORS));
    }
    let why = "needs root, `mkfs.ext4` and a loop device";
    Trial::test(format!("{ERRORS} ({why})"), || Ok(())).with_ignored_flag(true)
}

fn with_errors_of_the_kernel(name: &str, run: fn()) -> Trial {
    match Program::Strace.find() {
        Some(_) => Trial::test(name, move || done(run)),
        None => Trial::test(format!("{name} ({})", Program::Strace.missing()), || Ok(()))
            .with_ignored_flag(true),
    }
}

/// Root, and not only within a user namespace.
fn may_break_an_ext4(unshare: &Path) -> bool {
    let script = "f=$(mktemp) && truncate -s 8M $f && mkfs.ext4 -q $f && mkdir $f.d && \
                  mount -o loop $f $f.d && test -w /sys/fs/ext4/$(basename \
                  $(findmnt -no SOURCE $f.d))/trigger_fs_error; r=$?; umount $f.d; \
                  rm -rf $f $f.d; exit $r";
    let mut command = Command::new(unshare);
    command.args(["-m", "sh", "-c", script]);
    command.output().is_ok_and(|output| output.status.success())
}

fn read_only_for_its_errors() {
    let house = House::new();
    let (data, image) = (house.path("data"), house.path("data.ext4"));
    std::fs::create_dir_all(&data).unwrap();
    std::fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
    run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image));
    run(Command::new("mount").args(["-o", "loop,errors=remount-ro"]).arg(&image).arg(&data));
    let runtime = runtime();
    assert!(house.run(&["agent", "start"]).status.success());
    let endpoint = otlp::endpoint(&house);
    assert_eq!(runtime.block_on(otlp::send(&endpoint, 0)).status, 200);
    let orderly = Command::new("mount").args(["-o", "remount,ro"]).arg(&data).output().unwrap();
    assert!(!orderly.status.success(), "files are open for writing");
    std::fs::write(trigger(&data), "1").unwrap();
    assert_refuses(&house, &runtime, &endpoint);
    assert!(house.launch(&["-p"]).output.status.success(), "Claude Code starts");

    // What an administrator does about it.
    assert!(house.run(&["agent", "stop"]).status.success());
    run(Command::new("umount").arg(&data));
    let _ = Command::new("e2fsck").args(["-f", "-y"]).arg(&image).output().unwrap();
    run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&data));
    assert!(house.run(&["agent", "start"]).status.success());
    let endpoint = otlp::endpoint(&house);
    assert_eq!(runtime.block_on(otlp::send(&endpoint, 1_000)).status, 200);
    assert_has(&house, 2);
    assert!(house.run(&["agent", "stop"]).status.success());
    run(Command::new("umount").arg(&data));
}

fn writable_again() {
    let house = House::new();
    let runtime = runtime();
    assert!(house.run(&["agent", "start"]).status.success());
    let endpoint = otlp::endpoint(&house);
    assert_eq!(runtime.block_on(otlp::send(&endpoint, 0)).status, 200);
    let worker = house.json(&["status", "--json"])["worker"]["pid"].as_u64().unwrap();

    let read_only = Errors::begin(worker, "error=EROFS");
    let mut accepted = 1;
    until("its writes fail", || {
        let status = runtime.block_on(otlp::send(&endpoint, 1)).status;
        accepted += u64::from(status == 200);
        status == 503
    });
    assert_refuses(&house, &runtime, &endpoint);
    read_only.end();
    until("it goes on by itself", || runtime.block_on(otlp::send(&endpoint, 1_000)).status == 200);
    assert_has(&house, accepted + 1);
    let status = house.json(&["status", "--json"]);
    assert_eq!(status["worker"]["pid"], worker, "nobody had to be started: {status}");
    assert!(status["requests"]["refused"].as_u64().unwrap() > 3, "{status}");
    let words = String::from_utf8(house.run(&["status"]).stdout).unwrap();
    assert!(!words.contains("nothing can be written"), "{words}");
}

/// Each write is met by an error some time, at its beginning and in its middle; the same request is sent
/// until it is taken.
fn fails_now_and_then() {
    let house = House::new();
    let runtime = runtime();
    assert!(house.run(&["agent", "start"]).status.success());
    let endpoint = otlp::endpoint(&house);
    let mut sent = 0;
    for (error, step) in [("EIO", 31), ("ENOSPC", 37), ("EIO", 23), ("ENOSPC", 29)] {
        let status = house.json(&["status", "--json"]);
        let worker = status["worker"]["pid"].as_u64().unwrap();
        let errors = Errors::begin(worker, &format!("error={error}:when=1+{step}"));
        for _ in 0..6 {
            runtime.block_on(otlp::send_until_taken(&endpoint, sent));
            sent += 1;
        }
        errors.end();
    }
    runtime.block_on(otlp::send_until_taken(&endpoint, sent));
    let report = house.json(&["report", "--json"]);
    assert_eq!(report["total"]["requests"], (sent + 1) * RECORDS, "{report}");
    let status = house.json(&["status", "--json"]);
    assert_eq!(status["records"]["stored"], (sent + 1) * RECORDS, "{status}");
    assert!(status["requests"]["refused"].as_u64().unwrap() > 0, "no error was met: {status}");
    assert_eq!(status["worker"]["restarts"], 0, "{status}");
}

/// 503 with `Retry-After`, and words where a user looks.
fn assert_refuses(house: &House, runtime: &Runtime, endpoint: &str) {
    for number in 10..14 {
        let refused = runtime.block_on(otlp::send(endpoint, number));
        assert_eq!((refused.status, refused.retry_after.as_deref()), (503, Some("1")));
    }
    let status = String::from_utf8(house.run(&["status"]).stdout).unwrap();
    assert!(status.contains("nothing can be written to"), "{status}");
    assert!(status.contains("requests were turned away"), "{status}");
}

/// Every acknowledged request, once: in the report and in the books.
fn assert_has(house: &House, requests: u64) {
    let report = house.json(&["report", "--json"]);
    assert_eq!(report["total"]["requests"], requests * RECORDS, "{report}");
    let records = &house.json(&["status", "--json"])["records"];
    assert_eq!(records["received"], requests * RECORDS, "{records}");
    assert_eq!(records["stored"], requests * RECORDS, "{records}");
}

/// Writes of a process fail so, until this ends.
struct Errors(Child);

impl Errors {
    fn begin(pid: u64, error: &str) -> Self {
        let strace = Program::Strace.find().expect("found before");
        let mut command = Command::new(strace);
        command.args(["-f", "-qq", "-o", "/dev/null", "-p", &pid.to_string()]);
        command.arg(format!("--inject={WRITES}:{error}"));
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    fn end(mut self) {
        let pid = Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        self.0.wait().unwrap();
    }
}

/// Where the kernel can be told that this file system has an error.
fn trigger(mounted_at: &Path) -> PathBuf {
    let found = Command::new("findmnt").args(["-no", "SOURCE"]).arg(mounted_at).output().unwrap();
    let device = String::from_utf8(found.stdout).unwrap();
    let name = device.trim().rsplit('/').next().unwrap();
    Path::new("/sys/fs/ext4").join(name).join("trigger_fs_error")
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never so: {what}");
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}
