//! What others' schemas and grammars say of our files: Kubernetes', the operators', Loki's editor's, vmalert's,
//! the collector's.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use libtest_mimic::{Failed, Trial};
use tempfile::TempDir;

use crate::choices::Choice;
use crate::dashboards::{self, root, targets, text};
use crate::grafana::Range;
use crate::tools::{on_path, run};

const FOLDERS: [&str; 4] = ["base", "overlays/nodeport", "overlays/ingress", "overlays/tailscale"];
/// Of the alert rules, those for Prometheus and for vmalert; budgets are the user's.
const RULES: [&str; 3] = ["budgets.yaml", "claude-code-alerts.yaml", "claude-code-recording.yaml"];

pub fn trials() -> Vec<Trial> {
    let kubectl = part("CCOTEL_TEST_KUBECTL", "kubectl");
    let python = kubernetes_schemas();
    let modules = modules();
    let vmalert = part("CCOTEL_TEST_VMALERT", "vmalert");
    let collector = part("CCOTEL_TEST_OTELCOL", "otelcol-contrib");
    vec![
        trial("kustomizations_render_and_are_valid", [&kubectl, &python], |[kubectl, python]| {
            let rendered = Rendered::new(kubectl)?;
            run(Command::new(python).arg("tests/boards/kubernetes.py").args(&rendered.files))
        }),
        trial("custom_resources_are_valid", [&kubectl, &modules], |[kubectl, modules]| {
            let rendered = Rendered::new(kubectl)?;
            let argo_cd = root().join("stack/kubernetes/argocd/application.yaml");
            let files = rendered.files.iter().chain([&argo_cd]);
            node(modules, "custom_resources.mjs", files.cloned().collect(), "")
        }),
        trial("every_query_of_loki_is_grammatical", [&modules], |[modules]| {
            let queries = serde_json::to_string(&queries_of_loki()?)?;
            node(modules, "logql.mjs", Vec::new(), &queries)
        }),
        trial("vmalert_takes_the_rules_unchanged", [&vmalert], |[vmalert]| {
            let rules = RULES.map(|name| format!("-rule=grafana/alerts/{name}"));
            run(Command::new(vmalert).arg("-dryRun").args(rules))
        }),
        trial("a_collector_takes_the_profiles_configuration", [&collector], |[collector]| {
            run(Command::new(collector).args(["validate", "--config=stack/collector.yaml"]))
        }),
    ]
}

/// Where it is, or what the name of an ignored test says.
type Part = Result<PathBuf, String>;

fn part(variable: &str, program: &str) -> Part {
    if let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        assert!(path.is_file(), "{variable} names {}, which is no file", path.display());
        return Ok(path);
    }
    on_path(program).ok_or_else(|| format!("needs `{program}` on PATH or in {variable}"))
}

/// A Python that has them.
fn kubernetes_schemas() -> Part {
    let python =
        std::env::var_os("CCOTEL_TEST_PYTHON").map_or_else(|| "python3".into(), PathBuf::from);
    let mut has = Command::new(&python);
    has.args(["-c", "import kubernetes_validate, yaml"]).stderr(Stdio::null());
    let is_there = has.status().is_ok_and(|status| status.success());
    let missing = "needs Python's `kubernetes-validate`, or CCOTEL_TEST_PYTHON";
    is_there.then_some(python).ok_or_else(|| missing.to_owned())
}

/// The folder `node_modules` of `tests/boards/package.json`.
fn modules() -> Part {
    let variable = "CCOTEL_TEST_BOARDS_MODULES";
    let missing = || format!("needs `node` on PATH and the npm packages in {variable}");
    let modules = std::env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from);
    let modules = modules.filter(|_| on_path("node").is_some()).ok_or_else(missing)?;
    assert!(modules.is_dir(), "{variable} names {}, which is no folder", modules.display());
    Ok(modules)
}

fn trial<const N: usize>(
    name: &str,
    parts: [&Part; N],
    test: fn([&Path; N]) -> Result<()>,
) -> Trial {
    let missing: Vec<&str> =
        parts.iter().filter_map(|part| part.as_ref().err()).map(String::as_str).collect();
    if !missing.is_empty() {
        let name = format!("{name} ({})", missing.join(", "));
        return Trial::test(name, || Ok(())).with_ignored_flag(true);
    }
    let parts = parts.map(|part| part.clone().unwrap_or_default());
    Trial::test(name, move || {
        test(parts.each_ref().map(PathBuf::as_path))
            .map_err(|error| Failed::from(format!("{error:#}")))
    })
}

/// What `kubectl kustomize` makes of each folder.
struct Rendered {
    files: Vec<PathBuf>,
    _directory: TempDir,
}

impl Rendered {
    fn new(kubectl: &Path) -> Result<Self> {
        let directory = TempDir::new()?;
        let mut files = Vec::new();
        for folder in FOLDERS {
            let from = root().join("stack/kubernetes").join(folder);
            let output = Command::new(kubectl).arg("kustomize").arg(&from).output()?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            ensure!(output.status.success(), "{}: {said}", from.display());
            let file = directory.path().join(folder.replace('/', "-") + ".yaml");
            std::fs::write(&file, output.stdout)?;
            files.push(file);
        }
        Ok(Self { files, _directory: directory })
    }
}

/// A script beside the packages, since that is where Node looks for them.
fn node(modules: &Path, script: &str, arguments: Vec<PathBuf>, input: &str) -> Result<()> {
    let directory = TempDir::new()?;
    std::os::unix::fs::symlink(modules, directory.path().join("node_modules"))?;
    let place = directory.path().join(script);
    std::fs::copy(root().join("tests/boards").join(script), &place)?;
    let file = directory.path().join("input");
    std::fs::write(&file, input)?;
    let input = Stdio::from(std::fs::File::open(&file)?);
    run(Command::new("node").arg("--preserve-symlinks").arg(place).args(arguments).stdin(input))
}

/// With everything shown, and with names that are hard to write.
fn queries_of_loki() -> Result<Vec<String>> {
    let mut queries = Vec::new();
    for board in dashboards::all()? {
        for panel in board.asking() {
            for target in targets(panel).filter(|it| it["datasource"]["type"] == "loki") {
                let range = Range::of(panel, 0, 14 * 24 * 3600);
                let asked = range.fill(text(target, "expr"), "a-session");
                // Loki's own grammar has an offset behind an unwrapped range, the editor's has not.
                let unwrapped = asked.contains("| unwrap ");
                let offset = format!(" offset -{}s", range.step_s);
                let asked = if unwrapped { asked.replace(&offset, "") } else { asked };
                for choice in Choice::few() {
                    queries.push(choice.fill(&asked)?);
                }
            }
        }
    }
    let rules = std::fs::read_to_string(root().join("grafana/alerts/loki/claude-code.yaml"))?;
    let exprs = rules.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    queries.extend(exprs.map(str::to_owned));
    queries.last().context("no query")?;
    Ok(queries)
}
