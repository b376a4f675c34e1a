//! The lists, over one recorded and one imported history.

use super::groups::Key;
use super::models;
use super::prompts;
use super::question::{Dimensions, Filter, Question};
use super::recorded::{
    HOUR_MS, RANGE, Recorded, START_MS, fact, overloaded, prompt, refused, request, text, tool,
    unpriced,
};
use super::sessions;
use super::story::{self, What};
use super::time::Clock;
use super::tools;
use super::{answer, row};

const FIRST: &str = "0198c3a2-3e52-7000-8000-00000000000a";
const SECOND: &str = "0198c3a2-3e52-7000-8000-00000000000b";

/// `checkout-1` was imported up to noon and recorded from then on; `search-1` was recorded,
/// `billing-1` imported.
fn recorded() -> Recorded {
    let noon = START_MS + 12 * HOUR_MS;
    let mut recorded = Recorded::new();
    recorded.import(&[
        fact("checkout-1", FIRST, noon - HOUR_MS, prompt()),
        fact("checkout-1", FIRST, noon - HOUR_MS + 1, request(1.0, 4_000)),
        fact("billing-1", FIRST, noon - 2 * HOUR_MS, unpriced()),
    ]);
    recorded.record(&[
        fact("checkout-1", SECOND, noon, prompt()),
        fact("checkout-1", SECOND, noon + 1, request(0.25, 2_000)),
        fact("checkout-1", SECOND, noon + 2, refused()),
        fact("checkout-1", SECOND, noon + 3, tool(false, 300)),
        fact("checkout-1", SECOND, noon + 4, request(0.5, 1_000)),
        fact("checkout-1", SECOND, noon + 5, overloaded()),
        fact("search-1", "p3", noon + HOUR_MS, prompt()),
        fact("search-1", "p3", noon + HOUR_MS + 1, request(2.0, 1_000)),
        fact("search-1", "p3", noon + HOUR_MS + 2, tool(true, 100)),
    ]);
    recorded
}

fn filters(words: &[&str]) -> Vec<Filter> {
    words.iter().map(|word| word.parse().unwrap()).collect()
}

#[test]
fn sessions_newest_first_and_whole_across_both_files() {
    let history = recorded().open();
    let list = sessions::list(&history, RANGE, &[], 10).unwrap();
    let ids: Vec<&str> = list.iter().map(|session| &*session.id).collect();
    assert_eq!(ids, ["search-1", "checkout-1", "billing-1"]);
    let checkout = &list[1];
    assert_eq!(checkout.facts.cost_usd, 1.75);
    assert_eq!(checkout.facts.imported_cost_usd, 1.0);
    assert!(checkout.imported && !list[0].imported);
    assert_eq!((checkout.facts.prompts, checkout.facts.requests), (2, 3));
    assert_eq!((checkout.facts.errors, checkout.facts.tool_failures), (1, 1));
    assert_eq!(checkout.facts.tool_rejections, 1);
    assert_eq!(checkout.first_ms, START_MS + 11 * HOUR_MS);
    assert_eq!(checkout.last_ms, START_MS + 12 * HOUR_MS + 5);
    assert_eq!(checkout.project.as_deref(), Some("checkout"));
    assert_eq!(checkout.repository.as_deref(), Some("acme/checkout"));
    assert_eq!(checkout.models, ["claude-opus-4-8"]);
    assert_eq!(checkout.of_session.terminal.as_deref(), Some("tmux"));
    assert_eq!(list[2].facts.unpriced_requests, 1);

    assert_eq!(sessions::list(&history, RANGE, &[], 1).unwrap().len(), 1);
    let of_two = filters(&["project=checkout", "project=billing"]);
    assert_eq!(sessions::list(&history, RANGE, &of_two, 10).unwrap().len(), 2);
    let none = filters(&["project=checkout", "repo=acme/search"]);
    assert!(sessions::list(&history, RANGE, &none, 10).unwrap().is_empty());
}

#[test]
fn an_id_may_be_given_by_its_beginning() {
    let history = recorded().open();
    let found = |prefix: &str| sessions::beginning_with(&history, prefix, 5).unwrap();
    assert_eq!(found("check"), ["checkout-1"]);
    assert_eq!(found("").len(), 3);
    assert!(found("x").is_empty());
    assert!(found("%").is_empty());
}

#[test]
fn a_story_is_told_in_order_from_both_files() {
    let history = recorded().open();
    assert!(story::story(&history, "check").unwrap().is_none());
    let story = story::story(&history, "checkout-1").unwrap().unwrap();
    assert_eq!(story.session.facts.cost_usd, 1.75);
    assert_eq!((story.entries.len(), story.left_out), (8, 0));
    assert!(story.entries.is_sorted_by_key(|entry| entry.time_ms));
    assert!(story.entries[0].imported && !story.entries[7].imported);
    assert_eq!(story.entries[0].prompt_id.as_deref(), Some(FIRST));
    let What::Request(request) = &story.entries[1].what else { panic!("{:?}", story.entries[1]) };
    assert_eq!((request.cost_usd, request.ttft_ms), (Some(1.0), Some(1_000)));
    assert_eq!(request.request_id.as_deref(), Some("req_1"));
    assert_eq!(request.effort.as_deref(), Some("high"));
    assert!(matches!(
        &story.entries[4].what,
        What::Decision { accepted: Some(false), source: Some(source), .. } if source == "user_reject"
    ));
    assert!(matches!(
        &story.entries[7].what,
        What::Error { class: Some(class), status_code: Some(529), .. } if class == "overloaded"
    ));
}

