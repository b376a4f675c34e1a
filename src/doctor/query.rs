//! Queried back: whether a backend has the mark, asked by the interface that dashboards use, with the
//! destination's own credentials.
//!
//! | destination | asked | has it, if |
//! | --- | --- | --- |
//! | prometheus | `/api/v1/query` for the counter of this install | its value is the mark's, or later |
//! | loki | `/loki/api/v1/query_range` for the event by its trace id | there is a line |
//! | victorialogs | `/select/logsql/query`, the same | there is a line |
//! | otlp | – | the protocol has no way to ask |

use reqwest::Url;
use serde_json::Value;

use super::mark::Mark;
use crate::config::destination::{DestinationConfig, DestinationType};
use crate::deliver::client::Client;
use crate::record::own;

/// How far around the mark events are looked for: clocks differ.
const AROUND_SECONDS: i64 = 900;

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    Found,
    /// Answered, and not there yet.
    Absent,
    /// It cannot be asked, and asking again is of no use: why.
    Closed(String),
    /// No answer this time: why.
    Unanswered(String),
}

/// A query interface under a destination's address.
pub fn address(config: &DestinationConfig, url: &Url) -> Option<Url> {
    let path = url.path().trim_end_matches('/');
    let asked = match config.kind {
        DestinationType::Prometheus => prometheus_api(path).map(|api| format!("{api}/query")),
        DestinationType::Loki => path
            .strip_suffix("/loki/api/v1/push")
            .or_else(|| path.strip_suffix("/otlp/v1/logs"))
            .or_else(|| path.strip_suffix("/otlp"))
            .map(|base| format!("{base}/loki/api/v1/query_range")),
        DestinationType::VictoriaLogs => {
            path.split_once("/insert/").map(|(base, _)| format!("{base}/select/logsql/query"))
        }
        DestinationType::Otlp => None,
    }?;
    Some(at(url, &asked))
}

/// Prometheus' own, Mimir's and Grafana Cloud's.
fn prometheus_api(path: &str) -> Option<String> {
    if let Some(base) = path.strip_suffix("/api/v1/write") {
        return Some(format!("{base}/api/v1"));
    }
    if let Some(base) = path.strip_suffix("/api/v1/push") {
        return Some(format!("{base}/prometheus/api/v1"));
    }
    path.strip_suffix("/api/prom/push").map(|base| format!("{base}/api/prom/api/v1"))
}

fn at(url: &Url, path: &str) -> Url {
    let mut asked = url.clone();
    asked.set_path(path);
    asked.set_query(None);
    asked
}

/// Asks once whether the mark is there.
pub async fn ask(client: &Client, config: &DestinationConfig, install: &str, mark: &Mark) -> Asked {
    let Some(mut url) = address(config, client.url()) else {
        return Asked::Closed(match config.kind {
            DestinationType::Otlp => "OTLP has no way to ask".to_owned(),
            _ => "its query interface is not known from its address".to_owned(),
        });
    };
    parameters(&mut url, config.kind, install, mark);
    let answer = match client.get(url).await {
        Ok(answer) => answer,
        Err(failure) => return Asked::Unanswered(failure.to_string()),
    };
    match answer.status {
        200 if answer.is_web_page() => Asked::Closed("a web page answers there".to_owned()),
        200 => {
            let text = String::from_utf8_lossy(&answer.body);
            if is_in(config.kind, &text, mark) { Asked::Found } else { Asked::Absent }
        }
        401 | 403 => Asked::Closed(format!(
            "its credentials may write and not read (status {})",
            answer.status
        )),
        201..=399 | 404 | 405 => {
            Asked::Closed(format!("no query interface there (status {})", answer.status))
        }
        status => Asked::Unanswered(format!("status {status}: {}", answer.words())),
    }
}

