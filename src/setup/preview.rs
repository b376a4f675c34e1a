//! A change, shown: the lines that go, and the lines that come, with one line around them.

/// Lines of a preview; more are counted.
const LINES_MAX: usize = 60;

/// `before` is `None` where a file is made.
pub fn difference(before: Option<&str>, after: &str) -> Vec<String> {
    let old: Vec<&str> = before.unwrap_or_default().lines().collect();
    let new: Vec<&str> = after.lines().collect();
    let top = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let rest = old.len().min(new.len()) - top;
    let end = old.iter().rev().zip(new.iter().rev()).take(rest);
    let bottom = end.take_while(|(old, new)| old == new).count();
    let mut shown = Vec::new();
    shown.extend(top.checked_sub(1).map(|line| format!("    {}", old[line])));
    shown.extend(old[top..old.len() - bottom].iter().map(|line| format!("  - {line}")));
    shown.extend(new[top..new.len() - bottom].iter().map(|line| format!("  + {line}")));
    shown.extend(new.get(new.len() - bottom).map(|line| format!("    {line}")));
    if shown.len() > LINES_MAX {
        let more = shown.len() - LINES_MAX;
        shown.truncate(LINES_MAX);
        shown.push(format!("    … and {more} more lines"));
    }
    shown.into_iter().map(|line| line.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_is_not_repeated() {
        let shown = difference(Some("{\n  \"a\": 1\n}\n"), "{\n  \"a\": 1,\n  \"b\": 2\n}\n");
        assert_eq!(
            shown,
            ["    {", "  -   \"a\": 1", "  +   \"a\": 1,", "  +   \"b\": 2", "    }"]
        );
        assert_eq!(difference(None, "a\n\nb\n"), ["  + a", "  +", "  + b"]);
        assert_eq!(difference(Some("x\ny\n"), "x\n"), ["    x", "  - y"]);
        assert_eq!(difference(Some("x\n"), "x\n\nours\n"), ["    x", "  +", "  + ours"]);
    }
}
