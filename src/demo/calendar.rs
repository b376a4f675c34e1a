//! When everybody works: fourteen local days, the last of which is cut at the end.
//!
//! Weekends are quieter, nobody works over lunch, somebody is away now and then. In one afternoon
//! things break: who is concerned stays late, and for a while the model's servers are overloaded.

use std::ops::Range;

use fastrand::Rng;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::cast::{CHECKOUT, PEOPLE, Person, Project};
use super::happening::Happening;
use super::truth::Truth;
use super::work::{self, Shift};

pub const DAYS: i64 = 14;

const MINUTE_MS: i64 = 60_000;
const LUNCH: Range<i64> = 12 * 60 + 15..13 * 60;
/// Of a hundred: days off, days at the weekend, sessions that go on with an earlier one.
const AWAY_PERCENT: u32 = 5;
const WEEKEND_PERCENT: u32 = 45;
const RESUMES_PERCENT: u32 = 22;
/// The incident is on the newest working day that is at least so many days ago.
const INCIDENT_DAYS_AGO_MIN: i64 = 3;
const INCIDENT: Range<i64> = 14 * 60 + 20..22 * 60 + 10;
const OVERLOADED: Range<i64> = 15 * 60..16 * 60 + 20;
/// Sessions that still run at the end began so many minutes before it.
const LIVE_MINUTES: [i64; 2] = [38, 17];

/// How a process began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Fresh,
    Resume,
    Continue,
}

/// One process of Claude Code.
pub struct Session {
    pub person: &'static Person,
    /// Of the person, all hexadecimal digits.
    pub user_id: String,
    pub account: String,
    pub project: &'static Project,
    pub branch: &'static str,
    pub id: String,
    pub start: Start,
    pub start_ms: i64,
    pub happenings: Vec<Happening>,
}

/// All sessions, by start, and what they add up to.
pub struct Fortnight {
    pub seed: u64,
    pub start_ms: i64,
    pub end_ms: i64,
    pub sessions: Vec<Session>,
}

impl Fortnight {
    /// The fourteen days of this time zone that end with this minute.
    pub fn new(seed: u64, end: Timestamp, zone: &TimeZone) -> Result<Self, jiff::Error> {
        let end_ms = end.as_millisecond().div_euclid(MINUTE_MS) * MINUTE_MS;
        let today = end.to_zoned(zone.clone()).date();
        let first = today.checked_sub((DAYS - 1).days())?;
        let mut planner = Planner {
            rng: Rng::with_seed(seed),
            zone: zone.clone(),
            incident: incident_day(first, today),
            first,
            end_ms,
            sessions: Vec::new(),
        };
        for (index, person) in PEOPLE.iter().enumerate() {
            planner.person(person, LIVE_MINUTES.get(index / 3).filter(|_| index % 3 == 0))?;
        }
        let mut sessions = planner.sessions;
        sessions.sort_by_key(|session| session.start_ms);
        let start_ms = midnight_ms(first, zone)?;
        Ok(Self { seed, start_ms, end_ms, sessions })
    }

    pub fn truth(&self) -> Truth {
        Truth::of(&self.sessions)
    }

    /// How many events Claude Code sends of it.
    pub fn events(&self) -> u64 {
        self.truth().events.values().sum()
    }
}

struct Planner {
    rng: Rng,
    zone: TimeZone,
    first: Date,
    incident: Date,
    end_ms: i64,
    sessions: Vec<Session>,
}

/// What stays the same of somebody.
struct Identity {
    person: &'static Person,
    user_id: String,
    account: String,
}

impl Planner {
    fn person(
        &mut self,
        person: &'static Person,
        live_minutes: Option<&i64>,
    ) -> Result<(), jiff::Error> {
        let user_id = hexadecimal(&mut self.rng) + &hexadecimal(&mut self.rng);
        let identity = Identity { person, user_id, account: uuid(&mut self.rng) };
        for day in 0..DAYS {
            let date = self.first.checked_add(day.days())?;
            for minutes in self.shifts(person, date) {
                let start_ms = midnight_ms(date, &self.zone)? + minutes.start * MINUTE_MS;
                let end_ms = start_ms + (minutes.end - minutes.start) * MINUTE_MS;
                self.session(&identity, date, start_ms..end_ms)?;
            }
        }
        if let Some(minutes) = live_minutes {
            let start_ms = self.end_ms - minutes * MINUTE_MS;
            let today = self.first.checked_add((DAYS - 1).days())?;
            self.session(&identity, today, start_ms..self.end_ms)?;
        }
        Ok(())
    }

