//! One line of a transcript, as far as it counts.
//!
//! A transcript is JSON lines. What matters is of three types; Claude Code writes many others, and a
//! new version new ones:
//!
//! ```text
//! assistant     a part of an answer. All parts of one carry its usage, which in older versions grows
//!               from line to line; copies of a fork carry `requestSessionId`, the session that paid
//! user          what was typed, the result of a tool (`tool_result`), or what Claude Code says by itself
//! system        among others, a command that no model answers (`local_command`), which in older versions
//!               is a user line; `/exit` is nowhere
//! progress      an assistant line of a subagent, copied into its parent's transcript (2.1.0 to 2.1.3x)
//! api-request   what asked for it (since 2.1.3xx); an assistant line refers to it by `requestRef`
//! ```

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::lenient::{self, Flag, Number, Object, Text};
use super::usage::RawUsage;

/// A line, borrowed.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct Line<'l> {
    #[serde(rename = "type", borrow)]
    pub kind: Text<'l>,
    /// Of a `system` line.
    #[serde(borrow)]
    pub subtype: Text<'l>,
    #[serde(borrow)]
    pub content: Content<'l>,
    /// Of an `api-request`.
    #[serde(borrow)]
    pub id: Text<'l>,
    #[serde(borrow)]
    pub query_source: Text<'l>,
    #[serde(borrow)]
    pub uuid: Text<'l>,
    #[serde(borrow)]
    pub timestamp: Text<'l>,
    #[serde(borrow)]
    pub session_id: Text<'l>,
    #[serde(borrow)]
    pub request_session_id: Text<'l>,
    #[serde(borrow)]
    pub request_id: Text<'l>,
    #[serde(borrow)]
    pub request_ref: Text<'l>,
    #[serde(borrow)]
    pub prompt_id: Text<'l>,
    #[serde(borrow)]
    pub cwd: Text<'l>,
    #[serde(borrow)]
    pub git_branch: Text<'l>,
    #[serde(borrow)]
    pub version: Text<'l>,
    #[serde(borrow)]
    pub entrypoint: Text<'l>,
    #[serde(borrow)]
    pub prompt_source: Text<'l>,
    #[serde(borrow)]
    pub effort: Text<'l>,
    pub is_sidechain: Flag,
    pub is_meta: Flag,
    pub is_compact_summary: Flag,
    pub is_visible_in_transcript_only: Flag,
    pub is_api_error_message: Flag,
    pub api_error_status: Number,
    /// Written by versions before 1.0.9.
    #[serde(rename = "costUSD")]
    pub cost_usd: Number,
    #[serde(borrow, deserialize_with = "lenient::object")]
    pub permission_decision: Decision<'l>,
    #[serde(borrow, deserialize_with = "lenient::object")]
    pub message: Message<'l>,
    /// Of a `progress` line: what a subagent was told or said, told again to its parent.
    #[serde(borrow, deserialize_with = "lenient::object")]
    pub data: Progress<'l>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Progress<'l> {
    #[serde(borrow)]
    pub message: Object<Inner<'l>>,
}

/// A line in a line.
#[derive(Default)]
pub struct Inner<'l>(pub Option<Box<Line<'l>>>);

impl<'de: 'l, 'l> Deserialize<'de> for Inner<'l> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Line::deserialize(deserializer).map(|line| Self(Some(Box::new(line))))
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Decision<'l> {
    #[serde(borrow)]
    pub decision: Text<'l>,
    #[serde(borrow)]
    pub source: Text<'l>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Message<'l> {
    #[serde(borrow)]
    pub id: Text<'l>,
    #[serde(borrow)]
    pub model: Text<'l>,
    #[serde(borrow)]
    pub content: Content<'l>,
    #[serde(borrow)]
    pub usage: MaybeUsage<'l>,
}

/// `None` where a message has no usage: then it is no answer.
#[derive(Default)]
pub struct MaybeUsage<'l>(pub Option<RawUsage<'l>>);

impl<'de: 'l, 'l> Deserialize<'de> for MaybeUsage<'l> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default)]
        struct Present<'l>(Option<RawUsage<'l>>);
        impl<'de: 'l, 'l> Deserialize<'de> for Present<'l> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                RawUsage::deserialize(deserializer).map(|usage| Self(Some(usage)))
            }
        }
        Object::<Present<'l>>::deserialize(deserializer).map(|object| Self(object.0.0))
    }
}

/// What a message says, without what it says: blocks, and how a text begins.
#[derive(Default)]
pub struct Content<'l> {
    pub blocks: Vec<Block<'l>>,
    pub text: TextSeen,
}

/// Of the texts of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextSeen {
    /// In UTF-16 units, as Claude Code counts.
    pub length: i64,
    pub begins: Begins,
}

