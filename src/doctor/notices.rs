//! What the agent and the launches have to say of themselves, and whether the clock was set back.

use jiff::Timestamp;

use super::check::Check;
use super::remedy::{of_ours, ours};
use crate::agent::status::{Status, Warning};
use crate::launch::problems::{self, Scope};
use crate::paths::Paths;
use crate::report::history::reader::{History, HistoryFile, Imported};
use crate::store::AHEAD_MS_MAX;

/// What is recorded is stamped by the same clock.
const AHEAD_SECONDS_MAX: i64 = 60;

/// Whether what was recorded can be read, and whether its times can be right.
pub fn history(paths: &Paths) -> [Check; 2] {
    let name = "history";
    let newest_ms = History::open(paths, Imported::Exclude).and_then(|history| {
        let file = history.as_ref().and_then(|history| history.files().first());
        file.map(HistoryFile::newest_ms).transpose()
    });
    match newest_ms {
        Ok(None) => [
            Check::ok(name, "nothing is recorded yet"),
            Check::ok("clock", "nothing is recorded yet that it could contradict"),
        ],
        Ok(Some(newest_ms)) => [Check::ok(name, "what was recorded can be read"), clock(newest_ms)],
        Err(error) => {
            let words = error.to_string();
            let (why, remedy) = words.split_once("; ").unwrap_or((&words, "read what it says"));
            let check = Check::failed(name, why).by_hand(remedy).maybe_remedy(command_in(remedy));
            [check, Check::not_checked("clock", "the history cannot be read")]
        }
    }
}

/// No time can be later than now, unless a clock was set back since.
fn clock(newest_ms: i64) -> Check {
    let name = "clock";
    let ahead_s = (newest_ms - Timestamp::now().as_millisecond()) / 1000;
    if ahead_s <= AHEAD_SECONDS_MAX {
        return Check::ok(name, "nothing recorded is later than now");
    }
    let why = format!(
        "what was recorded last lies {ahead_s} s ahead of this machine's clock: it was set back"
    );
    let check = if ahead_s * 1000 >= AHEAD_MS_MAX {
        Check::failed(name, why)
    } else {
        Check::warning(name, why)
    };
    check.by_hand(
        "see that the clock is right (`date`); if it is, new series begin by themselves, and this \
         passes with the time",
    )
}

/// What the agent says is wrong, but for what is looked at here by itself.
pub fn check(paths: &Paths, status: &Status) -> Check {
    let name = "notices";
    let gone = format!("{} is gone", paths.config_file().display());
    let others = ["the configuration is invalid", &gone, "`[agent] listen`"];
    let of_others = |it: &&Warning| others.iter().any(|other| it.what.starts_with(other));
    let warnings: Vec<&Warning> = status.warnings.iter().filter(|it| !of_others(it)).collect();
    let Some(first) = warnings.first() else {
        return Check::ok(name, "the agent has nothing to complain of");
    };
    let line =
        |it: &&Warning| format!("{}; {}", it.what, it.remedy).trim_end_matches("; ").to_owned();
    let check = Check::warning(name, &first.what);
    // What died is past: with a new agent it is not spoken of any more.
    let died = first.what.starts_with("the worker ended").then(|| ours("agent restart"));
    let check = check.maybe_remedy(command_in(&first.remedy).or(died));
    let words = Some(first.remedy.as_str()).filter(|words| !words.is_empty());
    let check = check.by_hand(words.unwrap_or("nothing, if it is past: it is shown for a week"));
    check.all_of(warnings.iter().map(line))
}

/// The command of ours that a sentence names.
fn command_in(words: &str) -> Option<String> {
    let mut quoted = words.split('`').skip(1).step_by(2);
    let told = |it: &&str| it.starts_with("ccotel ") && it.chars().all(|c| !c.is_ascii_uppercase());
    let command = quoted.find(told)?;
    let acts = ["agent restart", "agent start"];
    acts.iter().any(|act| command.ends_with(act)).then(|| of_ours(command))
}

/// What went wrong at launches and stays happened; what can be looked at again is looked at.
pub fn launches(paths: &Paths) -> Check {
    let name = "launches";
    let recent = problems::recent(paths);
    let of_launches: Vec<_> = recent.iter().filter(|it| it.scope == Scope::Launch).collect();
    let Some(last) = of_launches.last() else {
        return Check::ok(name, "nothing went wrong at a launch within two weeks");
    };
    let at = last.at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string();
    let why = format!("a launch at {at}: {}", last.what);
    Check::warning(name, why)
        .by_hand(format!("{}; then it is past, and this goes by itself", last.remedy))
        .remedy(format!("rm {}", super::remedy::quoted(&paths.problems_file())))
        .all_of(of_launches.iter().map(|it| format!("{}; {}", it.what, it.remedy)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_that_names_a_command_gives_one() {
        let of = |words: &str| command_in(words).map(|it| it.ends_with("agent restart"));
        assert_eq!(of("nothing is lost; `ccotel agent restart` opens it again"), Some(true));
        assert_eq!(of("update Claude Code, with `ccotel tags`"), None);
        assert_eq!(of(""), None);
    }
}
