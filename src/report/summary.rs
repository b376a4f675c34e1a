//! What is said about an answer besides its rows: how it compares, how cost went over the range, and
//! whether somebody had a subscription.

use super::answer::answer;
use super::history::reader::History;
use super::history::schema::HistoryError;
use super::question::{Dimension, Dimensions, Question};
use super::row::{Answer, Facts};
use super::time::{MinuteRange, Previous, Unit};

const DAY_MINUTES: i64 = 24 * 60;
/// Most marks of a spark line.
const MARKS_MAX: usize = 60;
const MARKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What is told beside the rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// `None` where the history does not reach back that far.
    pub previous: Option<(Previous, Facts)>,
    /// Cost by hour, day, week or month, from the beginning of the range to now.
    pub course: Option<(Unit, Vec<f64>)>,
    /// Whether a session in the range was signed in with a Claude account: then cost may be no bill.
    pub signed_in: bool,
}

/// Asks the history for it.
pub fn summary(
    history: &History,
    question: &Question,
    answer: &Answer,
) -> Result<Summary, HistoryError> {
    Ok(Summary {
        previous: previous(history, question)?,
        course: course(history, question, answer)?,
        signed_in: signed_in(history, question.range)?,
    })
}

/// The total of the range before, and which that is; `None` where the history does not hold all of it.
pub fn previous(
    history: &History,
    question: &Question,
) -> Result<Option<(Previous, Facts)>, HistoryError> {
    let Some(previous) = question.clock.previous(question.range) else { return Ok(None) };
    let Some(extent) = history.extent()? else { return Ok(None) };
    // A history that began during the first day of it is enough; its extent is in UTC days.
    if extent.start >= previous.range.start + DAY_MINUTES {
        return Ok(None);
    }
    let total = answer(history, &asking(question, Dimension::Model, previous.range))?.total;
    Ok(Some((previous, total)))
}

fn course(
    history: &History,
    question: &Question,
    known: &Answer,
) -> Result<Option<(Unit, Vec<f64>)>, HistoryError> {
    let unit = fitting(question.range);
    let by = Dimension::Time(unit);
    let costs: Vec<f64> = if question.by.as_slice() == [by.clone()] {
        known.rows.iter().map(|row| row.facts.cost_usd).collect()
    } else {
        let answer = answer(history, &asking(question, by, question.range))?;
        answer.rows.iter().map(|row| row.facts.cost_usd).collect()
    };
    Ok((costs.len() > 1 && costs.iter().any(|cost| *cost > 0.0)).then_some((unit, costs)))
}

fn asking(question: &Question, by: Dimension, range: MinuteRange) -> Question {
    Question {
        clock: question.clock.clone(),
        range,
        by: Dimensions::of(by),
        filters: question.filters.clone(),
    }
}

/// The finest unit of which the range has few enough.
fn fitting(range: MinuteRange) -> Unit {
    match (range.end - range.start) / DAY_MINUTES {
        ..=2 => Unit::Hour,
        3..=59 => Unit::Day,
        60..=400 => Unit::Week,
        _ => Unit::Month,
    }
}

fn signed_in(history: &History, range: MinuteRange) -> Result<bool, HistoryError> {
    for file in history.files() {
        let found: bool = file.checked(|connection| {
            connection.query_row(
                "SELECT EXISTS (SELECT 1 FROM session
                   WHERE signed_in = 1 AND last_ms >= ?1 AND first_ms < ?2)",
                [range.start * 60_000, range.end * 60_000],
                |row| row.get(0),
            )
        })?;
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A mark for each amount, by its share of the largest. More than fit are added up in groups.
pub fn spark(amounts: &[f64]) -> String {
    let a_mark = amounts.len().div_ceil(MARKS_MAX).max(1);
    let amounts: Vec<f64> = amounts.chunks(a_mark).map(|some| some.iter().sum()).collect();
    let largest = amounts.iter().copied().fold(0.0, f64::max);
    amounts
        .iter()
        .map(|amount| match amount / largest {
            share if share.is_finite() && share > 0.0 => {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "between 0 and 7"
                )]
                let index = ((share * 8.0).ceil() as usize).clamp(1, MARKS.len()) - 1;
                MARKS[index]
            }
            _ => ' ',
        })
        .collect()
}

/// `18 % more than`, `3 times as much as`, `the same as`.
pub fn change(now: f64, before: f64) -> Option<String> {
    if before <= 0.0 {
        return None;
    }
    let percent = (now / before - 1.0) * 100.0;
    Some(match percent {
        300.0.. => format!("{:.0} times as much as", now / before),
        0.5.. => format!("{percent:.0} % more than"),
        -0.5.. => "the same as".to_owned(),
        _ => format!("{:.0} % less than", -percent),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spark_line_shows_shares_of_the_largest() {
        assert_eq!(spark(&[0.0, 1.0, 4.0, 8.0]), " ▁▄█");
        assert_eq!(spark(&[0.0, 0.0]), "  ");
        assert_eq!(spark(&[1.0; 61]).chars().count(), 31, "two a mark");
        assert_eq!(spark(&[]), "");
        assert_eq!(spark(&[-1.0, 1.0]), " █");
    }

    #[test]
    fn changes_in_words() {
        for (now, before, expected) in [
            (12.41, 10.52, Some("18 % more than")),
            (5.0, 10.0, Some("50 % less than")),
            (0.0, 10.0, Some("100 % less than")),
            (10.0, 10.01, Some("the same as")),
            (50.0, 10.0, Some("5 times as much as")),
            (1.0, 0.0, None),
        ] {
            assert_eq!(change(now, before).as_deref(), expected, "{now} {before}");
        }
    }
}
