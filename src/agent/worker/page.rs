//! The local page, from the first time that somebody opens it to the end of the worker.

use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::{OnceCell, mpsc, oneshot};

use super::Worker;
use crate::agent::control::Answer;
use crate::agent::files;
use crate::page::Page;

/// Questions for the status that may wait.
const WAITING_MAX: usize = 16;

/// The page, once it was opened.
pub(super) type Opened = OnceCell<Page>;

type StatusQuestion = oneshot::Sender<serde_json::Value>;

impl Worker {
    /// Where the page is; binds its port the first time.
    pub(super) async fn open_page(self: &Rc<Self>) -> Result<Answer, String> {
        let page = self.page.get_or_try_init(|| self.start_page()).await?;
        Ok(Answer::Page { address: page.address, token: page.token.clone() })
    }

    async fn start_page(self: &Rc<Self>) -> Result<Page, String> {
        let (questions, asked) = mpsc::channel::<StatusQuestion>(WAITING_MAX);
        let status = Arc::new(move || {
            let questions = questions.clone();
            let asking: std::pin::Pin<Box<dyn Future<Output = _> + Send>> =
                Box::pin(async move { ask(&questions).await });
            asking
        });
        let sources = self.rooms.page_sources(&self.paths, status, Arc::new(jiff::Timestamp::now));
        let page = Page::start(sources, self.stop.clone()).await.map_err(|error| {
            let why = files::words(&error);
            format!("the page has no port to be served on: {why}; see `ccotel agent logs`")
        })?;
        tokio::task::spawn_local(Rc::clone(self).answer_for_page(asked));
        tracing::info!(address = %page.address, "the page is served");
        Ok(page)
    }

    /// The worker's state is of one thread, and the page's connections are tasks that may move.
    async fn answer_for_page(self: Rc<Self>, mut asked: mpsc::Receiver<StatusQuestion>) {
        loop {
            let question = tokio::select! {
                question = asked.recv() => question,
                () = self.stop.cancelled() => return,
            };
            let Some(question) = question else { return };
            let status = serde_json::to_value(self.status().await).unwrap_or_default();
            // Who asked may have gone.
            let _ = question.send(status);
        }
    }
}

/// `null` where the worker is ending.
async fn ask(questions: &mpsc::Sender<StatusQuestion>) -> serde_json::Value {
    let (reply, answer) = oneshot::channel();
    if questions.send(reply).await.is_err() {
        return serde_json::Value::Null;
    }
    answer.await.unwrap_or_default()
}
