//! A marked block of lines at the end of somebody's file.
//!
//! ```text
//! # >>> ccotel >>> (written by `ccotel setup`; `ccotel uninstall` takes it out)
//! …
//! # <<< ccotel <<<
//! ```

const BEGIN: &str = "# >>> ccotel >>>";
const END: &str = "# <<< ccotel <<<";
const WHY: &str = " (written by `ccotel setup`; `ccotel uninstall` takes it out)";

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

/// The text without what was put in, whatever has become of the rest.
pub fn take_out(text: &str, inserted: &str) -> String {
    let block = inserted.trim_start_matches('\n');
    let gap = &inserted[..inserted.len() - block.len()];
    let Some(found) = text.find(block).map(|at| at..at + block.len()).or_else(|| marked(text))
    else {
        return text.to_owned();
    };
    let (before, after) = (&text[..found.start], &text[found.end..]);
    let before = match before.strip_suffix(gap) {
        // The line above had no end of its own; it needs one if there is a line below now.
        Some(trimmed) if gap.len() == 2 && !after.is_empty() => &before[..=trimmed.len()],
        Some(trimmed) => trimmed,
        None => before,
    };
    format!("{before}{after}")
}

/// The lines from the first mark to the last: somebody wrote between them.
fn marked(text: &str) -> Option<std::ops::Range<usize>> {
    let begin = text.find(BEGIN)?;
    let end = begin + text[begin..].find(END)?;
    let end = text[end..].find('\n').map_or(text.len(), |newline| end + newline + 1);
    Some(begin..end)
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
    fn what_was_written_between_the_marks_goes_with_them() {
        let (text, inserted) = insert("A=1\n", "ours\n");
        let edited = text.replace("ours", "ours, and theirs");
        assert_eq!(take_out(&edited, &inserted), "A=1\n");
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
