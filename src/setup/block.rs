//! A marked block of lines at the end of somebody's file.
//!
//! ```text
//! # >>> ccotel >>> (written by `ccotel setup`; `ccotel uninstall` takes it out)
//! …
//! # <<< ccotel <<<
//! ```

use std::ops::Range;

const BEGIN: &str = "# >>> ccotel >>>";
const END: &str = "# <<< ccotel <<<";
const WHY: &str = " (written by `ccotel setup`; `ccotel uninstall` takes it out)";

/// Shorter lines (`fi`, `end`, `esac`) are anybody's.
const TELLING_BYTES_MIN: usize = 5;

/// The text with the block at its end, and what exactly was put in.
pub fn insert(text: &str, lines: &str) -> (String, String) {
    let gap = match text {
        "" => "",
        text if text.ends_with("\n\n") => "",
        text if text.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    let inserted = format!("{gap}{}", of(lines));
    (format!("{text}{inserted}"), inserted)
}

/// The block itself.
pub fn of(lines: &str) -> String {
    format!("{BEGIN}{WHY}\n{lines}{END}\n")
}

/// The text without what was put in, whatever has become of the rest: every copy of the block, one
/// that somebody wrote into, and our lines where a mark is gone or damaged.
pub fn take_out(text: &str, inserted: &str) -> String {
    let block = inserted.trim_start_matches('\n');
    let gap = &inserted[..inserted.len() - block.len()];
    let mut text = text.to_owned();
    while let Some(at) = text.find(block) {
        text = without(&text, at..at + block.len(), gap);
    }
    while let Some(found) = marked(&text) {
        let kept = beside(&text[found.clone()], lines_of(block));
        let end = found.start + kept.len();
        text.replace_range(found.clone(), &kept);
        text = without(&text, end..end, if kept.is_empty() { gap } else { "" });
    }
    if remains(&text, inserted).is_empty() { text } else { without_lone_lines(&text, inserted) }
}

/// The numbers of the lines that are still ours: nobody can tell where they end.
pub fn remains(text: &str, inserted: &str) -> Vec<usize> {
    let ours: Vec<_> = lines_of(inserted.trim_start_matches('\n'))
        .lines()
        .map(str::trim)
        .filter(|line| line.len() >= TELLING_BYTES_MIN)
        .collect();
    let is_ours = |line: &str| is_mark(line) || ours.contains(&line.trim());
    let numbered = text.lines().enumerate().filter(|(_, line)| is_ours(line));
    numbered.map(|(index, _)| index + 1).collect()
}

/// What taking out has lost that was not ours: lines written into ours, between the marks.
pub fn lost(before: &str, after: &str, inserted: &str) -> Vec<String> {
    let ours: Vec<_> = inserted.lines().collect();
    let kept: Vec<_> = after.lines().collect();
    let is_lost = |line: &&str| {
        !line.trim().is_empty() && !is_mark(line) && !ours.contains(line) && !kept.contains(line)
    };
    before.lines().filter(is_lost).map(str::to_owned).collect()
}

/// The text without a range, and without the gap that was put in above it.
fn without(text: &str, range: Range<usize>, gap: &str) -> String {
    let (before, after) = (&text[..range.start], &text[range.end..]);
    let before = match before.strip_suffix(gap) {
        // The line above had no end of its own; it needs one if there is a line below now.
        Some(trimmed) if gap.len() == 2 && !after.is_empty() => &before[..=trimmed.len()],
        Some(trimmed) => trimmed,
        None => before,
    };
    format!("{before}{after}")
}

/// The lines from one mark to the other: somebody wrote between them.
fn marked(text: &str) -> Option<Range<usize>> {
    let mut begin = None;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        if line.starts_with(BEGIN) {
            begin = Some(start);
        } else if line.starts_with(END)
            && let Some(begin) = begin
        {
            return Some(begin..end);
        }
        start = end;
    }
    None
}

