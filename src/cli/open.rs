//! `ccotel open`: the local page, in the browser.
//!
//! The browser is given a file, not an address: other users can read arguments, and the address holds
//! the token. The file is the user's alone, and leads to the page.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

use super::say;
use crate::agent::control::{self, Answer, ControlError, Request};
use crate::agent::{files, manage, worker};
use crate::exit::Exit;
use crate::page::Page;
use crate::paths::Paths;

/// How long the opener is watched for a failure; some stay as long as the browser does.
const OPENER_WAIT: Duration = Duration::from_secs(3);
const OPENER_POLL: Duration = Duration::from_millis(20);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ccotel open                in the browser
  ccotel open --no-browser   the file that leads there

The page is served by the agent on this machine, for you alone: it listens on loopback, and asks for a \
token that only a file of yours holds. That file leads the browser to it; it works until the agent is \
replaced.")]
pub struct Args {
    /// Print the file that leads to the page, and open nothing
    #[arg(long)]
    pub no_browser: bool,
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let paths = Paths::from_env()?;
    let page = page(&paths)?;
    let file = write_redirect(&paths, &page)?;
    if args.no_browser {
        say(&file.display().to_string());
    } else {
        browse(&file)?;
    }
    Ok(Exit::Done)
}

/// The file that leads to the page, for the user alone.
pub(super) fn write_redirect(paths: &Paths, page: &Page) -> anyhow::Result<PathBuf> {
    let file = paths.page_file();
    files::private_dir(&paths.runtime_dir)?;
    files::replace(&file, redirect(page).as_bytes())?;
    Ok(file)
}

/// Opens it where that can be done, and says so. Takes as long as the opener, up to some seconds.
pub(super) fn browse(file: &Path) -> anyhow::Result<()> {
    let Some(opener) = opener() else {
        say(&format!("ccotel: no browser can be started from here; open {}", file.display()));
        return Ok(());
    };
    open(&opener, file)?;
    say(&format!("ccotel: the page is open in your browser; if not, open {}", file.display()));
    Ok(())
}

/// The page of the agent that runs, or of one that is started.
fn page(paths: &Paths) -> anyhow::Result<Page> {
    let (config, _, warning) = worker::config_at_start(paths);
    if let Some(warning) = warning {
        eprintln!("ccotel: {}; {}", warning.what, warning.remedy);
    }
    if paths.stay_file().exists() {
        bail!(
            "the agent was stopped with `ccotel agent stop --stay`; `ccotel agent start` starts it"
        );
    }
    manage::start(paths, &config)?;
    match control::ask(paths, Request::Page) {
        Ok(Answer::Page { address, token }) => Ok(Page { address, token }),
        // An agent of before there was a page says that this is no request of its protocol.
        Ok(_) | Err(ControlError::Strange) => bail!(OLDER),
        Err(ControlError::Refused(what)) if what.contains("not a request") => bail!(OLDER),
        Err(error) => Err(error.into()),
    }
}

const OLDER: &str =
    "the agent that runs is an older one without a page; `ccotel agent restart` replaces it";

/// Nothing in the address needs to be escaped: numbers, dots and hexadecimal digits.
fn redirect(page: &Page) -> String {
    let url = page.url();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>ccotel</title>\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta http-equiv=\"refresh\" content=\"0; url={url}\">\n\
         <p><a href=\"{url}\">Open the page</a></p>\n</html>\n"
    )
}

/// What opens a file in the user's browser, where there can be one.
fn opener() -> Option<PathBuf> {
    let name = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let can_show = cfg!(target_os = "macos")
        || ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "WSL_DISTRO_NAME"].into_iter().any(is_set);
    let path = std::env::var_os("PATH").filter(|_| can_show)?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

fn open(opener: &Path, file: &Path) -> anyhow::Result<()> {
    let failed = |error: &io::Error| {
        let why = files::words(error);
        anyhow::anyhow!("cannot run {}: {why}; open {}", opener.display(), file.display())
    };
    let mut child = Command::new(opener)
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(&error))?;
    match ended(&mut child).map_err(|error| failed(&error))? {
        Some(status) if !status.success() => Err(anyhow::anyhow!("{status}")).with_context(|| {
            format!("{} found no browser; open {}", opener.display(), file.display())
        }),
        _ => Ok(()),
    }
}

/// How it ended, if it did while it was watched.
fn ended(child: &mut Child) -> io::Result<Option<ExitStatus>> {
    let begun = std::time::Instant::now();
    while begun.elapsed() < OPENER_WAIT {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(OPENER_POLL);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_leads_to_the_page_and_sends_no_referrer() {
        let page = Page { address: "127.0.0.1:4711".parse().unwrap(), token: "ab".repeat(16) };
        let file = redirect(&page);
        let url = format!("http://127.0.0.1:4711/#token={}", "ab".repeat(16));
        assert_eq!(file.matches(&url).count(), 2, "{file}");
        assert!(file.contains("no-referrer"), "{file}");
    }
}
