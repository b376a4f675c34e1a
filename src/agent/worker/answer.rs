//! What the worker answers on the control socket.

use std::rc::Rc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use rustix::process::{Signal, getppid, kill_process};
use tokio::time::timeout;

use super::{Worker, is_alive};
use crate::agent::control::{Answer, Request};
use crate::agent::identity::Identity;
use crate::agent::status::{Status, Warning, WorkerFacts};
use crate::agent::{notices, rooms};

/// How long the rooms may take for their part of `status`.
const FACTS_WAIT: Duration = Duration::from_millis(1500);
/// How long samples and history may take to come up to date.
const SYNC_WAIT: Duration = Duration::from_millis(1500);

impl Worker {
    pub(super) async fn answer(self: Rc<Self>, request: Request) -> Answer {
        match request {
            Request::Status => match serde_json::to_value(self.status().await) {
                Ok(status) => Answer::Status { status },
                Err(error) => {
                    Answer::Failed { what: format!("the status cannot be told: {error}") }
                }
            },
            Request::Launch { notice } => {
                self.rooms.notice(&notice);
                notices::add(&self.paths, &notice, is_alive);
                self.sessions.borrow_mut().notice(notice, SystemTime::now());
                self.launched.notify_one();
                done("noted")
            }
            Request::RateLimits { limits } => {
                self.rooms.hear(&limits);
                done("noted")
            }
            Request::Sync => match timeout(SYNC_WAIT, self.rooms.sync()).await {
                Ok(Ok(())) => done("up to date"),
                Ok(Err(what)) => Answer::Failed { what },
                Err(_) => Answer::Failed { what: "the store is busy; try again".into() },
            },
            Request::Page => or_failed(self.open_page().await),
            Request::Retry { name } => match self.rooms.retry(name.as_deref()).await {
                Ok(what) => done(&what),
                Err(what) => Answer::Failed { what },
            },
            Request::InstallKey => Answer::Body { base64: self.rooms.install_key_base64() },
            Request::Newest => {
                let level = self.config.borrow().privacy.level;
                or_failed(self.rooms.newest(level).await)
            }
            Request::QuarantineList { after } => or_failed(self.rooms.quarantine_list(after).await),
            Request::QuarantineBody { id, offset } => {
                or_failed(self.rooms.quarantine_body(id, offset).await)
            }
            Request::QuarantineRetry { ids } => or_failed(self.rooms.quarantine_retry(ids).await),
            Request::QuarantineDrop { ids } => or_failed(self.rooms.quarantine_drop(ids).await),
            Request::Stop => self.tell_holder(Signal::TERM, "stopping"),
            Request::Restart => self.tell_holder(Signal::HUP, "restarting"),
            Request::Reload => {
                self.reload.notify_one();
                done("reading the configuration again")
            }
        }
    }

    /// Only our own parent is ever sent a signal: a pid from a file may be anybody's.
    fn tell_holder(&self, signal: Signal, what: &str) -> Answer {
        match self.holder.filter(|&holder| getppid() == Some(holder)) {
            Some(holder) if kill_process(holder, signal).is_ok() => done(what),
            _ => Answer::Failed { what: "the holder is gone; this worker ends by itself".into() },
        }
    }

    pub(super) async fn status(&self) -> Status {
        self.look();
        let mut status = Status::on_disk(&self.paths);
        if let Ok(Some(identity)) = Identity::read(&self.paths) {
            status = status.with_identity(&identity);
            let restarts = identity.restarts;
            let pid = std::process::id();
            status.worker = Some(WorkerFacts { pid, started: self.started, restarts });
            status.warnings.extend(self.listen_warning(&identity));
        }
        status.warnings.extend(self.config_warning.borrow().clone());
        status.warnings.extend(self.watch_warning.borrow().clone());
        status.warnings.extend(self.sessions.borrow().warnings());
        match timeout(FACTS_WAIT, self.rooms.facts()).await {
            Ok(facts) => add_facts(&mut status, facts),
            Err(_) => status.warnings.push(Warning {
                at: Timestamp::now(),
                what: "the store does not answer: the disk is very slow, or hangs".into(),
                remedy: "look at the disk of the data directory; `ccotel agent logs` says more"
                    .into(),
            }),
        }
        status
    }

    /// A configured address that is not listened on: added since the start, or not of this machine.
    fn listen_warning(&self, identity: &Identity) -> Option<Warning> {
        let config = self.config.borrow();
        let (table, listen) = match self.gateway {
            None => ("agent", &config.agent.listen),
            Some(_) => ("gateway", &config.gateway.listen),
        };
        if listen.len() <= identity.addresses.len() {
            return None;
        }
        Some(Warning {
            at: Timestamp::now(),
            what: format!("`[{table}] listen` names more addresses than are listened on"),
            remedy: "`ccotel agent restart` binds them, without refusing a connection".into(),
        })
    }
}

fn or_failed(answer: Result<Answer, String>) -> Answer {
    answer.unwrap_or_else(|what| Answer::Failed { what })
}

fn done(what: &str) -> Answer {
    Answer::Done { what: what.to_owned() }
}

pub fn add_facts(status: &mut Status, facts: rooms::Facts) {
    status.sessions = Some(facts.sessions);
    status.records = Some(facts.records);
    status.requests = Some(facts.requests);
    status.destinations = facts.destinations;
    status.install_id = Some(facts.install_id);
    status.series = Some(facts.series);
    status.gateway = facts.gateway;
    status.budgets = facts.budgets;
    status.rate_limits = facts.rate_limits;
    status.warnings.extend(facts.warnings);
}
