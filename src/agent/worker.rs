//! `agent worker`: one thread that receives, stores, delivers and answers the control socket.
//!
//! It lives on a leash: standard input is a pipe that the holder never writes to. When it closes, or at
//! SIGTERM, the worker drains: no new connections, requests in flight are answered, the store settles.

use std::cell::RefCell;
use std::fs::{DirBuilder, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use jiff::Timestamp;
use rustix::fs::Mode;
use rustix::process::{Pid, Resource, Rlimit, getppid, getrlimit, setrlimit, test_kill_process};
use tokio::net::unix::pipe;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::LocalSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::control::server;
use super::identity;
use super::rooms::Rooms;
use super::sessions::Sessions;
use super::status::Warning;
use super::watch::ConfigWatch;
use super::{files, lock, log, notices, sockets};
use crate::config::Config;
use crate::exit::Exit;
use crate::paths::Paths;
use crate::receive;
use crate::receive::gateway::{self, FilesWatch, Gateway};

mod answer;
mod page;
mod reload;

pub use answer::add_facts;
pub use reload::config_at_start;

/// How long the worker of a killed holder may take to let go of the store.
const PREDECESSOR_WAIT: Duration = Duration::from_secs(10);
/// How long requests in flight may take at the end, and then the store. The receiver cuts its own
/// before this, and says how many.
const DRAIN_REQUESTS_WAIT: Duration = Duration::from_millis(3500);
const _: () = assert!(
    DRAIN_REQUESTS_WAIT.as_millis() > receive::Limits::DESIGN.drain_timeout.as_millis(),
    "the receiver would be cut before it cuts"
);
const DRAIN_STORE_WAIT: Duration = Duration::from_secs(2);
/// How often launches are looked at, while there are any that have not been heard of.
const LOOK_PERIOD: Duration = Duration::from_secs(10);

const STORE_DIED: &str =
    "the store's thread has ended without being asked to; `ccotel agent logs` says more";

/// Runs until told to stop. An error is also said on standard output, where the holder reads it.
pub fn run(paths: &Paths, gateway: bool) -> Exit {
    if gateway {
        log::use_stderr();
    }
    match prepare_and_work(paths, gateway) {
        Ok(()) => Exit::Done,
        Err(error) => {
            tracing::error!("{error:#}");
            // A holder that is gone reads nothing.
            let _ = writeln!(std::io::stdout(), "{error:#}");
            Exit::Failed
        }
    }
}

fn prepare_and_work(paths: &Paths, gateway: bool) -> anyhow::Result<()> {
    let inherited = sockets::inherit().context("cannot use the holder's sockets")?;
    let control = inherited.control.context("started without sockets; use `ccotel agent run`")?;
    // Whatever is created from here on, by SQLite too, is the user's alone.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    log::start(paths)?;
    let lock = lock::take(&paths.worker_lock(), PREDECESSOR_WAIT)?
        .context("the worker before this one does not end; `ccotel agent restart` tries again")?;
    let token = identity::token(paths)?.context("the token is gone; run `ccotel agent restart`")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let local = LocalSet::new();
    let result = local.block_on(&runtime, work(paths, gateway, inherited.otlp, control, token));
    // What is left (a hanging delivery) must not hold up the end.
    runtime.shutdown_background();
    drop::<File>(lock);
    result
}

struct Worker {
    paths: Paths,
    rooms: Rooms,
    gateway: Option<Arc<Gateway>>,
    /// The holder, as long as it is our parent.
    holder: Option<Pid>,
    started: Timestamp,
    sessions: RefCell<Sessions>,
    /// What is wrong with the configuration.
    config_warning: RefCell<Option<Warning>>,
    /// Why its changes are not noticed.
    watch_warning: RefCell<Option<Warning>>,
    config: RefCell<Config>,
    reload: Notify,
    /// The configuration changed in a way that a new worker is needed for.
    renew: Notify,
    launched: Notify,
    page: page::Opened,
    stop: CancellationToken,
}

async fn work(
    paths: &Paths,
    gateway: bool,
    otlp: Vec<std::net::TcpListener>,
    control: std::os::unix::net::UnixListener,
    token: String,
) -> anyhow::Result<()> {
    let holder = getppid();
    let leash = Leash::take()?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (config, known, warning) = config_at_start(paths);
    let gateway = if gateway { Some(open_gateway(paths, &config, &otlp)?) } else { None };
    let rooms = Rooms::open(paths, &config, token, known, gateway.clone()).await?;
    for notice in notices::load(paths, is_alive) {
        rooms.notice(&notice);
    }
    let listeners = otlp.into_iter().map(tokio_listener).collect::<Result<Vec<_>, _>>()?;
    control.set_nonblocking(true)?;
    let control = tokio::net::UnixListener::from_std(control)?;
    let stop = CancellationToken::new();
    let worker = Rc::new(Worker {
        paths: paths.clone(),
        rooms,
        gateway,
        holder,
        started: Timestamp::now(),
        sessions: RefCell::default(),
        config_warning: RefCell::new(warning),
        watch_warning: RefCell::default(),
        config: RefCell::new(config),
        reload: Notify::new(),
        renew: Notify::new(),
        launched: Notify::new(),
        page: page::Opened::default(),
        stop: stop.clone(),
    });
    let receiving = tokio::task::spawn_local(worker.rooms.serve(listeners, stop.clone()));
    let answering = Rc::clone(&worker);
    let answer = move |request| Rc::clone(&answering).answer(request);
    let controlling = tokio::task::spawn_local(server::serve(control, answer, stop.clone()));
    let chores = tokio::task::spawn_local(Rc::clone(&worker).do_chores());
    tracing::info!(version = super::VERSION, "worker started");
    let why = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
        () = leash.let_go() => "the holder let go",
        () = worker.rooms.renewed() => "the database became a new install",
        () = worker.rooms.store_ended() => STORE_DIED,
        () = worker.renew.notified() => "the store is opened anew, with a changed configuration",
    };
    tracing::info!("draining: {why}");
    stop.cancel();
    chores.abort();
    let in_flight = async {
        let _ = receiving.await;
        let _ = controlling.await;
    };
    if timeout(DRAIN_REQUESTS_WAIT, in_flight).await.is_err() {
        tracing::warn!("requests in flight were cut: they took too long");
    }
    if timeout(DRAIN_STORE_WAIT, worker.rooms.stop()).await.is_err() {
        tracing::warn!("the store did not settle in time; it recovers at the next start");
    }
    tracing::info!("worker ended");
    // An error, so that the holder notes the death and starts the next one.
    anyhow::ensure!(why != STORE_DIED, "{STORE_DIED}");
    Ok(())
}

