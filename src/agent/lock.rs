//! The locks: `flock` through the standard library, held by a descriptor, freed by the kernel.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use super::files::{self, FileError, at};

/// Pause between two tries for a lock.
const RETRY_PAUSE: Duration = Duration::from_millis(2);

/// Whether somebody holds this lock. A shared lock is taken for an instant, so two probes at a time
/// never take each other for a holder.
pub fn is_held(path: &Path) -> Result<bool, FileError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(at("open", path)(error)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(at("lock", path)(error)),
    }
}

/// Takes the lock, or says who has it by `None`.
pub fn try_take(path: &Path) -> Result<Option<File>, FileError> {
    let file = files::open_private(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(at("lock", path)(error)),
    }
}

/// Takes the lock, waiting at most so long.
pub fn take(path: &Path, wait: Duration) -> Result<Option<File>, FileError> {
    wait_for(wait, || try_take(path))
}

/// Sleeps until nobody holds the lock; whoever asks again may find it taken anew.
pub fn wait_until_free(path: &Path) -> Result<(), FileError> {
    files::open_private(path)?.lock_shared().map_err(at("lock", path))
}

/// Asks until there is an answer or the time is over.
pub fn wait_for<T, E>(
    wait: Duration,
    mut ask: impl FnMut() -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    let deadline = Instant::now() + wait;
    loop {
        if let Some(answer) = ask()? {
            return Ok(Some(answer));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        std::thread::sleep(RETRY_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_see_a_holder_and_not_each_other() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("agent.lock");
        assert!(!is_held(&path).unwrap());
        let holder = try_take(&path).unwrap().unwrap();
        assert!(is_held(&path).unwrap());
        assert!(try_take(&path).unwrap().is_none());
        drop(holder);
        let probe = File::open(&path).unwrap();
        probe.try_lock_shared().unwrap();
        assert!(!is_held(&path).unwrap());
    }

    #[test]
    fn waiting_for_a_lock_is_bounded() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("start.lock");
        let _holder = try_take(&path).unwrap().unwrap();
        assert!(take(&path, Duration::from_millis(10)).unwrap().is_none());
    }
}
