//! What servers answer, and the table of it: panel, value, truth.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::choices::Choice;

/// Doubles of different orders of adding.
pub const EXACT: f64 = 1e-6;

/// The table that is printed, and what is wrong in it.
#[derive(Default)]
pub struct Seen {
    pub table: String,
    pub wrong: Vec<String>,
}

impl Seen {
    pub fn heading(&mut self, choice: &Choice) -> Result<()> {
        let title = format!("chosen: {}", choice.words());
        Ok(writeln!(self.table, "\n{title:<72} {:>18} {:>18}", "value", "truth")?)
    }

    /// Of a part of the work a panel may have nothing to show, if that is true.
    pub fn panel(
        &mut self,
        title: &str,
        found: &Found,
        truth: Option<f64>,
        is_all: bool,
    ) -> Result<()> {
        if is_all || truth.is_some() {
            let shown = truth.map_or_else(String::new, |it| format!("{it:.6}"));
            let value = match found.lines {
                Some(lines) => format!("{lines} lines"),
                None => format!("{:.6}", found.sum),
            };
            writeln!(self.table, "{title:<72} {value:>18} {shown:>18}")?;
        }
        let asked = &found.asked;
        if is_all && found.rows == 0 {
            self.wrong.push(format!("{title} is empty: {asked}"));
        }
        let value = found.lines.map_or(found.sum, f64::from);
        if let Some(truth) = truth
            && (value - truth).abs() > EXACT * truth.abs().max(1.0)
        {
            self.wrong.push(format!("{title} is {value}, not {truth}: {asked}"));
        }
        Ok(())
    }
}

pub struct Found {
    pub asked: String,
    pub rows: usize,
    /// Of all values.
    pub sum: f64,
    /// `None` for numbers.
    pub lines: Option<u32>,
}

impl Found {
    pub fn read(body: &str, is_lines: bool, asked: String) -> Result<Self> {
        if is_lines {
            let rows = body.lines().count();
            return Ok(Self { asked, rows, sum: 0.0, lines: Some(u32::try_from(rows)?) });
        }
        let answer: Value = serde_json::from_str(body)?;
        let rows = answer["data"]["result"].as_array().context("no result")?;
        let is_streams = answer["data"]["resultType"] == "streams";
        let values = |row: &Value| {
            let many = row["values"].as_array().cloned().unwrap_or_default();
            many.into_iter()
                .chain(Some(row["value"].clone()).filter(Value::is_array))
                .collect::<Vec<_>>()
        };
        if is_streams {
            let lines = u32::try_from(rows.iter().flat_map(values).count())?;
            return Ok(Self { asked, rows: rows.len(), sum: 0.0, lines: Some(lines) });
        }
        let numbers =
            rows.iter().flat_map(values).filter_map(|it| it[1].as_str()?.parse::<f64>().ok());
        let sum = numbers.filter(|it| it.is_finite()).sum();
        Ok(Self { asked, rows: rows.len(), sum, lines: None })
    }
}
