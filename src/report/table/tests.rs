use super::*;
use crate::report::question::Dimensions;
use crate::report::row::{Row, Tokens};
use crate::report::summary::Summary;
use crate::report::time::Clock;

fn question(by: &[&str]) -> Question {
    let clock = Clock { now: "2026-11-21T10:17:42+01:00[Europe/Paris]".parse().unwrap() };
    Question {
        range: clock.range("7d", None).unwrap(),
        clock,
        by: Dimensions::new(by.iter().map(|word| word.parse().unwrap()).collect()).unwrap(),
        filters: Vec::new(),
    }
}

fn facts(cost_usd: f64) -> Facts {
    Facts {
        cost_usd,
        tokens: Tokens {
            input: 950.0,
            output: 12_345.0,
            cache_read: 4_560_000.0,
            cache_creation: 99_960.0,
        },
        sessions: 5,
        prompts: 40,
        requests: 210,
        errors: 0,
        active_seconds: 11_100.0,
        lines_added: 10.0,
        lines_removed: 2.0,
        commits: 1.0,
        ..Facts::default()
    }
}

fn answer(keys: &[&[Key]]) -> Answer {
    let rows: Vec<Row> =
        keys.iter().map(|keys| Row { keys: keys.to_vec(), facts: facts(12.41) }).collect();
    Answer { rows, total: facts(1_234.5), ..Answer::default() }
}

fn value(text: &str) -> Key {
    Key::Value(text.to_owned())
}

const PIPED: Look = Look { width: None, colour: false, marks: false };

#[test]
fn by_day() {
    let answer = answer(&[&[value("2026-11-20")], &[value("2026-11-21")]]);
    insta::assert_snapshot!(text(&question(&["day"]), &answer, &Summary::default(), PIPED));
}

#[test]
fn a_narrow_terminal_says_what_it_cannot_show() {
    let answer = answer(&[&[value("2026-11-20")]]);
    let look = Look { width: Some(80), colour: false, marks: false };
    let text = text(&question(&["day"]), &answer, &Summary::default(), look);
    assert!(text.lines().take(4).all(|line| line.chars().count() <= 80), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn every_width_keeps_the_cost() {
    let answer = answer(&[&[value("2026-11-20")]]);
    for width in 1..200 {
        let text = text(
            &question(&["day"]),
            &answer,
            &Summary::default(),
            Look { width: Some(width), colour: false, marks: false },
        );
        assert!(text.contains("$12.41"), "{width}: {text}");
        let table_width = text.lines().next().unwrap().chars().count();
        assert!(table_width <= width.max(27), "{width}: {text}");
    }
}

#[test]
fn two_dimensions_and_what_has_no_name() {
    let answer = answer(&[
        &[value("acme/shop"), value("claude-opus-4-8")],
        &[Key::Unset, value("a|b\u{1b}[31m")],
        &[Key::Unattributed, Key::Unset],
    ]);
    insta::assert_snapshot!(text(
        &question(&["repo", "model"]),
        &answer,
        &Summary::default(),
        PIPED
    ));
}

#[test]
fn hours_have_their_offset() {
    let answer = answer(&[&[value("2026-10-25T02:00:00+02:00")]]);
    let text = text(&question(&["hour"]), &answer, &Summary::default(), PIPED);
    assert!(text.contains("| 2026-10-25 02:00 +02:00 "), "{text}");
}

#[test]
fn colour_only_where_it_is_wanted() {
    let answer = answer(&[&[value("2026-11-20")]]);
    let colourful = text(
        &question(&["day"]),
        &answer,
        &Summary::default(),
        Look { width: None, colour: true, marks: false },
    );
    assert!(colourful.contains("\u{1b}["));
    assert!(!text(&question(&["day"]), &answer, &Summary::default(), PIPED).contains('\u{1b}'));
}

#[test]
fn long_names_are_cut() {
    let long = "feature/".repeat(20);
    let answer = answer(&[&[value(&long)]]);
    let text = text(&question(&["branch"]), &answer, &Summary::default(), PIPED);
    assert!(text.contains('…') && !text.contains(&long), "{text}");
}

#[test]
fn nothing_says_what_to_do() {
    insta::assert_snapshot!(nothing(&question(&["day"])), @r"
    Nothing recorded from 2026-11-15 00:00 to 2026-11-21 10:18, Europe/Paris.
    Start a session with `ccotel claude`, or look further back with `--since`.
    ");
}

#[test]
fn money_is_in_cents_and_small_money_is_not_nothing() {
    for (usd, expected) in [
        (0.0, "$0.00"),
        (12.414, "$12.41"),
        (1_234_567.891, "$1,234,567.89"),
        (999.999, "$1,000.00"),
        (0.01, "$0.01"),
        (0.0034, "$0.0034"),
        (0.000_012_34, "$0.000012"),
        (0.000_000_001, "$0.000000001"),
        (-0.12, "-$0.12"),
        (-0.0034, "-$0.0034"),
    ] {
        assert_eq!(money(usd), expected);
    }
}

#[test]
fn tokens_have_three_digits() {
    for (count, expected) in [
        (0.0, "0"),
        (999.0, "999"),
        (1_000.0, "1.00k"),
        (9_999.0, "10.0k"),
        (12_345.0, "12.3k"),
        (99_960.0, "100k"),
        (999_499.0, "999k"),
        (999_500.0, "1.00M"),
        (4_560_000.0, "4.56M"),
        (2.5e15, "2500T"),
        (-1_500.0, "-1.50k"),
    ] {
        assert_eq!(tokens(count), expected);
    }
}

#[test]
fn durations_are_short() {
    for (seconds, expected) in
        [(0.0, "0s"), (45.4, "45s"), (725.0, "12m"), (11_100.0, "3h 05m"), (360_000.0, "100h 00m")]
    {
        assert_eq!(duration(seconds), expected);
    }
}

#[test]
fn what_is_to_be_known_about_a_total_is_below_it() {
    let mut question = question(&["project"]);
    question.filters = vec!["team=payments".parse().unwrap(), "repo=".parse().unwrap()];
    let mut answer = answer(&[&[value("checkout")]]);
    answer.imported = Facts { cost_usd: 2.5, requests: 7, ..Facts::default() };
    answer.total.unpriced_requests = 3;
    answer.of_events_only = true;
    let summary = Summary {
        previous: question
            .clock
            .previous(question.range)
            .map(|previous| (previous, Facts { cost_usd: 1_000.0, ..Facts::default() })),
        course: Some((Unit::Day, vec![0.0, 1.0, 4.0, 8.0])),
        signed_in: true,
    };
    let look = Look { width: Some(100), colour: false, marks: true };
    insta::assert_snapshot!(text(&question, &answer, &summary, look));
}

#[test]
fn nothing_with_a_filter_says_where_to_look() {
    let mut question = question(&["day"]);
    question.filters = vec!["tag:cost_center=nobody".parse().unwrap()];
    let words = nothing(&question);
    assert!(words.contains("only cost_center=nobody."), "{words}");
    assert!(words.contains("`ccotel report --by tag:cost_center`"), "{words}");
}
