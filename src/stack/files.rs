//! What the binary carries, and writing it.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::agent::files;

/// Packed by build.rs.
const PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/stack.gz"));

/// Modes of what containers mount: they read it as users of their own, whatever the umask is.
const FILE_MODE: u32 = 0o644;
const FOLDER_MODE: u32 = 0o755;

/// A variable, and what the service that has it in a label reads at its start alone. Compose makes a
/// service anew when its labels differ, and looks at no mounted file.
const READ_AT_START: [(&str, &[&str]); 5] = [
    ("PROMETHEUS_CONFIG_HASH", &["prometheus.yml", "grafana/alerts"]),
    ("LOKI_CONFIG_HASH", &["loki.yaml", "grafana/alerts/loki"]),
    (
        "GRAFANA_CONFIG_HASH",
        &[
            "provisioning/datasources",
            "provisioning/datasources-victoria",
            "provisioning/dashboards",
            "provisioning/dashboards-victoria",
        ],
    ),
    ("COLLECTOR_CONFIG_HASH", &["collector.yaml"]),
    ("SCRAPE_CONFIG_HASH", &["prometheus-scrape.yml", "scrape-targets.json"]),
];
/// Of a hash, in hexadecimal digits.
const HASH_DIGITS: usize = 16;

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

/// Writes what differs, for all to read; the directory above is the user's alone.
pub fn write(directory: &Path) -> anyhow::Result<()> {
    for (name, content) in all()? {
        let path = directory.join(&name);
        let folder = path.parent().unwrap_or(directory);
        std::fs::create_dir_all(folder).map_err(files::at("create", folder))?;
        let is_kept = name == KEPT && path.exists();
        if !is_kept && !std::fs::read(&path).is_ok_and(|has| has == content) {
            std::fs::write(&path, &content).map_err(files::at("write", &path))?;
        }
        set_mode(&path, FILE_MODE)?;
        for folder in folder.ancestors().take_while(|folder| *folder != directory) {
            set_mode(folder, FOLDER_MODE)?;
        }
    }
    Ok(())
}

fn set_mode(path: &Path, mode: u32) -> anyhow::Result<()> {
    let change = || {
        if std::fs::metadata(path)?.permissions().mode() & 0o777 == mode {
            return Ok(());
        }
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
    };
    Ok(change().map_err(files::at("set the permissions of", path))?)
}

/// Variables for `.env`, and what they are to be for the files as they are now.
pub fn hashes(directory: &Path) -> anyhow::Result<Vec<(&'static str, String)>> {
    let hash = |(variable, names): (&'static str, &[&str])| {
        let mut hasher = blake3::Hasher::new();
        for name in names {
            for path in files_of(&directory.join(name))? {
                let content = std::fs::read(&path).map_err(files::at("read", &path))?;
                hasher.update(path.as_os_str().as_encoded_bytes()).update(&[0]);
                hasher.update(&(content.len() as u64).to_le_bytes()).update(&content);
            }
        }
        let digits = hasher.finalize().to_hex();
        Ok((variable, digits[..HASH_DIGITS].to_owned()))
    };
    READ_AT_START.into_iter().map(hash).collect()
}

/// The file, or the files of the folder without those of its folders, in their order.
fn files_of(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).map_err(files::at("read", path))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(files::at("read", path))?.path();
        if entry.is_file() {
            found.push(entry);
        }
    }
    found.sort();
    Ok(found)
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

    #[test]
    fn an_edited_budget_changes_prometheus_hash_and_no_other() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path()).unwrap();
        let before = hashes(directory.path()).unwrap();
        write(directory.path()).unwrap();
        assert_eq!(hashes(directory.path()).unwrap(), before);
        std::fs::write(directory.path().join(KEPT), "groups: []\n").unwrap();
        let after = hashes(directory.path()).unwrap();
        let changed: Vec<_> =
            before.iter().zip(&after).filter(|(one, other)| one != other).collect();
        assert_eq!(changed.len(), 1);
        assert_eq!(changed[0].0.0, "PROMETHEUS_CONFIG_HASH");
        let compose = include_str!("../../stack/compose.yaml");
        assert!(before.iter().all(|(name, _)| compose.contains(&format!("${{{name}:-}}"))));
    }
}