/// What a text of a user's message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Begins {
    /// There is none.
    #[default]
    Nothing,
    /// Somebody typed it.
    Plain,
    /// `/name`, as Claude Code notes it.
    Command,
    /// Output of a command, a notice, an interruption: nobody typed it.
    Machine,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Block<'l> {
    #[serde(rename = "type", borrow)]
    pub kind: Text<'l>,
    #[serde(borrow)]
    pub id: Text<'l>,
    #[serde(borrow)]
    pub name: Text<'l>,
    #[serde(borrow)]
    pub tool_use_id: Text<'l>,
    pub is_error: Flag,
    #[serde(deserialize_with = "seen")]
    text: TextSeen,
}

impl<'de: 'l, 'l> Deserialize<'de> for Content<'l> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ContentVisitor;
        impl<'l> Visitor<'l> for ContentVisitor {
            type Value = Content<'l>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("any value")
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Content { blocks: Vec::new(), text: look_at(text) })
            }
            fn visit_seq<A: SeqAccess<'l>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut content = Content::default();
                while let Some(Object(block)) = list.next_element::<Object<Block<'l>>>()? {
                    content.text.length += block.text.length;
                    if content.text.begins == Begins::Nothing {
                        content.text.begins = block.text.begins;
                    }
                    content.blocks.push(block);
                }
                Ok(content)
            }
            fn visit_map<A: MapAccess<'l>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Content::default())
            }
            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Content::default())
            }
            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Content::default())
            }
            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Content::default())
            }
            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Content::default())
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Content::default())
            }
        }
        deserializer.deserialize_any(ContentVisitor)
    }
}

fn seen<'l, D: Deserializer<'l>>(deserializer: D) -> Result<TextSeen, D::Error> {
    Ok(Text::deserialize(deserializer)?.as_str().map(look_at).unwrap_or_default())
}

/// How texts begin that Claude Code itself puts into a user's mouth.
const MACHINE: [&str; 8] = [
    "<local-command-",
    "<system-reminder>",
    "<task-notification>",
    "<bash-stdout>",
    "<bash-stderr>",
    "<user-memory-input>",
    "[Request interrupted",
    "Caveat: The messages below were generated",
];
const COMMAND: [&str; 2] = ["<command-name>", "<command-message>"];

fn look_at(text: &str) -> TextSeen {
    let units = if text.is_ascii() { text.len() } else { text.encode_utf16().count() };
    let start = text.trim_start();
    let begins = |with: &[&str]| with.iter().any(|with| start.starts_with(with));
    TextSeen {
        length: i64::try_from(units).unwrap_or(i64::MAX),
        begins: if start.is_empty() {
            Begins::Nothing
        } else if begins(&COMMAND) {
            Begins::Command
        } else if begins(&MACHINE) {
            Begins::Machine
        } else {
            Begins::Plain
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line<'_> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_has_another_type_is_absent_and_the_rest_counts() {
        let odd = line(
            r#"{"type":"assistant","uuid":7,"sessionId":"s","message":{"id":"m","model":["x"],
               "usage":{"input_tokens":5.0,"output_tokens":"9","cache_creation":null,
               "server_tool_use":[1],"speed":{"a":1},"iterations":"none"},"content":{"a":1}},
               "isSidechain":"yes","permissionDecision":3,"costUSD":"0.1","new":{"deep":[1,{"x":2}]}}"#,
        );
        assert_eq!(odd.uuid.as_str(), None);
        assert_eq!(odd.session_id.as_str(), Some("s"));
        assert!(!odd.is_sidechain.0 && odd.cost_usd.0.is_none());
        let usage = odd.message.usage.0.unwrap().read();
        assert_eq!((usage.total.input, usage.total.output), (5, 0));
        assert_eq!(line(r#"{"message":"x","type":null}"#).message.id.as_str(), None);
        assert!(line(r#"{"message":{"usage":null}}"#).message.usage.0.is_none());
    }

    #[test]
    fn only_what_was_typed_begins_plainly() {
        let begins = |content: &str| {
            line(&format!(r#"{{"message":{{"content":{content}}}}}"#)).message.content.text.begins
        };
        assert_eq!(begins(r#""hello""#), Begins::Plain);
        assert_eq!(begins(r#"[{"type":"text","text":"hello"}]"#), Begins::Plain);
        assert_eq!(begins(r#""<command-name>/clear</command-name>""#), Begins::Command);
        assert_eq!(begins(r#""<local-command-stdout></local-command-stdout>""#), Begins::Machine);
        assert_eq!(begins(r#""[Request interrupted by user]""#), Begins::Machine);
        assert_eq!(begins(r#"[{"type":"tool_result","tool_use_id":"t"}]"#), Begins::Nothing);
    }

    #[test]
    fn lengths_are_those_of_claude_code() {
        let text = line(r#"{"message":{"content":[{"text":"h\u00e9"},{"text":"😀"}]}}"#);
        assert_eq!(text.message.content.text.length, 4);
    }
}