#[test]
fn tools_with_failures_refusals_and_durations() {
    let history = recorded().open();
    let list = tools::list(&history, RANGE, &[]).unwrap();
    let [bash] = &list[..] else { panic!("{list:?}") };
    assert_eq!((bash.calls, bash.failures, bash.rejections), (2, 1, 1));
    let duration = bash.duration.unwrap();
    assert!((duration.p95_ms - 300.0).abs() < 18.0, "{duration:?}");
    let of_search = tools::list(&history, RANGE, &filters(&["session=search-1"])).unwrap();
    assert_eq!((of_search[0].calls, of_search[0].failures), (1, 0));
    assert!((of_search[0].duration.unwrap().p95_ms - 100.0).abs() < 6.0);
}

#[test]
fn models_with_their_speed() {
    let history = recorded().open();
    // Of the recorded part there are no counters here: what was imported is the cost.
    let list = models::list(&history, RANGE, &[]).unwrap();
    let opus = list.iter().find(|model| model.model.is_some()).unwrap();
    assert_eq!(opus.facts.cost_usd, 1.0);
    assert_eq!(opus.facts.requests, 5);
    // 50 tokens each, in 4, 2, 1 and 1 s.
    assert_eq!(opus.output_tokens_per_second, Some(25.0));
    assert!((opus.duration.unwrap().p95_ms - 4_000.0).abs() < 240.0);
    assert!((opus.first_token.unwrap().p95_ms - 1_000.0).abs() < 60.0);
}

#[test]
fn the_dearest_prompts_whatever_file_they_are_in() {
    let mut recorded = recorded();
    let list = prompts::dearest(&recorded.open(), RANGE, &[], 2).unwrap();
    assert_eq!(list.len(), 2);
    assert_eq!((list[0].cost_usd, list[0].session_id.as_deref()), (2.0, Some("search-1")));
    assert_eq!((list[1].cost_usd, &*list[1].prompt_id), (1.0, FIRST));
    assert!(list[1].imported);
    let of_checkout = prompts::dearest(&recorded.open(), RANGE, &filters(&["project=checkout"]), 9);
    let of_checkout = of_checkout.unwrap();
    assert_eq!(of_checkout.len(), 2);
    let second = &of_checkout[1];
    assert_eq!((second.cost_usd, second.requests, second.tool_calls), (0.75, 2, 1));
    assert_eq!((second.errors, second.length), (1, Some(12)));
    assert_eq!(second.model.as_deref(), Some("claude-opus-4-8"));

    // What comes later for a prompt is added to it.
    let late = fact("checkout-1", SECOND, START_MS + 20 * HOUR_MS, request(5.0, 1_000));
    recorded.record(&[late]);
    let list = prompts::dearest(&recorded.open(), RANGE, &[], 1).unwrap();
    assert_eq!((list[0].cost_usd, list[0].length), (5.75, Some(12)));
}

fn ask(recorded: &Recorded, by: &str, of: &[&str]) -> row::Answer {
    let clock = Clock { now: "2026-11-15T10:00:00+00:00[UTC]".parse().unwrap() };
    let question = Question {
        range: RANGE,
        clock,
        by: Dimensions::new(vec![by.parse().unwrap()]).unwrap(),
        filters: filters(of),
    };
    answer::answer(&recorded.open(), &question).unwrap()
}

#[test]
fn imported_usage_counts_and_is_told_apart() {
    let recorded = recorded();
    let answer = ask(&recorded, "project", &[]);
    assert_eq!((answer.total.cost_usd, answer.imported.cost_usd), (1.0, 1.0));
    assert_eq!((answer.total.sessions, answer.imported.sessions), (3, 2), "one is in both");
    assert_eq!((answer.total.requests, answer.imported.requests), (5, 2));
    assert_eq!(answer.total.unpriced_requests, 1);
    let checkout = answer.rows.iter().find(|row| row.keys == [Key::Value("checkout".to_owned())]);
    assert_eq!(checkout.unwrap().facts.imported_cost_usd, 1.0);
}

/// Counters know no repository: then what events say is all there is.
#[test]
fn a_filter_that_counters_do_not_know_asks_events() {
    let recorded = recorded();
    let answer = ask(&recorded, "day", &["repo=acme/checkout"]);
    assert!(answer.of_events_only);
    assert_eq!(answer.total.cost_usd, 1.75);
    assert_eq!(answer.total.sessions, 1);
    let answer = ask(&recorded, "model", &["project=search"]);
    assert!(!answer.of_events_only);
    assert_eq!((answer.total.prompts, answer.total.requests), (1, 1));
    assert!(ask(&recorded, "day", &["project=nobody"]).is_empty());
}

#[test]
fn what_belongs_to_no_session_is_no_session() {
    let mut recorded = recorded();
    let mut stray = fact("stray-1", "p", START_MS, request(1.0, 10));
    (stray.session, stray.facet.user) = (None, text("ada"));
    recorded.record(&[stray]);
    assert_eq!(sessions::list(&recorded.open(), RANGE, &[], 10).unwrap().len(), 3);
}
