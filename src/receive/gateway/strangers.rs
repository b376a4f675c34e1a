//! Connections that nobody was let in on yet: in their handshake, in front of their first request, or a
//! probe's.
//!
//! Anybody can make them, so they have places of their own, and never wait for one: where all are taken,
//! the oldest of the address that has most is closed. Whoever floods from a few addresses closes its own.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// Of all addresses together.
pub const STRANGERS_MAX: usize = 512;
/// Who has one IPv6 address has so many bits of others.
const HOST_BITS: u32 = 64;

#[derive(Debug, Default)]
pub struct Strangers(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    /// The oldest first.
    all: VecDeque<Stranger>,
}

#[derive(Debug)]
struct Stranger {
    number: u64,
    network: IpAddr,
    closed: CancellationToken,
}

/// A place, given back when this is dropped.
#[derive(Debug)]
pub(in crate::receive) struct Place {
    strangers: Arc<Strangers>,
    number: u64,
    /// Says when the connection has to make room.
    pub closed: CancellationToken,
}

impl Strangers {
    pub(in crate::receive) fn welcome(self: &Arc<Self>, address: IpAddr) -> Place {
        let mut waiting = self.waiting();
        if waiting.all.len() >= STRANGERS_MAX {
            waiting.make_room();
        }
        let (number, closed) = (waiting.next, CancellationToken::new());
        waiting.next += 1;
        let network = network(address);
        waiting.all.push_back(Stranger { number, network, closed: closed.clone() });
        Place { strangers: Arc::clone(self), number, closed }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn make_room(&mut self) {
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        for stranger in &self.all {
            *counts.entry(stranger.network).or_default() += 1;
        }
        let most = counts.values().max().copied();
        let oldest = self.all.iter().position(|it| counts.get(&it.network).copied() == most);
        if let Some(stranger) = oldest.and_then(|index| self.all.remove(index)) {
            stranger.closed.cancel();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let all = &mut self.strangers.waiting().all;
        if let Ok(index) = all.binary_search_by_key(&self.number, |stranger| stranger.number) {
            all.remove(index);
        }
    }
}

/// The address, or the network where one host has all of it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() >> HOST_BITS << HOST_BITS).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_most_makes_room() {
        let strangers = Arc::new(Strangers::default());
        let of = |address: &str| strangers.welcome(address.parse().unwrap());
        let modest = of("10.0.0.1");
        let mut greedy: Vec<_> =
            (1..STRANGERS_MAX).map(|number| of(&format!("2001:db8::{number:x}"))).collect();
        assert!(greedy.iter().all(|place| !place.closed.is_cancelled()));
        let late = of("10.0.0.2");
        assert!(greedy[0].closed.is_cancelled(), "the oldest of those that have most");
        assert!(!greedy[1].closed.is_cancelled());
        // One that went, by itself or because it was let in, takes no room.
        drop(greedy.pop());
        let last = of("10.0.0.3");
        assert!([&modest, &late, &last, &greedy[1]].iter().all(|it| !it.closed.is_cancelled()));
        assert_eq!(strangers.waiting().all.len(), STRANGERS_MAX);
    }
}
