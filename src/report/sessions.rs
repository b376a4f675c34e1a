//! Sessions: what each was about, and what it came to in a range of time.
//!
//! Amounts are what its events say. A session whose first part was imported and whose later part was
//! recorded is one row.

use rusqlite::{OptionalExtension, Row};

use super::facets::Facets;
use super::groups::Matcher;
use super::history::file::{HistoryFile, Origin};
use super::history::intern::NONE;
use super::history::reader::History;
use super::history::schema::HistoryError;
use super::ids::IdMap;
use super::question::Filter;
use super::row::Facts;
use super::time::MinuteRange;

/// A session, as far as it lies in the range and passes the filters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Session {
    /// Claude Code's `session.id`.
    pub id: String,
    /// Its first and last event, in the range or not.
    pub first_ms: i64,
    pub last_ms: i64,
    pub project: Option<String>,
    pub team: Option<String>,
    pub repository: Option<String>,
    pub branch: Option<String>,
    pub user: Option<String>,
    /// The dearest first.
    pub models: Vec<String>,
    pub of_session: OfSession,
    /// Whether some of it was imported.
    pub imported: bool,
    pub facts: Facts,
}

/// What is known of it whatever the range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfSession {
    pub terminal: Option<String>,
    pub entrypoint: Option<String>,
    pub version: Option<String>,
    pub plan: Option<String>,
    /// With a Claude account, so that cost is not a bill.
    pub signed_in: bool,
}

/// The sessions with a prompt, a request, an error or a tool call in the range; the newest first.
pub fn list(
    history: &History,
    range: MinuteRange,
    filters: &[Filter],
    limit: usize,
) -> Result<Vec<Session>, HistoryError> {
    let mut sums: IdMap<i64, Sum> = IdMap::default();
    for (index, file) in history.files().iter().enumerate() {
        let mut of_file: IdMap<i64, Sum> = IdMap::default();
        let mut matcher = Matcher::new(file, filters)?;
        file.activity(&[range.minutes()], |_, session, facet, activity| {
            if session == NONE || !matcher.passes(session, facet)? {
                return Ok(());
            }
            let sum = of_file.entry(session).or_default();
            sum.facts.add_events(activity);
            sum.facts.add_usage(activity, 1.0);
            // One of tools says less of what the session is about than one of requests.
            let weight = activity.cost_usd + f64::from(u8::from(activity.requests > 0)) * 1e-9;
            match sum.facets.iter_mut().find(|(_, known, _)| *known == facet) {
                Some((_, _, known)) => *known += weight,
                None => sum.facets.push((index, facet, weight)),
            }
            Ok(())
        })?;
        for (session, mut sum) in of_file {
            if file.origin() == Origin::Imported {
                sum.facts.imported_cost_usd = sum.facts.cost_usd;
            }
            sum.places.push((index, session));
            sums.entry(history.session_number(file, session)?).or_default().merge(sum);
        }
    }
    newest(history, sums, limit)
}

