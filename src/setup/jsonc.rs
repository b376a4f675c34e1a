//! Keys in a JSON file with comments, set and taken out again without touching anything else.
//!
//! Only keys that are not there are set (or those whose value is known and agreed to be replaced), and
//! only those that still have our value are taken out.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstInputValue, CstNode, CstObject, CstObjectProp, CstRootNode};
use serde::{Deserialize, Serialize};

const BYTE_ORDER_MARK: char = '\u{feff}';

/// A key of ours: at the top (`["processWrapper"]`) or in an object (`["env", "NAME"]`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    pub path: Vec<String>,
    pub value: String,
    /// Somebody else's value that this one takes the place of, as JSON: with their consent, and to
    /// be put back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<String>,
}

impl Key {
    pub fn new(path: &[&str], value: impl Into<String>) -> Self {
        let path = path.iter().map(ToString::to_string).collect();
        Self { path, value: value.into(), instead_of: None }
    }

    pub fn name(&self) -> String {
        self.path.join(".")
    }
}

#[derive(Debug, thiserror::Error)]
pub enum JsoncError {
    #[error("it is not valid JSON: {0}")]
    Invalid(String),
    #[error("it is not a JSON object")]
    NotAnObject,
    #[error("its `{0}` is not an object")]
    NotAnObjectWithin(String),
}

/// What setting keys has come to.
#[derive(Debug, PartialEq, Eq)]
pub struct Set {
    pub text: String,
    /// The keys that were not there, and now are.
    pub keys: Vec<Key>,
    /// Objects that were made for them.
    pub created: Vec<String>,
}

/// What is at a key now, as JSON, or `None`.
pub fn get(text: &str, path: &[String]) -> Result<Option<String>, JsoncError> {
    let (_, root) = parse(text)?;
    let Some(mut object) = top(&root)? else { return Ok(None) };
    let Some((last, containers)) = path.split_last() else { return Ok(None) };
    for name in containers {
        match object.object_value(name) {
            Some(inner) => object = inner,
            None => match object.get(name) {
                Some(property) if !is_null(&property) => {
                    return Err(JsoncError::NotAnObjectWithin(name.clone()));
                }
                _ => return Ok(None),
            },
        }
    }
    Ok(object.get(last).and_then(|property| property.value()).map(|value| value.to_string()))
}

/// A string as JSON.
pub fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Sets the keys that are not there.
pub fn set(text: &str, keys: &[Key]) -> Result<Set, JsoncError> {
    let (mark, root) = parse(text)?;
    let mut done = Set { text: String::new(), keys: Vec::new(), created: Vec::new() };
    if top(&root)?.is_none() {
        root.object_value_or_create().ok_or(JsoncError::NotAnObject)?;
    }
    for key in keys {
        let Some(mut object) = root.object_value() else { return Err(JsoncError::NotAnObject) };
        let Some((last, containers)) = key.path.split_last() else { continue };
        for name in containers {
            if let Some(property) = object.get(name).filter(is_null) {
                property.remove();
            }
            if object.get(name).is_none() {
                done.created.push(name.clone());
            }
            object = object
                .object_value_or_create(name)
                .ok_or_else(|| JsoncError::NotAnObjectWithin(name.clone()))?;
        }
        let Some(property) = object.get(last) else {
            object.append(last, CstInputValue::String(key.value.clone()));
            done.keys.push(key.clone());
            continue;
        };
        let found = property.value();
        if let Some(literal) = found.as_ref().and_then(CstNode::as_string_lit)
            && key.instead_of.as_deref() == Some(&*literal.raw_value())
        {
            literal.set_raw_value(string(&key.value));
            done.keys.push(key.clone());
        }
    }
    done.text = format!("{mark}{root}");
    Ok(done)
}

/// Takes out the keys that still have our value, and the objects made for them that are empty then.
pub fn take_out(text: &str, keys: &[Key], created: &[String]) -> Result<String, JsoncError> {
    let (mark, root) = parse(text)?;
    for key in keys {
        let Some((last, containers)) = key.path.split_last() else { continue };
        let inner = containers
            .iter()
            .try_fold(root.object_value(), |object, name| Some(object?.object_value(name)));
        let Some(Some(object)) = inner else { continue };
        let Some(property) = object.get(last) else { continue };
        let literal = property.value().and_then(|value| value.as_string_lit());
        let Some(literal) = literal else { continue };
        match (&key.instead_of, literal.decoded_value()) {
            (Some(theirs), Ok(value)) if value == key.value => {
                literal.set_raw_value(theirs.clone());
            }
            (None, Ok(value)) if value == key.value => property.remove(),
            _ => {}
        }
    }
    for name in created {
        let Some(property) = root.object_value().and_then(|object| object.get(name)) else {
            continue;
        };
        if property.object_value().is_some_and(|object| is_empty(&object)) {
            property.remove();
        }
    }
    Ok(format!("{mark}{root}"))
}

/// Takes out a key at the top, whatever it is.
pub fn remove(text: &str, name: &str) -> Result<String, JsoncError> {
    let (mark, root) = parse(text)?;
    if let Some(property) = top(&root)?.and_then(|object| object.get(name)) {
        property.remove();
    }
    Ok(format!("{mark}{root}"))
}

/// As good as absent.
fn is_null(property: &CstObjectProp) -> bool {
    property.value().is_some_and(|value| value.to_string() == "null")
}

/// Without properties, and without a comment of somebody's.
fn is_empty(object: &CstObject) -> bool {
    object.properties().is_empty() && !object.children().iter().any(CstNode::is_comment)
}