/// Who may send. An error ends the worker, and is tried again by the holder.
fn open_gateway(
    paths: &Paths,
    config: &Config,
    otlp: &[std::net::TcpListener],
) -> anyhow::Result<Arc<Gateway>> {
    let addresses: Vec<_> = otlp.iter().filter_map(|socket| socket.local_addr().ok()).collect();
    gateway::check_sockets(&config.gateway, &addresses)?;
    // A connection is a descriptor; shells start programs with few.
    let descriptors = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: descriptors.maximum, ..descriptors });
    Ok(Arc::new(Gateway::open(&config.gateway, paths)?))
}

fn tokio_listener(listener: std::net::TcpListener) -> std::io::Result<tokio::net::TcpListener> {
    listener.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(listener)
}

/// The read end of the pipe to the holder.
struct Leash(pipe::Receiver);

impl Leash {
    fn take() -> anyhow::Result<Self> {
        let stdin = std::io::stdin().as_fd().try_clone_to_owned()?;
        let pipe = pipe::Receiver::from_owned_fd(stdin);
        Ok(Self(pipe.context("started without a holder; use `ccotel agent run`")?))
    }

    /// Resolves when the holder has closed its end, or is dead.
    async fn let_go(&self) {
        let mut byte = [0];
        while self.0.readable().await.is_ok() {
            match self.0.try_read(&mut byte) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Ok(length) if length > 0 => {}
                _ => return,
            }
        }
    }
}

impl Worker {
    /// Reload, and looking after launches; no timer runs while there is nothing to look at.
    async fn do_chores(self: Rc<Self>) {
        let mut watch = match start_watching(&self.paths) {
            Ok(watch) => Some(watch),
            Err(warning) => {
                *self.watch_warning.borrow_mut() = Some(warning);
                None
            }
        };
        let mut files = self.gateway.as_ref().map(|_| FilesWatch::start());
        loop {
            if let (Some(files), Some(gateway)) = (&mut files, &self.gateway) {
                files.watch(gateway.directories());
            }
            let watching_launches = self.sessions.borrow().is_watching();
            let changed = async {
                match &mut watch {
                    Some(watch) => watch.changed().await,
                    None => std::future::pending().await,
                }
            };
            let files_changed = async {
                match &mut files {
                    Some(files) => files.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = files_changed => self.gateway.iter().for_each(|gateway| gateway.reload()),
                () = changed => self.reload_if_changed().await,
                () = self.reload.notified() => self.reload_if_changed().await,
                () = self.launched.notified() => {}
                () = tokio::time::sleep(LOOK_PERIOD), if watching_launches => self.look(),
            }
        }
    }

    fn look(&self) {
        let unheard = self.rooms.unheard();
        let was_heard = |id: &str| !unheard.contains(id);
        self.sessions.borrow_mut().look(SystemTime::now(), is_alive, was_heard);
    }
}

fn start_watching(paths: &Paths) -> Result<ConfigWatch, Warning> {
    // Where there is no directory yet, `ccotel connect` will put a file into it.
    let _ = DirBuilder::new().recursive(true).mode(0o700).create(&paths.config_dir);
    ConfigWatch::start(paths).map_err(|error| Warning {
        at: Timestamp::now(),
        what: format!(
            "changes of {} are not noticed: {}",
            paths.config_file().display(),
            match &error.kind {
                notify::ErrorKind::Io(error) => files::words(error),
                notify::ErrorKind::MaxFilesWatch => "too many files are watched".into(),
                _ => error.to_string(),
            }
        ),
        remedy: "run `ccotel agent restart` after a change".into(),
    })
}

fn is_alive(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
    // One that we may not signal exists as well.
    test_kill_process(pid) != Err(rustix::io::Errno::SRCH)
}
