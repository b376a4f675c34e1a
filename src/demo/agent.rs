//! The throw-away agent: the rooms of the real one, in this process, in a directory and a time of its
//! own.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytesize::ByteSize;
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::agent::rooms::{Clocks, Rooms};
use crate::agent::status::Status;
use crate::agent::{files, identity, worker};
use crate::config::Config;
use crate::config::destination::{DestinationConfig, DestinationType};
use crate::deliver::client::Client;
use crate::deliver::wall_clock_ms;
use crate::deliver::wire::{Encoded, Wire};
use crate::page::{Asked, Page};
use crate::paths::Paths;
use crate::store::handle::Since;
use crate::store::{self, Clock};

/// Twice what a fortnight takes; and what has to be left at any time.
const ROOM_BYTES_WANTED: u64 = 64 << 20;
const ROOM_BYTES_MIN: u64 = 1 << 20;
/// How long it is tried to remove it, and how often.
const REMOVE_DEADLINE: Duration = Duration::from_secs(5);
const REMOVE_AGAIN: Duration = Duration::from_millis(10);
/// What the directory is called, before what makes it unique.
const DIRECTORY_PREFIX: &str = "ccotel-demo-";

/// Ends with [`ThrowAway::end`]; its directory goes in any case when it is dropped.
pub struct ThrowAway {
    pub paths: Paths,
    pub rooms: Arc<Rooms>,
    time: Time,
    addresses: Vec<SocketAddr>,
    client: Client,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    directory: TempDir,
}

/// The time of the fortnight, until it is the real one.
#[derive(Clone)]
pub struct Time {
    now_ms: Arc<AtomicI64>,
    is_over: Arc<AtomicBool>,
}

impl Time {
    fn new(now_ms: i64) -> Self {
        Self { now_ms: Arc::new(AtomicI64::new(now_ms)), is_over: Arc::default() }
    }

    fn clocks(&self) -> Clocks {
        let time = self.clone();
        let deliver = move || {
            if time.is_over.load(Ordering::SeqCst) {
                wall_clock_ms()
            } else {
                time.now_ms.load(Ordering::SeqCst)
            }
        };
        Clocks { store: Clock::Manual(Arc::clone(&self.now_ms)), deliver: Arc::new(deliver) }
    }
}

