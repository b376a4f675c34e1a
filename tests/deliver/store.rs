//! A store in memory that answers the commands a destination sends.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ccotel::store::handle::{
    Books, Command, Content, Cursor, DestinationKey, FrozenBatch, Handle, Lane, QuarantineCommand,
    Refused, Settled,
};
use tokio::sync::{mpsc, watch};

const DEADLINE: Duration = Duration::from_mins(1);

#[derive(Default)]
pub struct Kept {
    /// Records of all batches ever.
    added: u64,
    waiting: HashMap<Lane, VecDeque<FrozenBatch>>,
    frozen: HashMap<Lane, FrozenBatch>,
    pub settled: Vec<(Lane, Settled)>,
    pub opened: Vec<DestinationKey>,
    pub removed: Vec<String>,
    pub learned: Option<String>,
    /// So often nothing can be opened: the disk is full.
    pub opens_failing: u32,
    /// The records asked for at most, freeze by freeze.
    pub records_max: Vec<u32>,
}

#[derive(Clone)]
pub struct Store {
    pub handle: Handle,
    pub kept: Arc<Mutex<Kept>>,
    news: Arc<watch::Sender<u64>>,
}

impl Store {
    pub fn start() -> Self {
        let (commands, mut received) = mpsc::channel(16);
        let (news, seen) = watch::channel(0);
        let kept = Arc::new(Mutex::new(Kept::default()));
        let answering = Arc::clone(&kept);
        tokio::spawn(async move {
            while let Some(command) = received.recv().await {
                answer(&mut answering.lock().unwrap(), command);
            }
        });
        Self { handle: Handle::new(commands, seen), kept, news: Arc::new(news) }
    }

    /// Puts a batch behind those that wait, and tells everybody.
    pub fn add(&self, lane: Lane, records: u64, content: Content) {
        self.push(lane, records, content, false);
    }

    /// One that was sent before a crash, with an unknown outcome.
    pub fn add_replay(&self, lane: Lane, records: u64, content: Content) {
        self.push(lane, records, content, true);
    }

    fn push(&self, lane: Lane, records: u64, content: Content, replay: bool) {
        let batch = FrozenBatch {
            lane,
            start: Cursor::default(),
            end: Cursor { row: 1, offset: 0 },
            replay,
            records,
            oldest_ms: ccotel::deliver::wall_clock_ms(),
            content,
        };
        {
            let mut kept = self.kept.lock().unwrap();
            kept.added += records;
            kept.waiting.entry(lane).or_default().push_back(batch);
        }
        self.news.send_modify(|count| *count += 1);
    }

    /// The first `count` settled batches, once they are.
    pub async fn wait_for(&self, count: usize) -> Vec<(Lane, Settled)> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let settled = self.kept.lock().unwrap().settled.clone();
            if settled.len() >= count {
                return settled;
            }
            assert!(Instant::now() < deadline, "{} of {count} batches settled", settled.len());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub fn settled(&self) -> usize {
        self.kept.lock().unwrap().settled.len()
    }
}

fn answer(kept: &mut Kept, command: Command) {
    match command {
        Command::OpenDestination(_, reply) if kept.opens_failing > 0 => {
            kept.opens_failing -= 1;
            let _ = reply.send(Err(Refused::DiskFull("database or disk is full".to_owned())));
        }
        Command::OpenDestination(key, reply) => {
            kept.opened.push(key);
            let _ = reply.send(Ok(()));
        }
        Command::RemoveDestination(name, reply) => {
            kept.removed.push(name.to_string());
            let _ = reply.send(Ok(()));
        }
        Command::Freeze { lane, records_max, reply, .. } => {
            kept.records_max.push(records_max);
            let batch = match kept.frozen.get(&lane) {
                Some(frozen) => Some(FrozenBatch { replay: true, ..frozen.clone() }),
                None => kept.waiting.entry(lane).or_default().pop_front(),
            };
            if let Some(batch) = &batch {
                kept.frozen.insert(lane, batch.clone());
            }
            let _ = reply.send(Ok(batch));
        }
        Command::Settle { lane, settled, reply, .. } => {
            let batch = kept.frozen.remove(&lane).expect("only a frozen batch is settled");
            let quarantined: u64 = settled.quarantined.iter().map(|one| one.records).sum();
            assert_eq!(
                settled.delivered + settled.expired + settled.compacted + quarantined,
                batch.records,
                "the books of a batch add up"
            );
            if settled.learned.is_some() {
                kept.learned.clone_from(&settled.learned);
            }
            kept.settled.push((lane, settled));
            let _ = books(kept);
            let _ = reply.send(Ok(()));
        }
        Command::Books(_, reply) => {
            let _ = reply.send(books(kept));
        }
        Command::Learned(_, reply) => {
            let _ = reply.send(kept.learned.clone());
        }
        Command::Learn { learned, reply, .. } => {
            kept.learned = Some(learned);
            let _ = reply.send(Ok(()));
        }
        Command::Quarantine(QuarantineCommand::NextWaiting { reply, .. }) => {
            let _ = reply.send(Ok(None));
        }
        other => panic!("a destination has no business with {other:?}"),
    }
}

/// The books, which add up to what was meant for the destination, after every fault.
fn books(kept: &Kept) -> Books {
    let waiting = kept.waiting.values().flatten().chain(kept.frozen.values());
    let sum = |part: fn(&Settled) -> u64| {
        kept.settled.iter().map(|(_, settled)| part(settled)).sum::<u64>()
    };
    let quarantined = sum(|settled| settled.quarantined.iter().map(|one| one.records).sum());
    let books = Books {
        meant: kept.added,
        backlog_records: waiting.map(|batch| batch.records).sum(),
        delivered: sum(|settled| settled.delivered),
        expired: sum(|settled| settled.expired),
        compacted: sum(|settled| settled.compacted),
        quarantined,
        quarantine_kept: quarantined,
        ..Books::default()
    };
    assert!(books.balance(), "{books:?}");
    books
}
