//! A home directory of its own for each test, with a fake `claude` on PATH that writes down what it
//! was given.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![expect(clippy::unwrap_used, reason = "a set-up that fails is a test that fails")]

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The binary under test.
pub const CCOTEL: &str = env!("CARGO_BIN_EXE_ccotel");

const FAKE_CLAUDE: &str = r#"#!/bin/sh
printf '%s\0' "$@" > "$FAKE_OUT/arguments"
env -0 > "$FAKE_OUT/environment"
pwd -P > "$FAKE_OUT/directory"
echo $$ > "$FAKE_OUT/pid"
exit ${FAKE_EXIT:-0}
"#;

pub struct House {
    dir: tempfile::TempDir,
    /// Where commands are run.
    pub directory: PathBuf,
    variables: BTreeMap<OsString, OsString>,
}

/// What the fake `claude` was given.
pub struct Launched {
    pub arguments: Vec<OsString>,
    pub environment: BTreeMap<String, String>,
    pub directory: PathBuf,
    pub pid: u32,
    pub output: Output,
    /// What the command that was run is numbered.
    pub spawned: u32,
}

impl House {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for sub in ["home/work/checkout", "bin", "out", "managed", "config"] {
            std::fs::create_dir_all(root.join(sub)).unwrap();
        }
        let path = format!("{}:/usr/bin:/bin", root.join("bin").display());
        let variables = [
            ("PATH", path.into()),
            ("HOME", root.join("home").into_os_string()),
            ("CCOTEL_CONFIG_DIR", root.join("config").into()),
            ("CCOTEL_DATA_DIR", root.join("data").into()),
            ("CCOTEL_RUNTIME_DIR", root.join("run").into()),
            ("CCOTEL_ORGANISATION_FILE", root.join("organisation.toml").into()),
            ("CCOTEL_MANAGED_SETTINGS_DIR", root.join("managed").into()),
            ("FAKE_OUT", root.join("out").into()),
        ];
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value)).collect();
        let directory = root.join("home/work/checkout");
        let house = Self { dir, directory, variables };
        house.executable("bin/claude", FAKE_CLAUDE);
        house.config("");
        house
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(below)
    }

    pub fn write(&self, file: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Another process writes it: while this one forks for another test, a file that it has open
    /// for writing could not be executed ("text file busy").
    pub fn executable(&self, file: &str, text: &str) -> PathBuf {
        let source = self.write(&format!("{file}.text"), text);
        let path = self.path(file);
        let copied = Command::new("cp").arg(source).arg(&path).status().unwrap();
        assert!(copied.success());
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path
    }

    /// Writes `config.toml`, with an agent on a free port.
    pub fn config(&self, text: &str) {
        self.write("config/config.toml", format!("{text}\n[agent]\nlisten = [\"127.0.0.1:0\"]\n"));
    }

    pub fn set(&mut self, name: &str, value: impl AsRef<OsStr>) -> &mut Self {
        self.variables.insert(name.into(), value.as_ref().to_owned());
        self
    }

    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(&self.variables).current_dir(&self.directory);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs `ccotel` with these arguments.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(CCOTEL).args(arguments).output().unwrap()
    }

    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self.run(arguments);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    /// Runs `ccotel claude` with these arguments, to its end.
    pub fn launch(&self, arguments: &[&str]) -> Launched {
        let mut command = self.command(CCOTEL);
        command.arg("claude").args(arguments);
        self.launched(&mut command)
    }

    /// Runs what ends as the fake `claude`.
    pub fn launched(&self, command: &mut Command) -> Launched {
        let _ = std::fs::remove_file(self.path("out/arguments"));
        let child = command.spawn().unwrap();
        let spawned = child.id();
        let output = child.wait_with_output().unwrap();
        let read = |file: &str| {
            let path = self.path("out").join(file);
            std::fs::read(path).unwrap_or_else(|error| panic!("{file}: {error}: {output:?}"))
        };
        let text = |file: &str| String::from_utf8(read(file)).unwrap().trim_end().to_owned();
        let environment = split(&read("environment"))
            .into_iter()
            .filter_map(|entry| {
                let entry = entry.into_string().ok()?;
                entry.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
            })
            .collect();
        Launched {
            arguments: split(&read("arguments")),
            environment,
            directory: text("directory").into(),
            pid: text("pid").parse().unwrap(),
            output,
            spawned,
        }
    }

    /// Runs `ccotel claude` on a terminal, and returns what it showed.
    pub fn on_terminal(&self, arguments: &[&str]) -> String {
        let flags = rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY;
        let controller = rustix::pty::openpt(flags).unwrap();
        rustix::pty::grantpt(&controller).unwrap();
        rustix::pty::unlockpt(&controller).unwrap();
        let name = rustix::pty::ptsname(&controller, Vec::new()).unwrap();
        let path = Path::new(OsStr::from_bytes(name.to_bytes())).to_owned();
        let terminal = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
        let mut command = self.command(CCOTEL);
        command.arg("claude").args(arguments);
        command.stdout(terminal.try_clone().unwrap()).stderr(terminal);
        let mut child = command.spawn().unwrap();
        drop(command);
        let reader = std::thread::spawn(move || {
            let mut shown = Vec::new();
            // The last one to leave a terminal is an error to its reader, on Linux.
            let _ = std::fs::File::from(controller).read_to_end(&mut shown);
            shown
        });
        assert!(child.wait().unwrap().success());
        String::from_utf8(reader.join().unwrap()).unwrap()
    }

    /// What went wrong at launches, as `ccotel tags` tells it.
    pub fn launch_problems(&self) -> Vec<String> {
        let document = self.json(&["tags", "--json"]);
        let problems = document["launch_problems"].as_array().unwrap().clone();
        problems.iter().map(|problem| problem["what"].as_str().unwrap().to_owned()).collect()
    }
}

impl Drop for House {
    /// Whatever agent a launch started ends with the house.
    fn drop(&mut self) {
        let _ = self.command(CCOTEL).args(["agent", "stop"]).output();
    }
}

impl Launched {
    /// The settings that `--settings` in front names.
    pub fn settings(&self) -> serde_json::Value {
        let at = self.arguments.iter().position(|argument| argument == "--settings").unwrap();
        serde_json::from_slice(&std::fs::read(&self.arguments[at + 1]).unwrap()).unwrap()
    }

    /// A variable as Claude Code will have it: from `--settings`, which outranks the environment.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.settings()["env"][name].as_str().map(str::to_owned)
    }

    /// The resource attributes, still encoded.
    pub fn attributes(&self) -> BTreeMap<String, String> {
        let text = self.variable("OTEL_RESOURCE_ATTRIBUTES").unwrap();
        let entries = text.split(',').map(|entry| entry.split_once('=').unwrap());
        entries.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    /// The arguments that are the user's.
    pub fn own_arguments(&self) -> Vec<&str> {
        let mut own = &self.arguments[..];
        while let [first, _, rest @ ..] = own
            && first == "--settings"
        {
            own = rest;
        }
        own.iter().map(|argument| argument.to_str().unwrap()).collect()
    }

    pub fn stderr(&self) -> &str {
        std::str::from_utf8(&self.output.stderr).unwrap()
    }
}

fn split(bytes: &[u8]) -> Vec<OsString> {
    let mut parts: Vec<OsString> =
        bytes.split(|byte| *byte == 0).map(|part| OsString::from_vec(part.to_vec())).collect();
    parts.pop();
    parts
}

/// Where a symbolic link to the binary, under another name, stands.
pub fn link(house: &House, file: &str) -> PathBuf {
    let path = house.path(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(Path::new(CCOTEL), &path).unwrap();
    path
}