/// What stands above or below our lines, between the marks; nothing where ours are changed.
fn beside(block: &str, lines: &str) -> String {
    let inner: String = block.split_inclusive('\n').filter(|line| !is_mark(line)).collect();
    match inner.split_once(lines) {
        Some((above, below)) => format!("{above}{below}"),
        None => String::new(),
    }
}

/// Our lines without their marks, and marks without our lines.
fn without_lone_lines(text: &str, inserted: &str) -> String {
    let lines = lines_of(inserted.trim_start_matches('\n'));
    let rest = if lines.is_empty() { text.to_owned() } else { text.replace(lines, "") };
    let bare: String = rest.split_inclusive('\n').filter(|line| !is_mark(line)).collect();
    // Marks stay with lines of ours that were changed, to be seen.
    if remains(&bare, inserted).is_empty() { bare } else { rest }
}

/// Our lines of a block, without the marks.
fn lines_of(block: &str) -> &str {
    let lines = block.split_once('\n').map_or("", |(_, rest)| rest);
    lines.rfind(END).map_or(lines, |end| &lines[..end])
}

/// A mark, whole or damaged.
fn is_mark(line: &str) -> bool {
    let parts = ["ccotel >>>", ">>> ccotel", "ccotel <<<", "<<< ccotel", WHY.trim()];
    line.trim_start().starts_with('#') && parts.iter().any(|part| line.contains(part))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn later_lines_stay_on_lines_of_their_own() {
        let (text, inserted) = insert("A=1", "ours\n");
        assert_eq!(take_out(&format!("{text}B=2\n"), &inserted), "A=1\nB=2\n");
        assert_eq!(take_out(&text, &inserted), "A=1");
    }

    #[test]
    fn what_was_written_into_our_lines_goes_with_them_and_beside_them_stays() {
        let (text, inserted) = insert("A=1\n", "ours 1\nfi\n");
        let edited = text.replace("ours 1\n", "ours 1\n  theirs\n");
        assert_eq!(take_out(&edited, &inserted), "A=1\n");
        assert_eq!(lost(&edited, "A=1\n", &inserted), ["  theirs"]);
        let beside = text.replace("fi\n", "fi\nB=2\n");
        assert_eq!(take_out(&beside, &inserted), "A=1\n\nB=2\n");
        assert!(lost(&beside, "A=1\n\nB=2\n", &inserted).is_empty());
    }

    #[test]
    fn a_block_is_known_without_its_marks_and_more_than_once() {
        let (text, inserted) = insert("A=1\n", "ours 1\nfi\n");
        let begin = format!("{BEGIN}{WHY}\n");
        let end = format!("{END}\n");
        for (from, to) in
            [(&begin, ""), (&end, ""), (&begin, "# >>> ccotel\n"), (&end, "#<<< ccotel\n")]
        {
            let damaged = text.replace(from.as_str(), to) + "B=2\n";
            let rest = take_out(&damaged, &inserted);
            assert_eq!(rest.replace("\n\n", "\n"), "A=1\nB=2\n", "{damaged}");
        }
        let twice = format!("{text}{inserted}B=2\n");
        assert_eq!(take_out(&twice, &inserted), "A=1\nB=2\n");
        // Where our lines are changed and a mark is gone, nobody knows their end.
        let unclear = text.replace(&end, "").replace("fi\n", "B=2\n");
        assert_eq!(take_out(&unclear, &inserted), unclear);
        assert_eq!(remains(&unclear, &inserted), [3, 4]);
    }

    proptest! {
        #[test]
        fn putting_in_and_taking_out_changes_nothing(before in "[a\n]{0,8}", top in "[b\n]{0,4}", below in "(c[c\n]{0,4}\n)?") {
            let (text, inserted) = insert(&before, "ours\n");
            prop_assert_eq!(take_out(&text, &inserted), before.clone());
            let edited = format!("{top}{text}{below}");
            let kept = take_out(&edited, &inserted);
            prop_assert!(!kept.contains("ours") && !kept.contains("ccotel"));
            let letters = |text: &str| text.replace('\n', "");
            prop_assert_eq!(letters(&kept), letters(&format!("{top}{before}{below}")));
        }
    }
}
