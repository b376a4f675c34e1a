use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::store::handle::{Command, StoreStats};

/// A store that answers from a list, as the store thread does from its tables.
struct FakeStore {
    handle: Handle,
    news: watch::Sender<u64>,
    pages: Arc<Mutex<Vec<HistoryPage>>>,
    ticks: Arc<Mutex<u32>>,
}

impl FakeStore {
    fn start(pages: Vec<HistoryPage>) -> Self {
        let (commands, mut received) = mpsc::channel(8);
        let (news, heard) = watch::channel(0);
        let pages = Arc::new(Mutex::new(pages));
        let ticks = Arc::new(Mutex::new(0));
        let (kept, ticked) = (Arc::clone(&pages), Arc::clone(&ticks));
        tokio::spawn(async move {
            while let Some(command) = received.recv().await {
                match command {
                    Command::Tick(reply) => {
                        *ticked.lock().unwrap() += 1;
                        let _ = reply.send(Ok(()));
                    }
                    Command::Stats(reply) => {
                        let stats = StoreStats { install_id: "a".into(), ..Default::default() };
                        let _ = reply.send(stats);
                    }
                    Command::History { after_tick, reply, .. } => {
                        let pages = kept.lock().unwrap();
                        let next = pages.iter().find(|page| page.ticks[0].row > after_tick);
                        let _ = reply.send(next.cloned().unwrap_or_default());
                    }
                    other => panic!("the history asks no {other:?}"),
                }
            }
        });
        Self { handle: Handle::new(commands, heard), news, pages, ticks }
    }
}

#[tokio::test]
async fn caught_up_means_everything_is_in() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    let store = FakeStore::start(pages());
    let stop = CancellationToken::new();
    let history = spawn(store.handle.clone(), path.clone(), stop.clone(), DAYS);
    history.caught_up().await.unwrap();
    assert_eq!((cost_counted(&path), requests_counted(&path)), (0.75, 3));
    assert_eq!(*store.ticks.lock().unwrap(), 1, "the store samples first");

    let at = START_MS + 600_000;
    store
        .pages
        .lock()
        .unwrap()
        .push(HistoryPage { ticks: vec![tick(9, at, &[(1, 1.0)])], ..Default::default() });
    store.news.send_modify(|number| *number += 1);
    history.caught_up().await.unwrap();
    assert_eq!(cost_counted(&path), 1.75);
    assert_eq!(history.problem(), None);

    stop.cancel();
    assert!(history.caught_up().await.is_err(), "after the end nobody waits");
}

#[tokio::test]
async fn a_damaged_or_removed_file_is_built_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    fs::write(&path, vec![b'x'; 8192]).unwrap();
    let store = FakeStore::start(pages());
    let stop = CancellationToken::new();
    let history = spawn(store.handle.clone(), path.clone(), stop.clone(), DAYS);
    history.caught_up().await.unwrap();
    assert_eq!(cost_counted(&path), 0.75);
    assert!(directory.path().join("history.db.damaged").exists());

    fs::remove_file(&path).unwrap();
    history.caught_up().await.unwrap();
    assert_eq!(cost_counted(&path), 0.75);
    stop.cancel();
}

#[tokio::test]
async fn a_newer_file_is_left_alone_and_said() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    let before = fs::read(&path).unwrap();
    let store = FakeStore::start(pages());
    let stop = CancellationToken::new();
    let history = spawn(store.handle.clone(), path.clone(), stop.clone(), DAYS);
    let words = history.caught_up().await.unwrap_err().to_string();
    assert!(words.contains("newer ccotel"), "{words}");
    assert!(history.problem().unwrap().contains("newer ccotel"));
    assert_eq!(fs::read(&path).unwrap(), before);
    stop.cancel();
}
