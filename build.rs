//! Packs what `ccotel stack` writes, the folders stack/ and grafana/ without what only the repository
//! needs, into one compressed file for the binary: `path\nlength\n` and the content, again and again.

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// What is packed; a folder with all that is in it.
const PACKED: [&str; 11] = [
    "stack/compose.yaml",
    "stack/prometheus.yml",
    "stack/prometheus-scrape.yml",
    "stack/scrape-targets.json",
    "stack/loki.yaml",
    "stack/collector.yaml",
    "stack/provisioning",
    "stack/.env.example",
    "grafana/dashboards",
    "grafana/dashboards-victorialogs",
    "grafana/alerts",
];
/// Tests of the rules, which need promtool.
const LEFT_OUT: &str = "grafana/alerts/tests";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let mut files = Vec::new();
    for name in PACKED {
        println!("cargo::rerun-if-changed={name}");
        collect(Path::new(name), &mut files);
    }
    files.sort();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for file in files {
        let content = std::fs::read(&file).expect("a file of the repository");
        let name = file.display().to_string();
        write!(packed, "{name}\n{}\n", content.len()).expect("memory");
        packed.write_all(&content).expect("memory");
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it")).join("stack.gz");
    std::fs::write(out, packed.finish().expect("memory")).expect("cargo's own folder");
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path == Path::new(LEFT_OUT) {
        return;
    }
    if path.is_dir() {
        for entry in std::fs::read_dir(path).expect("a folder of the repository") {
            collect(&entry.expect("its entry").path(), files);
        }
    } else {
        files.push(path.to_owned());
    }
}