fn top(root: &CstRootNode) -> Result<Option<CstObject>, JsoncError> {
    match (root.value(), root.object_value()) {
        (None, _) => Ok(None),
        (Some(_), Some(object)) => Ok(Some(object)),
        (Some(_), None) => Err(JsoncError::NotAnObject),
    }
}

/// As VS Code reads its settings: JSON, comments, and commas at the end of a list.
fn parse(text: &str) -> Result<(&str, CstRootNode), JsoncError> {
    let rest = text.trim_start_matches(BYTE_ORDER_MARK);
    let mark = &text[..text.len() - rest.len()];
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        ..ParseOptions::default()
    };
    let root = CstRootNode::parse(rest, &options)
        .map_err(|error| JsoncError::Invalid(error.to_string()))?;
    Ok((mark, root))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Vec<Key> {
        vec![Key::new(&["env", "A"], "1"), Key::new(&["env", "B"], "2"), Key::new(&["top"], "x")]
    }

    /// Whatever the layout, what is put in comes out again, and everything else stays.
    #[test]
    fn putting_in_and_taking_out_changes_nothing() {
        for text in [
            "{}",
            "{}\n",
            "{\n}\n",
            "{ \"a\": 1 }",
            "{\"a\":1,\"b\":[1,2]}\n",
            "{\n  // mine\n  \"a\": 1 // here\n}\n",
            "{\n  \"a\": 1, // here\n  /* b */ \"b\": 2,\n}\n",
            "{\r\n\t\"a\": 1\r\n}\r\n",
            "\u{feff}{\n    \"a\": {\n        \"b\": null\n    }\n}",
            "{\n  \"env\": {}\n}\n",
            "{\n  \"env\": {\n    \"MINE\": \"1\" // mine\n  },\n  \"z\": true\n}\n",
            "// only a comment\n{\n\n  \"a\": 1\n\n  // the end\n}\n",
        ] {
            let done = set(text, &keys()).unwrap();
            assert_eq!(done.keys.len(), 3, "{text:?}");
            for key in &done.keys {
                let found = get(&done.text, &key.path).unwrap();
                assert_eq!(found.as_deref(), Some(&*format!("\"{}\"", key.value)), "{text:?}");
            }
            let back = take_out(&done.text, &done.keys, &done.created).unwrap();
            // The crate spreads an object of one line over several; a file that only we have changed
            // gets its own bytes back from the journal.
            let bare = |text: &str| text.split_whitespace().collect::<String>();
            assert_eq!(bare(&back), bare(text), "by way of {}", done.text);
            if text.contains("\n  \"") && !text.contains("{\n\n") {
                assert_eq!(back, text, "by way of {}", done.text);
            }
        }
    }

    #[test]
    fn an_empty_file_becomes_an_object() {
        assert_eq!(set("", &[Key::new(&["a"], "1")]).unwrap().text, "{\n  \"a\": \"1\"\n}\n");
    }

    #[test]
    fn what_somebody_else_set_stays_theirs() {
        let text = "{\n  \"top\": \"theirs\",\n  \"env\": { \"A\": \"1\" }\n}\n";
        let done = set(text, &keys()).unwrap();
        assert_eq!(done.keys, [Key::new(&["env", "B"], "2")]);
        assert!(done.created.is_empty());
        let edited = done.text.replace("\"2\"", "\"3\"");
        assert_eq!(take_out(&edited, &done.keys, &done.created).unwrap(), edited);
    }

    #[test]
    fn a_value_that_is_agreed_to_be_replaced_comes_back_as_it_was_written() {
        let text = "{\n  \"line\": { \"command\": \"a \\u0062\", \"padding\": 0 } // mine\n}\n";
        let theirs = get(text, &["line".into(), "command".into()]).unwrap();
        let key = Key { instead_of: theirs, ..Key::new(&["line", "command"], "ours") };
        let done = set(text, std::slice::from_ref(&key)).unwrap();
        assert_eq!(done.text, text.replace("a \\u0062", "ours"));
        assert_eq!(take_out(&done.text, &done.keys, &done.created).unwrap(), text);
        // What they set later is theirs.
        let edited = done.text.replace("ours", "new");
        assert_eq!(take_out(&edited, &done.keys, &done.created).unwrap(), edited);
        let other = text.replace("a ", "b ");
        assert!(set(&other, &[key]).unwrap().keys.is_empty());
    }

    #[test]
    fn later_edits_stay() {
        let done = set("{\n  \"a\": 1\n}\n", &keys()).unwrap();
        let edited = done
            .text
            .replace("\"a\": 1", "\"a\": 7 /* better */")
            .replace("\"A\": \"1\",", "\"A\": \"1\", // why\n    \"NEW\": \"n\",");
        let kept = take_out(&edited, &done.keys, &done.created).unwrap();
        assert!(
            kept.contains("\"a\": 7 /* better */") && kept.contains("\"NEW\": \"n\""),
            "{kept}"
        );
        assert!(!kept.contains("\"A\"") && !kept.contains("\"B\"") && !kept.contains("\"top\""));
        parse(&kept).unwrap();
    }

    #[test]
    fn what_is_no_object_is_left_alone() {
        assert!(matches!(set("[1]", &keys()), Err(JsoncError::NotAnObject)));
        assert!(matches!(set("{\"env\": 1}", &keys()), Err(JsoncError::NotAnObjectWithin(_))));
        assert!(matches!(set("{\"a\": ", &keys()), Err(JsoncError::Invalid(_))));
    }
}
