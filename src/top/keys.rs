//! What was typed: bytes of a terminal in raw mode become keys.
//!
//! ```text
//! q  ^C  ⏎            one byte, or one letter of UTF-8
//! ESC [ … A…~         CSI: arrows, Home, End, pages; others are passed over
//! ESC O A             SS3: the same, from a terminal in application mode
//! ESC                 alone: the key itself
//! ```
//!
//! A sequence may arrive in pieces over a slow line: what may still become one waits for its rest
//! until [`Keys::is_waiting`]'s caller has seen nothing for a moment and calls [`Keys::settle`].

/// Longest sequence that is waited for; none that terminals send for keys is near it.
const SEQUENCE_BYTES_MAX: usize = 32;

const ESCAPE: u8 = 0x1b;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Letter(char),
    /// With the letter, in lower case.
    Ctrl(char),
    Enter,
    Escape,
    Backspace,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
}

/// The bytes that are not keys yet.
#[derive(Debug, Default)]
pub struct Keys(Vec<u8>);

/// How the bytes in front read.
enum Front {
    Key(Option<Key>, usize),
    Unfinished,
}

impl Keys {
    /// Takes in bytes as they were read, and returns the keys that are complete.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Key> {
        self.0.extend_from_slice(bytes);
        let mut keys = Vec::new();
        while !self.0.is_empty() {
            match front(&self.0) {
                Front::Key(key, length) => {
                    keys.extend(key);
                    self.0.drain(..length);
                }
                Front::Unfinished if self.0.len() > SEQUENCE_BYTES_MAX => self.0.clear(),
                Front::Unfinished => break,
            }
        }
        keys
    }

    /// Whether there are bytes that more bytes may make a key of.
    pub fn is_waiting(&self) -> bool {
        !self.0.is_empty()
    }

    /// Nothing followed: an escape by itself is the key, anything else was a torn sequence.
    pub fn settle(&mut self) -> Option<Key> {
        let alone = self.0 == [ESCAPE];
        self.0.clear();
        alone.then_some(Key::Escape)
    }
}

fn front(bytes: &[u8]) -> Front {
    match bytes {
        [ESCAPE] | [ESCAPE, b'O'] => Front::Unfinished,
        [ESCAPE, b'[', rest @ ..] => sequence(rest),
        [ESCAPE, b'O', last, ..] => Front::Key(named(&[], *last), 3),
        // Twice: the first one was meant by itself. Another letter: Alt, which means nothing here.
        [ESCAPE, ESCAPE, ..] => Front::Key(Some(Key::Escape), 1),
        [ESCAPE, _, ..] => Front::Key(None, 2),
        [b'\r' | b'\n', ..] => Front::Key(Some(Key::Enter), 1),
        [0x7f | 0x08, ..] => Front::Key(Some(Key::Backspace), 1),
        [control @ 0x01..=0x1a, ..] => {
            Front::Key(Some(Key::Ctrl(char::from(control - 1 + b'a'))), 1)
        }
        [0x00..=0x1f, ..] => Front::Key(None, 1),
        _ => letter(bytes),
    }
}

/// After `ESC [`: parameters, and the byte that ends it.
fn sequence(rest: &[u8]) -> Front {
    let Some(end) = rest.iter().position(|byte| matches!(byte, 0x40..=0x7e)) else {
        return Front::Unfinished;
    };
    Front::Key(named(&rest[..end], rest[end]), 2 + end + 1)
}

fn named(parameters: &[u8], last: u8) -> Option<Key> {
    Some(match (parameters, last) {
        (_, b'A') => Key::Up,
        (_, b'B') => Key::Down,
        (_, b'C') => Key::Right,
        (_, b'D') => Key::Left,
        (_, b'H') | (b"1" | b"7", b'~') => Key::Home,
        (_, b'F') | (b"4" | b"8", b'~') => Key::End,
        (b"5", b'~') => Key::PageUp,
        (b"6", b'~') => Key::PageDown,
        (_, b'M') if parameters.is_empty() => Key::Enter,
        _ => return None,
    })
}

fn letter(bytes: &[u8]) -> Front {
    let length = match bytes[0] {
        0x00..=0x7f => 1,
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => return Front::Key(None, 1),
    };
    let Some(letter) = bytes.get(..length) else { return Front::Unfinished };
    match std::str::from_utf8(letter).ok().and_then(|text| text.chars().next()) {
        Some(letter) => Front::Key(Some(Key::Letter(letter)), length),
        None => Front::Key(None, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut keys = Keys::default();
        let mut found = keys.take(bytes);
        found.extend(keys.settle());
        found
    }

    #[test]
    fn letters_and_controls_are_keys() {
        assert_eq!(keys(b"q\x03\r"), [Key::Letter('q'), Key::Ctrl('c'), Key::Enter]);
        assert_eq!(keys("é€".as_bytes()), [Key::Letter('é'), Key::Letter('€')]);
        assert_eq!(keys(b"\x7f\x1b"), [Key::Backspace, Key::Escape]);
    }

    #[test]
    fn sequences_are_one_key_in_every_dialect() {
        assert_eq!(keys(b"\x1b[A\x1bOB"), [Key::Up, Key::Down]);
        assert_eq!(
            keys(b"\x1b[1~\x1b[F\x1b[5~\x1b[6~"),
            [Key::Home, Key::End, Key::PageUp, Key::PageDown]
        );
        assert_eq!(keys(b"\x1b[1;5A"), [Key::Up], "with Ctrl it is still the arrow");
    }

    #[test]
    fn a_sequence_in_pieces_is_waited_for() {
        let mut keys = Keys::default();
        assert_eq!(keys.take(b"\x1b"), []);
        assert!(keys.is_waiting());
        assert_eq!(keys.take(b"["), []);
        assert_eq!(keys.take(b"Bq"), [Key::Down, Key::Letter('q')]);
        assert!(!keys.is_waiting());
        assert_eq!(keys.take(&"é".as_bytes()[..1]), []);
        assert_eq!(keys.take(&"é".as_bytes()[1..]), [Key::Letter('é')]);
    }

    #[test]
    fn what_is_no_key_is_passed_over() {
        // The mouse, a paste, F5, Alt-x, bytes that are no UTF-8, and sequences cut off.
        assert_eq!(keys(b"\x1b[<0;3;4Mj"), [Key::Letter('j')]);
        assert_eq!(keys(b"\x1b[200~j\x1b[201~"), [Key::Letter('j')]);
        assert_eq!(keys(b"\x1b[15~\x1bxj"), [Key::Letter('j')]);
        assert_eq!(keys(b"\xff\xc3j"), [Key::Letter('j')]);
        assert_eq!(keys(b"\x1b["), []);
        let mut endless = Keys::default();
        endless.take(b"\x1b[");
        endless.take(&[b'1'; 100]);
        assert_eq!(endless.take(b"j"), [Key::Letter('j')]);
    }

    #[test]
    fn any_bytes_end_without_a_panic() {
        for first in 0..=255_u8 {
            for second in 0..=255_u8 {
                keys(&[first, second, 0x1b, b'[', first, second]);
            }
        }
    }
}
