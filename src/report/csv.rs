//! An answer as CSV (RFC 4180): a line of names, then the rows. No line of totals, which a spreadsheet
//! would add to the rest.

use super::groups::Key;
use super::json::{UNATTRIBUTED, facts};
use super::question::Question;
use super::row::Answer;

const LINE_END: &str = "\r\n";

/// The rows, with the same names as in JSON; of tokens, `input_tokens` and so on. A tag that is not
/// set is an empty field.
pub fn text(question: &Question, answer: &Answer) -> String {
    let with_tools = question.by.have_tool();
    let keys = question.by.as_slice().iter().map(|dimension| dimension.key().to_owned());
    let mut text = line(keys.chain(names(with_tools)));
    for row in &answer.rows {
        let keys = row.keys.iter().map(|key| match key {
            Key::Value(value) => value.clone(),
            Key::Unset => String::new(),
            Key::Unattributed => UNATTRIBUTED.to_owned(),
        });
        let values = flat(&row.facts, with_tools).into_iter().map(|(_, value)| value);
        text += &line(keys.chain(values));
    }
    text
}

fn names(with_tools: bool) -> impl Iterator<Item = String> {
    flat(&super::row::Facts::default(), with_tools).into_iter().map(|(name, _)| name)
}

fn flat(of: &super::row::Facts, with_tools: bool) -> Vec<(String, String)> {
    let mut flat = Vec::new();
    for (name, value) in facts(of, with_tools) {
        match value.as_object() {
            Some(tokens) => flat.extend(
                tokens.iter().map(|(kind, count)| (format!("{kind}_{name}"), count.to_string())),
            ),
            None => flat.push((name, value.to_string())),
        }
    }
    flat
}

fn line(fields: impl Iterator<Item = String>) -> String {
    fields.map(|text| field(&text)).collect::<Vec<_>>().join(",") + LINE_END
}

fn field(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_misread_is_quoted() {
        assert_eq!(field("plain text"), "plain text");
        assert_eq!(field("a,b"), "\"a,b\"");
        assert_eq!(field("say \"x\"\n"), "\"say \"\"x\"\"\n\"");
    }

    #[test]
    fn every_name_has_a_value() {
        let flat = flat(&super::super::row::Facts::default(), true);
        assert!(flat.iter().any(|(name, _)| name == "cache_read_tokens"));
        assert!(flat.iter().all(|(name, value)| !name.is_empty() && value.parse::<f64>().is_ok()));
    }
}
