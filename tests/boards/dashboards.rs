//! The committed dashboards, read.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

pub struct Board {
    /// `dashboards/claude-code.json`
    pub name: String,
    pub json: Value,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn all() -> Result<Vec<Board>> {
    let mut boards = Vec::new();
    for folder in ["dashboards", "dashboards-victorialogs"] {
        let mut files: Vec<PathBuf> = std::fs::read_dir(root().join("grafana").join(folder))?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<_>>()?;
        files.sort();
        for file in files {
            let json = serde_json::from_slice(&std::fs::read(&file)?)
                .with_context(|| file.display().to_string())?;
            let file_name = file.file_name().context("a file")?.to_string_lossy();
            boards.push(Board { name: format!("{folder}/{file_name}"), json });
        }
    }
    Ok(boards)
}

impl Board {
    pub fn panels(&self) -> impl Iterator<Item = &Value> {
        self.json["panels"].as_array().into_iter().flatten()
    }

    /// Without rows.
    pub fn asking(&self) -> impl Iterator<Item = &Value> {
        self.panels().filter(|panel| panel["type"] != "row")
    }
}

pub fn targets(panel: &Value) -> impl Iterator<Item = &Value> {
    panel["targets"].as_array().into_iter().flatten()
}

/// Empty for what is no text.
pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}