    /// Minutes of a day in which somebody has Claude Code open.
    fn shifts(&mut self, person: &Person, date: Date) -> Vec<Range<i64>> {
        let rng = &mut self.rng;
        let weekend = matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday);
        let works = if weekend {
            person.weekends && rng.u32(..100) < WEEKEND_PERCENT
        } else {
            rng.u32(..100) >= AWAY_PERCENT
        };
        if !works {
            return Vec::new();
        }
        let (fewest, most) = person.sessions;
        let count = if weekend { 1 } else { rng.u32(fewest..=most) };
        let mut shifts: Vec<Range<i64>> = (0..count)
            .map(|_| {
                let start = rng.i64(person.hours.0..person.hours.1 - 30);
                let start = if LUNCH.contains(&start) { start + 50 } else { start };
                let end = (start + rng.i64(18..95)).min(person.hours.1 + 20);
                start..if start < LUNCH.start { end.min(LUNCH.start + 5) } else { end }
            })
            .filter(|shift| shift.end - shift.start >= 8)
            .collect();
        shifts.sort_by_key(|shift| shift.start);
        if date == self.incident && concerned(person) {
            shifts.retain(|shift| shift.end <= INCIDENT.start);
            shifts.push(INCIDENT.start..INCIDENT.start + rng.i64(150..220));
            shifts.push(INCIDENT.end - rng.i64(120..200)..INCIDENT.end);
        }
        shifts
    }

    fn session(
        &mut self,
        identity: &Identity,
        date: Date,
        at_ms: Range<i64>,
    ) -> Result<(), jiff::Error> {
        if at_ms.start >= self.end_ms {
            return Ok(());
        }
        let person = identity.person;
        let midnight_ms = midnight_ms(date, &self.zone)?;
        let incident = date == self.incident;
        let project = if incident
            && concerned(person)
            && at_ms.start >= midnight_ms + INCIDENT.start * MINUTE_MS
        {
            &CHECKOUT
        } else {
            pick_project(&mut self.rng, person)
        };
        let (start, id) = self.identify(person, project);
        let shift = Shift {
            person,
            project,
            running: if self.rng.u32(..100) < 72 { person.usual } else { person.other },
            overloaded_ms: incident.then(|| {
                midnight_ms + OVERLOADED.start * MINUTE_MS..midnight_ms + OVERLOADED.end * MINUTE_MS
            }),
            at_ms: at_ms.clone(),
            resumed: start != Start::Fresh,
        };
        let mut happenings = work::happenings(&shift, &mut self.rng);
        happenings.retain(|happening| happening.at_ms < self.end_ms);
        let branch = project.branches[self.rng.usize(..project.branches.len())];
        self.sessions.push(Session {
            person,
            user_id: identity.user_id.clone(),
            account: identity.account.clone(),
            project,
            branch,
            id,
            start,
            start_ms: at_ms.start,
            happenings,
        });
        Ok(())
    }

    /// A new session, or an earlier one of the same project gone on with.
    fn identify(&mut self, person: &Person, project: &Project) -> (Start, String) {
        let earlier = self.sessions.iter().rev().find(|session| {
            session.person.email == person.email && session.project.name == project.name
        });
        match earlier {
            Some(earlier) if self.rng.u32(..100) < RESUMES_PERCENT => {
                let start = if self.rng.bool() { Start::Resume } else { Start::Continue };
                (start, earlier.id.clone())
            }
            _ => (Start::Fresh, uuid(&mut self.rng)),
        }
    }
}

/// Those who have to do with what breaks.
fn concerned(person: &Person) -> bool {
    person.projects.iter().any(|project| project.name == CHECKOUT.name)
}

fn incident_day(first: Date, today: Date) -> Date {
    let ago = |days: i64| today.checked_sub(days.days()).unwrap_or(first);
    (INCIDENT_DAYS_AGO_MIN..DAYS)
        .map(ago)
        .find(|date| {
            !matches!(date.weekday(), Weekday::Friday | Weekday::Saturday | Weekday::Sunday)
        })
        .unwrap_or(first)
}

/// The first of a person's projects takes two thirds of the time.
fn pick_project(rng: &mut Rng, person: &Person) -> &'static Project {
    let others = person.projects.len() - 1;
    if others == 0 || rng.u32(..100) < 66 {
        person.projects[0]
    } else {
        person.projects[1 + rng.usize(..others)]
    }
}

fn midnight_ms(date: Date, zone: &TimeZone) -> Result<i64, jiff::Error> {
    Ok(date.to_zoned(zone.clone())?.timestamp().as_millisecond())
}

pub(super) fn uuid(rng: &mut Rng) -> String {
    uuid::Builder::from_random_bytes(rng.u128(..).to_be_bytes()).into_uuid().to_string()
}

fn hexadecimal(rng: &mut Rng) -> String {
    format!("{:032x}", rng.u128(..))
}
