use std::ffi::OsString;

use super::*;
use crate::config::layers::load_from;
use crate::paths::Paths;

/// A home directory with a project in it.
struct House {
    _dir: tempfile::TempDir,
    home: PathBuf,
    project: PathBuf,
}

impl House {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap();
        let project = home.join("work/checkout");
        std::fs::create_dir_all(&project).unwrap();
        Self { _dir: dir, home, project }
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.home.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn loaded(&self) -> Loaded {
        let paths = Paths {
            config_dir: self.home.join("config"),
            data_dir: self.home.join("data"),
            runtime_dir: self.home.join("run"),
            home: self.home.clone(),
        };
        let nothing = |_: &str| -> Option<OsString> { None };
        load_from(&paths, &self.home.join("organisation.toml"), &nothing)
    }

    fn resolve(&self, directory: &Path, attributes: &[Attribute], variable: &str) -> Resolved {
        let loaded = self.loaded();
        resolve(&Inputs {
            directory,
            home: &self.home,
            loaded: &loaded,
            attributes,
            variable: Some(variable),
        })
    }

    fn project(&self) -> Resolved {
        self.resolve(&self.project, &[], "")
    }
}

fn attribute(key: &str, value: &str) -> Attribute {
    Attribute { key: key.into(), value: value.into(), source: Source::named("settings") }
}

fn value<'r>(resolved: &'r Resolved, key: &str) -> Option<&'r str> {
    resolved.tags.get(key).map(|tag| tag.value.as_str())
}

#[test]
fn each_layer_wins_over_the_ones_below() {
    let house = House::new();
    let layers: [(&str, &dyn Fn()); 6] = [
        ("checkout", &|| {}),
        ("organisation", &|| house.write("organisation.toml", "project = \"organisation\"")),
        ("user", &|| house.write("config/config.toml", "[tags]\nproject = \"user\"")),
        ("attribute", &|| {}),
        ("far", &|| house.write("work/.ccotel.toml", "project = \"far\"")),
        ("near", &|| house.write("work/checkout/.ccotel.toml", "project = \"near\"")),
    ];
    for (index, (expected, add)) in layers.iter().enumerate() {
        add();
        let attributes = if index >= 3 { vec![attribute("project", "attribute")] } else { vec![] };
        let resolved = house.resolve(&house.project, &attributes, "");
        assert_eq!(value(&resolved, "project"), Some(*expected));
        assert_eq!(resolved.problems, []);
    }
    let resolved = house.resolve(&house.project, &[], "project=typed,team=a%20b");
    assert_eq!(value(&resolved, "project"), Some("typed"));
    assert_eq!(value(&resolved, "team"), Some("a b"));
    assert_eq!(resolved.tags["team"].source, Source::named("CCOTEL_TAGS"));
}

#[test]
fn nearer_files_win_key_by_key_and_root_stops_the_walk() {
    let house = House::new();
    house.write("work/.ccotel.toml", "team = \"far\"\n[tags]\ncost_center = \"cc\"\n");
    house.write("work/checkout/.ccotel.toml", "\nteam = \"near\"\n");
    let resolved = house.project();
    assert_eq!(value(&resolved, "team"), Some("near"));
    assert_eq!(value(&resolved, "cost_center"), Some("cc"));
    assert_eq!(resolved.tags["team"].source.line, Some(2));
    assert_eq!(resolved.files.len(), 2);
    house.write("work/checkout/.ccotel.toml", "team = \"near\"\nroot = true\n");
    let resolved = house.project();
    assert_eq!(value(&resolved, "cost_center"), None);
    assert_eq!(resolved.files.len(), 1);
}

#[test]
fn the_walk_stops_before_the_home_directory() {
    let house = House::new();
    house.write(".ccotel.toml", "team = \"home\"");
    assert_eq!(value(&house.project(), "team"), None);
    let resolved = house.resolve(&house.home, &[], "");
    assert!(resolved.tags.is_empty(), "no project in the home directory either");
}