fn parameters(url: &mut Url, kind: DestinationType, install: &str, mark: &Mark) {
    let seconds = mark.sent.as_second();
    let (from, to) = (seconds - AROUND_SECONDS, seconds + AROUND_SECONDS);
    let mut query = url.query_pairs_mut();
    match kind {
        DestinationType::Prometheus => {
            let selector = format!("{}{{instance=\"{install}\"}}", own::MARKS_SERIES);
            // VictoriaMetrics hides the last half minute from what may be cached.
            query.append_pair("query", &selector).append_pair("nocache", "1");
        }
        DestinationType::Loki => {
            let selector =
                format!("{{service_name=\"{}\"}} | trace_id=\"{}\"", own::SERVICE, mark.trace_id);
            query.append_pair("query", &selector).append_pair("limit", "1");
            query.append_pair("start", &from.to_string()).append_pair("end", &to.to_string());
        }
        DestinationType::VictoriaLogs | DestinationType::Otlp => {
            query.append_pair("query", &format!("trace_id:=\"{}\"", mark.trace_id));
            query.append_pair("limit", "1");
            query.append_pair("start", &from.to_string()).append_pair("end", &to.to_string());
        }
    }
}

fn is_in(kind: DestinationType, text: &str, mark: &Mark) -> bool {
    if kind == DestinationType::VictoriaLogs {
        return text.contains(&mark.trace_id);
    }
    let answer: Value = serde_json::from_str(text).unwrap_or_default();
    let rows = answer["data"]["result"].as_array().map_or(&[][..], Vec::as_slice);
    if kind == DestinationType::Loki {
        return !rows.is_empty();
    }
    rows.iter().any(|row| {
        let same = |(name, value): (&String, &String)| row["metric"][name] == **value;
        let value = row["value"][1].as_str().and_then(|text| text.parse::<f64>().ok());
        mark.labels.iter().all(same) && value.is_some_and(|value| value >= mark.value)
    })
}

/// Whether a Prometheus takes samples that are late. `None` where it does not say.
pub async fn out_of_order_window(client: &Client) -> Option<bool> {
    let api = prometheus_api(client.url().path().trim_end_matches('/'))?;
    let answer = client.get(at(client.url(), &format!("{api}/status/config"))).await.ok()?;
    let document: Value =
        serde_json::from_slice(&answer.body).ok().filter(|_| answer.status == 200)?;
    // VictoriaMetrics answers, too, and has no such limit.
    let yaml = document["data"]["yaml"].as_str().filter(|yaml| yaml.contains("global:"))?;
    let set = yaml.lines().filter_map(|line| line.trim().strip_prefix("out_of_order_time_window:"));
    Some(set.map(str::trim).any(|window| !window.is_empty() && !window.starts_with('0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_interface_is_found_beside_the_one_for_writing() {
        for (kind, url, expected) in [
            (DestinationType::Prometheus, "http://h/api/v1/write", Some("/api/v1/query")),
            (DestinationType::Prometheus, "http://h/x/api/v1/write", Some("/x/api/v1/query")),
            (DestinationType::Prometheus, "http://h/api/v1/push", Some("/prometheus/api/v1/query")),
            (DestinationType::Prometheus, "http://h/api/prom/push", Some("/api/prom/api/v1/query")),
            (DestinationType::Prometheus, "http://h/receive", None),
            (DestinationType::Loki, "http://h/loki/api/v1/push", Some("/loki/api/v1/query_range")),
            (DestinationType::Loki, "http://h/otlp", Some("/loki/api/v1/query_range")),
            (
                DestinationType::VictoriaLogs,
                "http://h/insert/opentelemetry/v1/logs",
                Some("/select/logsql/query"),
            ),
            (DestinationType::Otlp, "http://h/otlp", None),
        ] {
            let config = DestinationConfig { kind, ..super::super::destinations::plain() };
            let found = address(&config, &Url::parse(url).unwrap());
            assert_eq!(found.as_ref().map(Url::path), expected, "{url}");
        }
    }

    #[test]
    fn only_this_mark_or_a_later_one_of_the_same_series_will_do() {
        let mark = Mark {
            sent: jiff::Timestamp::UNIX_EPOCH,
            trace_id: "ab".to_owned(),
            labels: [("team".to_owned(), "a".to_owned())].into(),
            value: 3.0,
        };
        let has = |team: &str, value: &str| {
            let text = format!(
                r#"{{"data":{{"result":[{{"metric":{{"team":"{team}","x":"y"}},"value":[1,"{value}"]}}]}}}}"#
            );
            is_in(DestinationType::Prometheus, &text, &mark)
        };
        assert!(has("a", "3") && has("a", "4"));
        assert!(!has("a", "2") && !has("b", "9"));
        assert!(!is_in(DestinationType::Prometheus, "nonsense", &mark));
        assert!(!is_in(DestinationType::Loki, r#"{"data":{"result":[]}}"#, &mark));
    }
}
