//! From nothing to a full store, and what is to be told of it.

use jiff::Timestamp;

use super::agent::ThrowAway;
use super::calendar::Fortnight;
use super::destinations::{Destinations, LIVE_CHUNK_MS};
use super::fill::Filling;
use crate::deliver::DestinationStatus;

/// How far it is, for who waits.
#[derive(Clone, Copy, Debug)]
pub enum Progress {
    /// So many happenings have passed.
    Filling(usize),
    /// So many records are left to send.
    Sending(u64),
}

/// The demo's own `instance`: what belongs to it can be told from everything else in a backend, and the
/// same fortnight is the same series.
pub fn instance(fortnight: &Fortnight) -> String {
    let end = Timestamp::from_millisecond(fortnight.end_ms).unwrap_or_default();
    format!("demo-{}-{}", fortnight.seed, end.strftime("%Y%m%dT%H%MZ"))
}

/// Lets the fortnight pass, and what is configured have it.
pub async fn run(
    agent: &ThrowAway,
    fortnight: &Fortnight,
    destinations: &Destinations,
    show: &mut dyn FnMut(Progress),
) -> anyhow::Result<Vec<DestinationStatus>> {
    destinations.begin(agent).await?;
    let mut filling = Filling::new(agent, fortnight);
    let mut done = 0;
    let mut caught_up_ms = filling.now_ms();
    while !filling.is_over() {
        agent.check_room()?;
        done += filling.step().await?;
        show(Progress::Filling(done));
        if filling.now_ms() - caught_up_ms > LIVE_CHUNK_MS {
            destinations.catch_up(agent).await?;
            caught_up_ms = filling.now_ms();
        }
    }
    destinations.catch_up(agent).await?;
    agent.rooms.sync().await.map_err(anyhow::Error::msg)?;
    if destinations.is_empty() {
        return Ok(Vec::new());
    }
    destinations.finish(agent, &mut |left| show(Progress::Sending(left))).await
}