#[test]
fn a_repository_tightens_and_never_widens() {
    let house = House::new();
    let cases = [
        ("standard", "minimal", PrivacyLevel::Minimal, 0),
        ("standard", "full", PrivacyLevel::Standard, 1),
        ("full", "standard", PrivacyLevel::Standard, 0),
        ("minimal", "full", PrivacyLevel::Minimal, 1),
        ("minimal", "minimal", PrivacyLevel::Minimal, 0),
    ];
    for (user, repository, expected, problems) in cases {
        house.write("config/config.toml", &format!("[privacy]\nlevel = \"{user}\""));
        house.write("work/.ccotel.toml", &format!("[privacy]\nlevel = \"{repository}\""));
        let resolved = house.project();
        assert_eq!(resolved.level, expected, "{user} with {repository}");
        assert_eq!(resolved.problems.len(), problems, "{user} with {repository}");
    }
}

#[test]
fn a_nearer_file_cannot_loosen_what_a_farther_one_tightened() {
    let house = House::new();
    house.write("work/.ccotel.toml", "[privacy]\nlevel = \"minimal\"");
    house.write("work/checkout/.ccotel.toml", "[privacy]\nlevel = \"standard\"");
    assert_eq!(house.project().level, PrivacyLevel::Minimal);
}

#[test]
fn the_automatic_project_is_the_remote_then_the_folder() {
    let house = House::new();
    let resolved = house.project();
    assert_eq!(value(&resolved, "project"), Some("checkout"));
    assert_eq!(resolved.tags["project"].source.source, "automatic: the folder's name");
    house.write("work/checkout/.git/HEAD", "ref: refs/heads/main\n");
    std::fs::create_dir_all(house.project.join("deep/inside")).unwrap();
    let resolved = house.resolve(&house.project.join("deep/inside"), &[], "");
    assert_eq!(value(&resolved, "project"), Some("checkout"));
    house.write("work/checkout/.git/config", "[remote \"origin\"]\nurl = git@h:acme/shop.git\n");
    let resolved = house.resolve(&house.project.join("deep/inside"), &[], "");
    assert_eq!(value(&resolved, "project"), Some("shop"));
}

#[test]
fn a_home_directory_under_version_control_is_no_project() {
    let house = House::new();
    house.write(".git/HEAD", "ref: refs/heads/main\n");
    house.write(".git/config", "[remote \"origin\"]\nurl = git@h:me/dotfiles.git\n");
    assert_eq!(value(&house.project(), "project"), Some("checkout"));
}

#[test]
fn sixteen_tags_hold_and_the_rest_is_reported() {
    use std::fmt::Write as _;
    let house = House::new();
    let mut text = "[tags]\n".to_owned();
    for index in 0..40 {
        writeln!(text, "t{index:02} = \"x\"").unwrap();
    }
    house.write("work/.ccotel.toml", &text);
    let resolved = house.project();
    assert_eq!(resolved.tags.len(), TAGS_MAX);
    assert_eq!(value(&resolved, "project"), Some("checkout"), "kept before the others");
    assert_eq!(value(&resolved, "t14"), Some("x"));
    assert_eq!(resolved.problems.len(), 1);
    let problem = resolved.problems[0].to_string();
    assert!(
        problem.contains("work/.ccotel.toml:17: more than 16 tags; `t15`, `t16`, "),
        "{problem}"
    );
}

#[test]
fn attributes_that_cannot_be_tags_are_not() {
    let house = House::new();
    let attributes =
        [attribute("service.name", "x"), attribute("Team", "x"), attribute("env", "p")];
    let resolved = house.resolve(&house.project, &attributes, "");
    assert_eq!(resolved.tags.keys().collect::<Vec<_>>(), ["env", "project"]);
    assert_eq!(resolved.problems, []);
}
