//! The path of this binary that still leads to it after an upgrade: it goes into startup files, links
//! and units.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Of this process.
pub fn lasting() -> std::io::Result<PathBuf> {
    let own = crate::agent::spawn::own_exe()?;
    Ok(lasting_path(&own, std::env::var_os("PATH").as_deref()))
}

/// As it is found on PATH; else Homebrew's link to whichever version is installed; else as it is.
fn lasting_path(own: &Path, path: Option<&OsStr>) -> PathBuf {
    let identity = |path: &Path| path.metadata().ok().map(|it| (it.dev(), it.ino()));
    let is_own =
        |candidate: &PathBuf| candidate.is_absolute() && identity(candidate) == identity(own);
    let on_path = std::env::split_paths(path.unwrap_or_default()).map(|dir| dir.join("ccotel"));
    on_path.chain(homebrew_link(own)).find(is_own).unwrap_or_else(|| own.to_path_buf())
}

/// `/opt/homebrew/Cellar/ccotel/1.2.3/bin/ccotel` → `/opt/homebrew/opt/ccotel/bin/ccotel`.
fn homebrew_link(own: &Path) -> Option<PathBuf> {
    let cellar = own.ancestors().find(|part| part.file_name() == Some(OsStr::new("Cellar")))?;
    let mut below = own.strip_prefix(cellar).ok()?.components();
    let (Some(Component::Normal(formula)), Some(_version)) = (below.next(), below.next()) else {
        return None;
    };
    Some(cellar.parent()?.join("opt").join(formula).join(below.as_path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_that_the_next_version_will_have() {
        let root = tempfile::tempdir().unwrap();
        let at = |below: &str| root.path().join(below);
        let own = at("Cellar/ccotel/0.1.0/bin/ccotel");
        std::fs::create_dir_all(own.parent().unwrap()).unwrap();
        std::fs::write(&own, "").unwrap();
        let found = |path: &Path| lasting_path(&own, Some(path.as_os_str()));
        assert_eq!(found(&at("elsewhere")), own);
        std::fs::create_dir_all(at("opt")).unwrap();
        std::os::unix::fs::symlink("../Cellar/ccotel/0.1.0", at("opt/ccotel")).unwrap();
        assert_eq!(found(&at("elsewhere")), at("opt/ccotel/bin/ccotel"));
        std::fs::create_dir_all(at("bin")).unwrap();
        std::os::unix::fs::symlink("../opt/ccotel/bin/ccotel", at("bin/ccotel")).unwrap();
        assert_eq!(found(&at("bin")), at("bin/ccotel"));
    }
}
