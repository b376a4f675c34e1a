//! The agent's two sides: events, one by one, and counters, by model.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::sums::Sums;
use crate::import::prices::canonical;
use crate::report::history::file::{FacetColumn, HistoryFile};
use crate::report::history::intern::action_of;
use crate::report::history::schema::HistoryError;

const MINUTE_MS: i64 = 60_000;
const COST: &str = "claude_code_cost_usage_USD_total";
const TOKENS: &str = "claude_code_token_usage_tokens_total";

/// A request that an event told of.
#[derive(Clone, Debug)]
pub struct Request {
    pub time_ms: i64,
    pub session: String,
    pub model: String,
    pub query_source: String,
    pub request_id: Option<String>,
    pub sums: Sums,
}

/// When the first and the last event of any kind came.
pub fn extent(history: &HistoryFile) -> Result<Option<Range<i64>>, HistoryError> {
    history.checked(|connection| {
        connection.query_row("SELECT min(first_ms), max(last_ms) FROM session", [], |row| {
            let (first, last): (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
            Ok(first.zip(last).map(|(first, last)| first..last + 1))
        })
    })
}

/// Requests in a range of milliseconds, of one session or of all.
pub fn requests(
    history: &HistoryFile,
    range: &Range<i64>,
    session: Option<&str>,
) -> Result<Vec<Request>, HistoryError> {
    let mut models = history.facet_text(FacetColumn::Model)?;
    let mut sources = history.facet_text(FacetColumn::QuerySource)?;
    history.checked(|connection| {
        let mut query = connection.prepare(
            "SELECT time_ms, session.session_id, facet_id, request_id, cost_usd, input_tokens,
               output_tokens, cache_read_tokens, cache_creation_tokens
             FROM request LEFT JOIN session ON session.id = request.session_id
             WHERE time_ms >= ?1 AND time_ms < ?2 AND (?3 IS NULL OR session.session_id = ?3)
             ORDER BY time_ms",
        )?;
        let mut names: HashMap<i64, (String, String)> = HashMap::new();
        let mut rows = query.query(rusqlite::params![range.start, range.end, session])?;
        let mut requests = Vec::new();
        while let Some(row) = rows.next()? {
            let action = action_of(row.get(2)?);
            let (model, query_source) = if let Some(known) = names.get(&action) {
                known.clone()
            } else {
                let model = canonical(&models.value(action)?.unwrap_or_default());
                let found = (model, sources.value(action)?.unwrap_or_default());
                names.entry(action).or_insert(found).clone()
            };
            requests.push(Request {
                time_ms: row.get(0)?,
                session: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
                model,
                query_source,
                request_id: row.get(3)?,
                sums: Sums {
                    requests: 1,
                    cost_usd: row.get::<_, Option<f64>>(4)?.unwrap_or(0.0),
                    input: row.get(5)?,
                    output: row.get(6)?,
                    cache_read: row.get(7)?,
                    cache_creation: row.get(8)?,
                    unpriced_requests: 0,
                },
            });
        }
        Ok(requests)
    })
}

/// Counters in a range of milliseconds, by model. They do not know sessions, nor count requests.
pub fn counters(
    history: &HistoryFile,
    range: &Range<i64>,
) -> Result<BTreeMap<String, Sums>, HistoryError> {
    let metrics: HashMap<i64, String> = history.series()?.into_iter().collect();
    let models = history.series_label("model")?;
    let types = history.series_label("type")?;
    let minutes = range.start.div_euclid(MINUTE_MS)..range.end.div_euclid(MINUTE_MS) + 1;
    let mut exact: BTreeMap<String, (f64, [f64; 4])> = BTreeMap::new();
    history.counters(std::slice::from_ref(&minutes), |_, series, value| {
        let metric = metrics.get(&series).map(String::as_str);
        let model = models.get(&series).map(|model| canonical(model)).unwrap_or_default();
        let place = match (metric, types.get(&series).map(String::as_str)) {
            (Some(COST), _) => {
                exact.entry(model).or_default().0 += value;
                return;
            }
            (Some(TOKENS), Some("input")) => 0,
            (Some(TOKENS), Some("output")) => 1,
            (Some(TOKENS), Some("cacheRead")) => 2,
            (Some(TOKENS), Some("cacheCreation")) => 3,
            _ => return,
        };
        exact.entry(model).or_default().1[place] += value;
    })?;
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates; tokens are whole")]
    let whole = |tokens: f64| tokens.round() as i64;
    Ok(exact
        .into_iter()
        .map(|(model, (cost_usd, [input, output, read, creation]))| {
            let sums = Sums {
                cost_usd,
                input: whole(input),
                output: whole(output),
                cache_read: whole(read),
                cache_creation: whole(creation),
                ..Sums::default()
            };
            (model, sums)
        })
        .collect())
}

/// When there were events of any session, to the second, so that silence of one can be told from silence of all.
pub fn event_times(
    history: &HistoryFile,
    range: &Range<i64>,
) -> Result<Vec<(i64, String)>, HistoryError> {
    history.checked(|connection| {
        let mut all: Vec<(i64, String)> = Vec::new();
        for table in ["request", "prompt", "tool_result", "api_error"] {
            let mut query = connection.prepare(&format!(
                "SELECT DISTINCT time_ms / 1000 * 1000, session.session_id FROM {table}
                 JOIN session ON session.id = {table}.session_id
                 WHERE time_ms >= ? AND time_ms < ?"
            ))?;
            let mut rows = query.query([range.start, range.end])?;
            while let Some(row) = rows.next()? {
                all.push((row.get(0)?, row.get(1)?));
            }
        }
        all.sort_unstable();
        all.dedup();
        Ok(all)
    })
}
