//! What the binary carries, and writing it.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context, ensure};

use crate::agent::files;

/// Packed by build.rs.
const PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/stack.gz"));

/// What is the user's from its first writing on.
const KEPT: &str = "grafana/alerts/budgets.yaml";

/// Path below the stack's directory, and content.
pub fn all() -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut packed = Vec::new();
    flate2::read::GzDecoder::new(PACKED)
        .read_to_end(&mut packed)
        .context("this binary is damaged; install it again")?;
    let mut rest = packed.as_slice();
    let mut all = Vec::new();
    while !rest.is_empty() {
        let name = line(&mut rest)?;
        let length: usize = line(&mut rest)?.parse().context("a length in the packed stack")?;
        ensure!(length <= rest.len(), "this binary is damaged; install it again");
        let (content, after) = rest.split_at(length);
        let name = name.strip_prefix("stack/").unwrap_or(&name).to_owned();
        all.push((name, content.to_vec()));
        rest = after;
    }
    Ok(all)
}

fn line(rest: &mut &[u8]) -> anyhow::Result<String> {
    let end = rest.iter().position(|byte| *byte == b'\n').context("a line in the packed stack")?;
    let text = String::from_utf8(rest[..end].to_vec()).context("a line in the packed stack")?;
    *rest = &rest[end + 1..];
    Ok(text)
}

/// Writes what differs. Containers read most of it as users of their own, so it is for all to read;
/// the directory above is not.
pub fn write(directory: &Path) -> anyhow::Result<()> {
    for (name, content) in all()? {
        let path = directory.join(&name);
        if (name == KEPT && path.exists()) || std::fs::read(&path).is_ok_and(|has| has == content) {
            continue;
        }
        let folder = path.parent().unwrap_or(directory);
        std::fs::create_dir_all(folder).map_err(files::at("create", folder))?;
        std::fs::write(&path, &content).map_err(files::at("write", &path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_carries_the_repositorys_files() {
        let all = all().unwrap();
        let find = |name: &str| all.iter().find(|(other, _)| other == name).map(|(_, it)| &it[..]);
        assert_eq!(find("compose.yaml"), Some(&include_bytes!("../../stack/compose.yaml")[..]));
        assert!(find(".env.example").is_some());
        assert!(find("grafana/dashboards/claude-code-overview.json").is_some());
        assert!(find(KEPT).is_some());
        assert!(all.iter().all(|(name, _)| !name.contains("tests")), "tests stay at home");
    }

    #[test]
    fn what_the_user_changed_in_the_budgets_stays() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path()).unwrap();
        let budgets = directory.path().join(KEPT);
        let compose = directory.path().join("compose.yaml");
        std::fs::write(&budgets, "groups: []\n").unwrap();
        std::fs::write(&compose, "services: {}\n").unwrap();
        write(directory.path()).unwrap();
        assert_eq!(std::fs::read_to_string(&budgets).unwrap(), "groups: []\n");
        assert_ne!(std::fs::read_to_string(&compose).unwrap(), "services: {}\n");
    }
}
