//! Which event tells of which request of a transcript.

use std::collections::{HashMap, VecDeque};

use super::{recorded, transcripts};

/// Events, and which of them a transcript has, too.
pub struct Matching<'s> {
    events: &'s [recorded::Request],
    by_id: HashMap<&'s str, usize>,
    /// Some providers and gateways give no ids: by session, model and tokens, in order of time.
    without_id: HashMap<Alike<'s>, VecDeque<usize>>,
    matched: Vec<bool>,
}

type Alike<'s> = (&'s str, &'s str, [i64; 4]);

impl<'s> Matching<'s> {
    pub fn new(events: &'s [recorded::Request]) -> Self {
        let mut by_id = HashMap::new();
        let mut without_id: HashMap<Alike<'s>, VecDeque<usize>> = HashMap::new();
        for (index, event) in events.iter().enumerate() {
            if let Some(id) = event.request_id.as_deref() {
                by_id.insert(id, index);
            } else {
                let alike = (&*event.session, &*event.model, event.sums.tokens());
                without_id.entry(alike).or_default().push_back(index);
            }
        }
        Self { events, by_id, without_id, matched: vec![false; events.len()] }
    }

    /// The event of a request, if one came. Each is given once.
    pub fn take(&mut self, request: &'s transcripts::Request) -> Option<&'s recorded::Request> {
        let index = match request.request_id.as_deref() {
            Some(id) => *self.by_id.get(id)?,
            None => self
                .without_id
                .get_mut(&(&*request.session, &*request.model, request.sums.tokens()))?
                .pop_front()?,
        };
        self.matched[index] = true;
        self.events.get(index)
    }

    /// Events that no transcript has.
    pub fn left(&self) -> impl Iterator<Item = &'s recorded::Request> {
        self.events.iter().zip(&self.matched).filter(|(_, matched)| !**matched).map(|(one, _)| one)
    }
}
