//! Claude Code's status line: ours, or ours behind the one that is there.
//!
//! It is seen in every session, so it is a matter of taste: set up where somebody at a terminal says
//! yes, or with `--with statusline`, and not by `--yes` alone. A status line that is there is never
//! replaced: ours runs it, shows what it prints, and adds a line.

use super::parts::is_on;
use super::steps::{Asking, Setup};
use super::{Args, Part};
use crate::cli::say_wrapped;
use crate::setup::claude;
use crate::setup::edit::Wanted;
use crate::setup::files::{self, SetupError};
use crate::setup::status_line::{self, StatusLine};

pub fn set_up(setup: &mut Setup<'_>, args: &Args) -> anyhow::Result<()> {
    let usual = setup.asking == Asking::Terminal && claude::directory(&setup.paths.home).is_dir();
    let asked = args.with.contains(&Part::Statusline);
    if !is_on(args, Part::Statusline, usual) || !(usual || asked) {
        return Ok(());
    }
    let file = claude::settings_file(&setup.paths.home);
    let real = files::real(&file);
    let text = files::read(&real)?.unwrap_or_default();
    let earlier = setup.journal.file(&real).map(|entry| entry.edit.keys().to_vec());
    let earlier = earlier.unwrap_or_default();
    let found = status_line::found(&text, &earlier, setup.program)
        .map_err(|error| SetupError::jsonc(&file, &error))?;
    let (keys, why) = match found {
        StatusLine::Ours => return Ok(()),
        StatusLine::Strange => {
            let file = setup.named(&file);
            say_wrapped(&format!(
                "\n{file}: statusLine is something that this ccotel does not know, and is left so"
            ));
            return Ok(());
        }
        StatusLine::None(keys) => (keys, status_line::LIMITS.to_owned()),
        StatusLine::Theirs(keys) => {
            let limits = status_line::LIMITS;
            (keys, format!("your status line stays and is run by ours, which {limits}"))
        }
    };
    let others = earlier.into_iter().filter(|it| !keys.iter().any(|key| key.path == it.path));
    let keys = others.chain(keys.iter().cloned()).collect();
    setup.file(&file, &Wanted::Keys(keys), &why)?;
    Ok(())
}
