//! Other users of the same machine: their programs at the receiver's door, their files on the way to
//! a session's tags.
//!
//! To be somebody else takes root: without it each test is listed as ignored, by name.

#![expect(clippy::unwrap_used, reason = "tests; clippy knows them by #[test] only")]

#[path = "../house/mod.rs"]
mod house;
#[expect(dead_code, reason = "shared by test binaries, none of which uses all of it")]
#[path = "../receive/support.rs"]
mod support;

use std::process::ExitCode;

use ccotel::receive::Limits;
use libtest_mimic::{Arguments, Trial};
use serde_json::json;

use house::House;
use support::{Agent, TOKEN, admission, logs};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = vec![as_root(
        "a_file_of_another_user_is_ignored_and_ends_the_walk",
        a_file_of_another_user_is_ignored_and_ends_the_walk,
    )];
    // By /dev/tcp and /proc, as on Linux.
    if cfg!(target_os = "linux") {
        trials.push(as_root("another_user_gets_in_with_the_token_only", || {
            on_a_runtime(another_user_gets_in_with_the_token_only());
        }));
        trials.push(as_root("another_user_cannot_take_the_last_places", || {
            on_a_runtime(another_user_cannot_take_the_last_places());
        }));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn as_root(name: &str, run: fn()) -> Trial {
    let is_root = rustix::process::geteuid().is_root();
    let name = if is_root { name.to_owned() } else { format!("{name} (needs root)") };
    let done = move || {
        run();
        Ok(())
    };
    Trial::test(name, done).with_ignored_flag(!is_root)
}

fn on_a_runtime(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(test);
}

fn a_file_of_another_user_is_ignored_and_ends_the_walk() {
    let house = House::new();
    let file = house.write("home/work/checkout/.ccotel.toml", "team = \"theirs\"");
    house.write("home/work/.ccotel.toml", "team = \"above\"");
    std::os::unix::fs::chown(&file, Some(12345), None).unwrap();
    let document = house.json(&["tags", "--json"]);
    assert_eq!(document["team"], json!(null));
    assert!(document["problems"][0]["what"].as_str().unwrap().contains("belongs to another user"));
    house.launch(&["-p"]);
}

const NOBODY: u32 = 65534;

/// The first line of the answer to another user's program.
async fn ask_as_nobody(agent: &Agent, path: &str) -> String {
    use std::os::unix::process::CommandExt as _;

    let port = agent.address.port();
    let script = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port}; printf 'POST {path} HTTP/1.0\\r\\nContent-Type: \
         application/json\\r\\nContent-Length: 2\\r\\n\\r\\n{{}}' >&3; head -n 1 <&3"
    );
    let run = move || {
        let mut bash = std::process::Command::new("bash");
        bash.args(["-c", &script]).uid(NOBODY).gid(NOBODY).current_dir("/").output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

async fn another_user_gets_in_with_the_token_only() {
    let agent = Agent::start();
    let guessed = "/guessed-guessed-guessed/v1/logs";
    assert_eq!(ask_as_nobody(&agent, "/v1/logs").await, "HTTP/1.0 401 Unauthorized");
    assert_eq!(ask_as_nobody(&agent, guessed).await, "HTTP/1.0 401 Unauthorized");
    assert_eq!(ask_as_nobody(&agent, &format!("/{TOKEN}/v1/logs")).await, "HTTP/1.0 200 OK");
    assert_eq!(agent.counts().denied, 2);
}

async fn another_user_cannot_take_the_last_places() {
    let agent = Agent::with(Limits { connections_max: 4, ..Limits::default() }, admission());
    let (body, _) = logs();
    let mut ours = Vec::new();
    for _ in 0..2 {
        let mut connection = agent.connect().await;
        connection.send(&support::post("/v1/logs", &[], &body)).await;
        assert_eq!(connection.answer().await.status, 200);
        ours.push(connection);
    }
    assert_eq!(ask_as_nobody(&agent, "/v1/logs").await, "", "closed without a word");
    assert_eq!(agent.post("/v1/logs", &[], &body).await.status, 200, "there is room for us");
    assert_eq!((agent.counts().requests, agent.counts().denied), (3, 0));
    drop(ours);
}