impl ThrowAway {
    /// Opens the rooms at this time, with a door on loopback. Destinations come later.
    pub async fn start(instance: &str, now_ms: i64) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix(DIRECTORY_PREFIX)
            .tempdir()
            .map_err(|error| no_directory(&error))?;
        check_room(directory.path(), ROOM_BYTES_WANTED)?;
        let paths = paths_in(&directory);
        std::fs::create_dir_all(&paths.data_dir).map_err(|error| no_directory(&error))?;
        let key = *blake3::hash(instance.as_bytes()).as_bytes();
        store::prepare(&paths.queue_db(), instance, key)?;
        let token = identity::token_or_new(&paths)?;
        let time = Time::new(now_ms);
        let config = Config::default();
        let rooms = Rooms::open_at(&paths, &config, token.clone(), true, time.clocks()).await?;
        let rooms = Arc::new(rooms);
        rooms.store().unsynced().await?;
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("no port of this machine's loopback address can be had")?;
        let address = listener.local_addr()?;
        let url = format!("http://{address}/{token}");
        let stop = CancellationToken::new();
        let serving = tokio::spawn(rooms.serve(vec![listener], stop.clone()));
        let client = Client::new(&door(url))?;
        Ok(Self { paths, rooms, time, addresses: vec![address], client, stop, serving, directory })
    }

    /// It is this late now.
    pub fn set_time(&self, now_ms: i64) {
        self.time.now_ms.store(now_ms, Ordering::SeqCst);
    }

    /// An error where the disk is about to be full: the store would make room by dropping what is old.
    pub fn check_room(&self) -> anyhow::Result<()> {
        check_room(self.directory.path(), ROOM_BYTES_MIN)
    }

    /// From now on destinations are sent to in real time.
    pub fn fortnight_is_over(&self) {
        self.time.is_over.store(true, Ordering::SeqCst);
    }

    /// Sends an OTLP request to the door, as Claude Code does.
    pub async fn send(&self, wire: Wire, body: Vec<u8>) -> anyhow::Result<()> {
        let headers = vec![("content-type", "application/x-protobuf".to_owned())];
        let answer = self.client.send(&Encoded { wire, headers, body }).await?;
        anyhow::ensure!(
            answer.status == 200,
            "the demo's own agent refused a request (status {}): {}",
            answer.status,
            answer.words()
        );
        Ok(())
    }

    /// The local page over what is here; its time is the fortnight's end, for as long as it is open.
    pub async fn open_page(&self, end: Timestamp) -> anyhow::Result<Page> {
        let (rooms, paths) = (Arc::clone(&self.rooms), self.paths.clone());
        let addresses = self.addresses.clone();
        let status: Asked<serde_json::Value> = Arc::new(move || {
            let (rooms, paths) = (Arc::clone(&rooms), paths.clone());
            let addresses = addresses.clone();
            Box::pin(async move {
                let mut status = Status { running: true, addresses, ..Status::on_disk(&paths) };
                status.pid = Some(std::process::id());
                status.version = Some(crate::agent::VERSION.to_owned());
                status.started = Some(end);
                worker::add_facts(&mut status, rooms.facts().await);
                serde_json::to_value(status).unwrap_or_default()
            })
        });
        let sources = self.rooms.page_sources(&self.paths, status, Arc::new(move || end));
        Page::start(sources, self.stop.clone()).await.map_err(|error| {
            anyhow::anyhow!("the page has no port to be served on: {}", files::words(&error))
        })
    }

    /// Closes everything and removes it.
    pub async fn end(self) -> anyhow::Result<()> {
        self.stop.cancel();
        let _ = self.serving.await;
        self.rooms.stop().await;
        drop(self.rooms);
        remove(self.directory).await
    }
}

/// The history's thread may be in the middle of a page.
async fn remove(directory: TempDir) -> anyhow::Result<()> {
    let path = directory.keep();
    let end = Instant::now() + REMOVE_DEADLINE;
    loop {
        let removed = std::fs::remove_dir_all(&path);
        tokio::time::sleep(REMOVE_AGAIN).await;
        match removed {
            _ if !path.exists() => return Ok(()),
            Err(error) if Instant::now() > end => anyhow::bail!(
                "{} cannot be removed: {}; remove it by hand",
                path.display(),
                files::words(&error)
            ),
            _ => {}
        }
    }
}

/// Everything in one directory, away from the user's.
fn paths_in(directory: &TempDir) -> Paths {
    let root = directory.path();
    Paths {
        config_dir: root.join("config"),
        data_dir: root.join("data"),
        runtime_dir: root.join("run"),
        home: root.to_path_buf(),
    }
}

fn no_directory(error: &std::io::Error) -> anyhow::Error {
    anyhow::anyhow!(
        "no directory can be made in {}: {}; TMPDIR names another place",
        std::env::temp_dir().display(),
        files::words(error)
    )
}

fn check_room(directory: &Path, wanted_bytes: u64) -> anyhow::Result<()> {
    let disk = rustix::fs::statvfs(directory).map_err(std::io::Error::from);
    let disk = disk.map_err(|error| no_directory(&error))?;
    let free_bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
    anyhow::ensure!(
        free_bytes >= wanted_bytes,
        "there is no room for the demo in {}: it takes up to {}, and {} are free; TMPDIR names another \
         place",
        std::env::temp_dir().display(),
        ByteSize(ROOM_BYTES_WANTED),
        ByteSize(free_bytes)
    );
    Ok(())
}

/// The door as a place to send OTLP to.
fn door(url: String) -> DestinationConfig {
    DestinationConfig {
        since: Since::All,
        ..DestinationConfig::new("door", DestinationType::Otlp, url)
    }
}