/// The session with this id, whole; `None` if there is none.
pub fn one(history: &History, id: &str) -> Result<Option<Session>, HistoryError> {
    let Some(extent) = history.extent()? else { return Ok(None) };
    let mut span: Option<MinuteRange> = None;
    for file in history.files() {
        let found = file.checked(|connection| {
            connection
                .prepare_cached("SELECT first_ms, last_ms FROM session WHERE session_id = ?")?
                .query_row([id], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
                .optional()
        })?;
        let Some((first_ms, last_ms)) = found else { continue };
        let (start, end) = (first_ms.div_euclid(60_000), last_ms.div_euclid(60_000) + 1);
        span = Some(match span {
            None => MinuteRange { start, end },
            Some(known) => MinuteRange { start: known.start.min(start), end: known.end.max(end) },
        });
    }
    let Some(span) = span else { return Ok(None) };
    let range = MinuteRange { start: span.start.max(extent.start), end: span.end.min(extent.end) };
    let filter =
        Filter { dimension: super::question::Dimension::Session, value: Some(id.to_owned()) };
    Ok(list(history, range, &[filter], 1)?.pop())
}

/// The ids that begin with a text, at most `limit`: of one that is an id as it stands, only that.
pub fn beginning_with(
    history: &History,
    prefix: &str,
    limit: usize,
) -> Result<Vec<String>, HistoryError> {
    let mut found = Vec::new();
    for file in history.files() {
        let ids: Vec<String> = file.checked(|connection| {
            connection
                .prepare(
                    "SELECT session_id FROM session
                     WHERE session_id >= ?1 AND substr(session_id, 1, length(?1)) = ?1
                     ORDER BY session_id LIMIT ?2",
                )?
                .query_map((prefix, i64::try_from(limit).unwrap_or(i64::MAX)), |row| row.get(0))?
                .collect()
        })?;
        found.extend(ids);
    }
    found.sort_unstable();
    found.dedup();
    if found.iter().any(|id| id == prefix) {
        return Ok(vec![prefix.to_owned()]);
    }
    found.truncate(limit);
    Ok(found)
}

/// A session while its rows are added up.
#[derive(Default)]
struct Sum {
    facts: Facts,
    /// (file, facet, weight)
    facets: Vec<(usize, i64, f64)>,
    /// (file, id there)
    places: Vec<(usize, i64)>,
}

impl Sum {
    fn merge(&mut self, other: Self) {
        self.facts.add(&other.facts);
        self.facets.extend(other.facets);
        self.places.extend(other.places);
    }
}

fn newest(
    history: &History,
    sums: IdMap<i64, Sum>,
    limit: usize,
) -> Result<Vec<Session>, HistoryError> {
    let files = history.files();
    let mut sessions: Vec<(Session, Sum)> = Vec::with_capacity(sums.len());
    for sum in sums.into_values() {
        let mut session = Session { facts: sum.facts, ..Session::default() };
        for (file, id) in &sum.places {
            add_times(&files[*file], *id, &mut session)?;
        }
        sessions.push((session, sum));
    }
    sessions.sort_unstable_by(|(one, _), (other, _)| {
        other.last_ms.cmp(&one.last_ms).then_with(|| one.id.cmp(&other.id))
    });
    sessions.truncate(limit);
    let mut facets = files.iter().map(Facets::new).collect::<Result<Vec<_>, _>>()?;
    let mut complete = Vec::with_capacity(sessions.len());
    for (mut session, sum) in sessions {
        for (file, id) in &sum.places {
            add_words(&files[*file], *id, &mut session)?;
            session.imported |= files[*file].origin() == Origin::Imported;
        }
        add_facets(files, &mut facets, sum.facets, &mut session)?;
        session.facts.sessions = 1;
        session.facts.denoise();
        complete.push(session);
    }
    Ok(complete)
}

fn add_times(file: &HistoryFile, id: i64, session: &mut Session) -> Result<(), HistoryError> {
    file.checked(|connection| {
        connection
            .prepare_cached("SELECT session_id, first_ms, last_ms FROM session WHERE id = ?")?
            .query_row([id], |row| {
                let (first_ms, last_ms): (i64, i64) = (row.get(1)?, row.get(2)?);
                if session.id.is_empty() {
                    (session.first_ms, session.last_ms) = (first_ms, last_ms);
                }
                session.id = row.get(0)?;
                session.first_ms = session.first_ms.min(first_ms);
                session.last_ms = session.last_ms.max(last_ms);
                Ok(())
            })
            .optional()
    })?;
    Ok(())
}

fn add_words(file: &HistoryFile, id: i64, session: &mut Session) -> Result<(), HistoryError> {
    const QUERY: &str = "
        SELECT terminal.value, entrypoint.value, version.value, plan.value, signed_in FROM session
        LEFT JOIN text terminal ON terminal.id = terminal_id
        LEFT JOIN text entrypoint ON entrypoint.id = entrypoint_id
        LEFT JOIN text version ON version.id = version_id
        LEFT JOIN text plan ON plan.id = plan_id WHERE session.id = ?";
    let of_session = &mut session.of_session;
    file.checked(|connection| {
        connection
            .prepare_cached(QUERY)?
            .query_row([id], |row: &Row<'_>| {
                for (index, word) in [
                    &mut of_session.terminal,
                    &mut of_session.entrypoint,
                    &mut of_session.version,
                    &mut of_session.plan,
                ]
                .into_iter()
                .enumerate()
                {
                    let said: Option<String> = row.get(index)?;
                    *word = word.take().or(said);
                }
                of_session.signed_in |= row.get::<_, bool>(4)?;
                Ok(())
            })
            .optional()
    })?;
    Ok(())
}

/// The words of the dearest facet, and where it lacks one, of the next.
fn add_facets(
    files: &[HistoryFile],
    facets: &mut [Facets<'_>],
    mut of_session: Vec<(usize, i64, f64)>,
    session: &mut Session,
) -> Result<(), HistoryError> {
    of_session.sort_by(|one, other| other.2.total_cmp(&one.2));
    for (index, facet, _) in of_session {
        let error = |error| files[index].error(&error);
        let context = facets[index].context(facet).map_err(error)?;
        for (known, said) in [
            (&mut session.project, &context.project),
            (&mut session.team, &context.team),
            (&mut session.repository, &context.repository),
            (&mut session.branch, &context.branch),
            (&mut session.user, &context.user),
        ] {
            if known.is_none() {
                known.clone_from(said);
            }
        }
        let action = facets[index].action(facet).map_err(error)?;
        if let Some(model) = &action.model
            && !session.models.contains(model)
        {
            session.models.push(model.clone());
        }
    }
    Ok(())
}
