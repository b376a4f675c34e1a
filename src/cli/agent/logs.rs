//! `ccotel agent logs`: the end of the log, and what is added to it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::mpsc::sync_channel;

use anyhow::Context;
use notify::{RecursiveMode, Watcher};

use crate::agent::log::rotated;
use crate::cli::say;
use crate::exit::Exit;
use crate::paths::Paths;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ccotel agent logs -n 20      the last lines
  ccotel agent logs --follow   and what is added")]
pub struct Args {
    /// How many lines
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100, value_parser = whole_number)]
    pub lines: usize,
    /// Go on printing what is added, until Ctrl-C
    #[arg(short, long)]
    pub follow: bool,
}

fn whole_number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("`{text}` is not a whole number"))
}

pub fn run(paths: &Paths, args: &Args) -> anyhow::Result<Exit> {
    let log = paths.agent_log();
    // Watched before it is read: nothing that is added in between is missed.
    let (sender, events) = sync_channel(1);
    let mut watcher = notify::recommended_watcher(move |_| {
        let _ = sender.try_send(());
    })?;
    let current = match File::open(&log) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            say("ccotel: there is no log yet; the agent has never run here");
            return Ok(Exit::Done);
        }
        Err(error) => {
            let why = crate::agent::files::words(&error);
            anyhow::bail!("cannot read {}: {why}", log.display());
        }
    };
    if args.follow {
        watcher
            .watch(&paths.data_dir, RecursiveMode::NonRecursive)
            .with_context(|| format!("cannot watch {}", paths.data_dir.display()))?;
    }
    let mut current = BufReader::new(current);
    let mut last = VecDeque::new();
    if let Ok(before) = File::open(rotated(&log)) {
        keep_last(&mut BufReader::new(before), args.lines, &mut last)?;
    }
    keep_last(&mut current, args.lines, &mut last)?;
    let mut out = std::io::stdout().lock();
    for line in last {
        if out.write_all(&line).is_err() {
            return Ok(Exit::Done);
        }
    }
    while args.follow && out.flush().is_ok() && events.recv().is_ok() {
        if print_added(&mut current, &log, &mut out).is_err() {
            break;
        }
    }
    Ok(Exit::Done)
}

fn keep_last(
    file: &mut impl BufRead,
    count: usize,
    last: &mut VecDeque<Vec<u8>>,
) -> std::io::Result<()> {
    loop {
        let mut line = Vec::new();
        if file.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        last.push_back(line);
        if last.len() > count {
            last.pop_front();
        }
    }
}

/// What was added, also when the file was replaced by a new one meanwhile.
fn print_added(
    current: &mut BufReader<File>,
    path: &Path,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let mut added = Vec::new();
    current.read_to_end(&mut added)?;
    let same = |next: &File| {
        Ok::<_, std::io::Error>(next.metadata()?.ino() == current.get_ref().metadata()?.ino())
    };
    if let Ok(next) = File::open(path)
        && !same(&next)?
    {
        *current = BufReader::new(next);
        current.read_to_end(&mut added)?;
    }
    out.write_all(&added)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_come_from_both_files() {
        let mut last = VecDeque::new();
        keep_last(&mut &b"1\n2\n3\n"[..], 3, &mut last).unwrap();
        keep_last(&mut &b"4\n"[..], 3, &mut last).unwrap();
        assert_eq!(last, [b"2\n", b"3\n", b"4\n"]);
    }

    #[test]
    fn following_goes_over_a_rotation() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("agent.log");
        std::fs::write(&path, "a\n").unwrap();
        let mut current = BufReader::new(File::open(&path).unwrap());
        std::fs::rename(&path, rotated(&path)).unwrap();
        std::fs::write(&path, "b\n").unwrap();
        let mut out = Vec::new();
        print_added(&mut current, &path, &mut out).unwrap();
        assert_eq!(out, b"a\nb\n");
    }
}
