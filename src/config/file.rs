//! Reading small text files of the user's, with a bound, never following what could block.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::problem::Problem;

/// The text of `file`; `None` if there is none. A FIFO or a device is refused before it is opened,
/// so that nothing can hang a launch.
pub fn read_text(file: &Path, bytes_max: u64) -> Result<Option<String>, Problem> {
    let metadata = match std::fs::metadata(file) {
        Ok(metadata) => metadata,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(unreadable(file, &error)),
    };
    if !metadata.is_file() {
        return Err(Problem::error(file, "not a regular file", "make it one, or remove it"));
    }
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|opened| opened.take(bytes_max + 1).read_to_end(&mut bytes))
        .map_err(|error| unreadable(file, &error))?;
    if bytes.len() as u64 > bytes_max {
        let what = format!("larger than {} KiB", bytes_max / 1024);
        return Err(Problem::error(file, what, "make it smaller"));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| Problem::error(file, "not UTF-8", "save it as UTF-8"))?;
    Ok(Some(text))
}

/// No such file, or something on the way to it is not a directory.
pub fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

fn unreadable(file: &Path, error: &std::io::Error) -> Problem {
    Problem::error(file, format!("cannot be read: {error}"), "check its permissions")
}
