//! A home with transcripts in it, and what an import and a report say of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::harness::sandbox::Sandbox;
use crate::harness::transcripts::{Generator, Truth};

/// The days of all made-up transcripts.
pub const SINCE: &str = "2026-09-01";
const UNTIL: &str = "2027-01-01";

/// Costs are sums of binary fractions of dollars, in another order each time.
const COST_TOLERANCE_USD: f64 = 1e-8;

pub struct World {
    pub sandbox: Sandbox,
}

impl World {
    pub fn new() -> Result<Self> {
        let world = Self { sandbox: Sandbox::new()? };
        fs::create_dir_all(world.projects())?;
        Ok(world)
    }

    /// With generated transcripts of about so many bytes.
    pub fn generated(seed: u64, bytes: u64) -> Result<(Self, Truth)> {
        let world = Self::new()?;
        let mut generator = Generator::new(&world.projects(), seed).brief();
        generator.write(bytes)?;
        Ok((world, generator.truth))
    }

    /// Where Claude Code keeps them.
    pub fn projects(&self) -> PathBuf {
        self.sandbox.home().join(".claude/projects")
    }

    /// A transcript with these lines.
    pub fn write(&self, name: &str, lines: &[Value]) -> Result<PathBuf> {
        let path = self.projects().join("-home-dev-src-shop").join(name);
        fs::create_dir_all(path.parent().context("it has a folder")?)?;
        fs::write(&path, text(lines))?;
        Ok(path)
    }

    /// The document of an import that succeeds.
    pub fn import(&self, more: &[&str]) -> Result<Value> {
        let arguments = [&["import", "--json"], more].concat();
        Ok(serde_json::from_str(&self.sandbox.run(&arguments)?)?)
    }

    /// What a report says of imports alone.
    pub fn imported(&self, by: &str) -> Result<Value> {
        self.report(&["--imported", "only", "--by", by])
    }

    pub fn report(&self, more: &[&str]) -> Result<Value> {
        let arguments =
            [&["report", "--json", "--since", SINCE, "--until", UNTIL, "--tz", "UTC"], more];
        Ok(serde_json::from_str(&self.sandbox.run(&arguments.concat())?)?)
    }

    /// The report's totals, without what depends on nothing but the question.
    pub fn total(&self) -> Result<Value> {
        Ok(self.imported("day")?["total"].clone())
    }

    /// Standard output, standard error and the exit code.
    pub fn output(&self, arguments: &[&str]) -> Result<(String, String, i32)> {
        let output = self.sandbox.ccotel(arguments).stdin(Stdio::null()).output()?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let code = output.status.code().context("it ended by a signal")?;
        Ok((text(output.stdout), text(output.stderr), code))
    }

    /// Everything that a report can say is the truth.
    pub fn check(&self, truth: &Truth) -> Result<()> {
        let report = self.imported("day,tool")?;
        check_total(&report["total"], truth).with_context(|| report["total"].to_string())
    }
}

fn check_total(total: &Value, truth: &Truth) -> Result<()> {
    let tokens = |name: &str| total["tokens"][name].as_i64().unwrap_or_default();
    let counts = |name: &str| total[name].as_u64().unwrap_or_default();
    let found = Truth {
        sessions: counts("sessions"),
        prompts: counts("prompts"),
        requests: counts("requests"),
        unpriced_requests: counts("unpriced_requests"),
        errors: counts("errors"),
        tool_calls: counts("tool_calls"),
        input: tokens("input"),
        output: tokens("output"),
        cache_read: tokens("cache_read"),
        cache_creation: tokens("cache_creation"),
        // Compared by itself, or nothing that a report knows.
        cost_usd: truth.cost_usd,
        broken: truth.broken,
        half: truth.half,
        foreign: truth.foreign,
        synthetic: truth.synthetic,
        bytes: truth.bytes,
        files: truth.files,
    };
    ensure!(found == *truth, "{found:#?} instead of {truth:#?}");
    same_cost(&total["cost_usd"], truth.cost_usd)
}

pub fn same_cost(found: &Value, expected_usd: f64) -> Result<()> {
    let found = found.as_f64().context("no cost")?;
    let same = (found - expected_usd).abs() < COST_TOLERANCE_USD;
    ensure!(same, "{found} dollars instead of {expected_usd}");
    Ok(())
}

pub fn text(lines: &[Value]) -> String {
    lines.iter().flat_map(|line| [line.to_string(), "\n".to_owned()]).collect()
}

/// Everything in a folder, as bytes, by name.
pub fn files(folder: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push((entry.path(), fs::read(entry.path())?));
        }
    }
    files.sort();
    Ok(files)
}
