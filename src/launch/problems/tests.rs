use super::*;

fn paths(dir: &Path) -> Paths {
    Paths {
        config_dir: dir.join("config"),
        data_dir: dir.join("data"),
        runtime_dir: dir.join("run"),
        home: dir.to_path_buf(),
    }
}

/// A launch on a terminal, in `/home/zoe/repository`.
fn at(now: Timestamp, launch: &str) -> Looked<'_> {
    Looked { launch, directory: Some(Path::new("/home/zoe/repository")), quiet: false, now }
}

fn shown(paths: &Paths) -> Vec<(String, u64)> {
    recent(paths).into_iter().map(|problem| (problem.what, problem.times)).collect()
}

#[test]
fn the_same_problem_is_kept_once_and_said_once_a_day() {
    let dir = tempfile::tempdir().unwrap();
    let paths = paths(dir.path());
    let noticed = [Noticed::new("a", "b")];
    let now = Timestamp::now();
    let hours = SignedDuration::from_hours;
    assert_eq!(keep(&paths, at(now - hours(30), "1"), &noticed).len(), 1);
    assert_eq!(keep(&paths, at(now - hours(20), "2"), &noticed).len(), 0);
    assert_eq!(keep(&paths, at(now, "3"), &noticed).len(), 1);
    let kept = recent(&paths);
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].launch, "3");
}

#[test]
fn what_is_said_once_is_not_said_the_next_day() {
    let dir = tempfile::tempdir().unwrap();
    let paths = paths(dir.path());
    let noticed = [Noticed::new("a", "b").once()];
    let now = Timestamp::now();
    assert_eq!(keep(&paths, at(now - SignedDuration::from_hours(100), "1"), &noticed).len(), 1);
    assert_eq!(keep(&paths, at(now, "2"), &noticed).len(), 0);
}

#[test]
fn the_file_is_bounded_and_the_newest_stay() {
    let dir = tempfile::tempdir().unwrap();
    let paths = paths(dir.path());
    let noticed: Vec<Noticed> =
        (0..100).map(|index| Noticed::new(format!("{index} {}", "x".repeat(3000)), "")).collect();
    keep(&paths, at(Timestamp::now(), "1"), &noticed);
    let length = std::fs::metadata(paths.problems_file()).unwrap().len();
    assert!(length <= PROBLEMS_FILE_BYTES_MAX as u64, "{length}");
    assert!(recent(&paths).last().unwrap().what.starts_with("99 "));
}

#[test]
fn without_a_data_directory_the_runtime_directory_takes_it() {
    let dir = tempfile::tempdir().unwrap();
    let paths = paths(dir.path());
    std::fs::write(&paths.data_dir, "in the way").unwrap();
    keep(&paths, at(Timestamp::now(), "1"), &[Noticed::new("a", "b")]);
    assert_eq!(recent(&paths).len(), 1);
    assert!(paths.runtime_dir.join("problems.jsonl").exists());
}

#[test]
fn what_a_later_launch_finds_in_order_is_not_shown_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let paths = paths(dir.path());
    let below = |directory: &str| Scope::Below(directory.into());
    let noticed = [
        Noticed { scope: Scope::Everywhere, ..Noticed::new("config", "") },
        Noticed { scope: below("/home/zoe"), ..Noticed::new("above", "") },
        Noticed { scope: below("/home/zoe/other"), ..Noticed::new("elsewhere", "") },
        Noticed::new("event", ""),
    ];
    let now = Timestamp::now();
    keep(&paths, at(now, "1"), &noticed);
    let unfinished = Looked { directory: None, ..at(now, "2") };
    assert!(keep(&paths, unfinished, &[]).is_empty());
    assert_eq!(shown(&paths).len(), 4, "that launch did not look");
    assert!(keep(&paths, at(now, "3"), &[]).is_empty());
    assert_eq!(shown(&paths), [("elsewhere".to_owned(), 1), ("event".to_owned(), 1)]);
    assert_eq!(keep(&paths, at(now, "4"), &noticed[..1]).len(), 1, "it is new again");
}

#[test]
fn a_script_leaves_the_line_to_the_next_terminal_and_launches_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let paths = paths(dir.path());
    let noticed = [Noticed::new("a", "b")];
    let now = Timestamp::now();
    assert!(keep(&paths, Looked { quiet: true, ..at(now, "1") }, &noticed).is_empty());
    assert_eq!(keep(&paths, at(now, "2"), &noticed).len(), 1);
    assert_eq!(shown(&paths), [("a".to_owned(), 2)]);
}

#[test]
fn lines_of_an_earlier_version_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let paths = paths(dir.path());
    let now = Timestamp::now();
    let line = format!(r#"{{"at":"{now}","launch":"1","what":"a","remedy":"b"}}"#);
    write_private(&paths.problems_file(), line.as_bytes()).unwrap();
    assert_eq!(recent(&paths)[0].what, "a");
}

#[test]
fn what_the_runtime_directory_took_comes_home() {
    let dir = tempfile::tempdir().unwrap();
    let paths = paths(dir.path());
    let noticed = [Noticed { scope: Scope::Everywhere, ..Noticed::new("a", "") }];
    std::fs::write(&paths.data_dir, "in the way").unwrap();
    keep(&paths, at(Timestamp::now(), "1"), &noticed);
    std::fs::remove_file(&paths.data_dir).unwrap();
    keep(&paths, at(Timestamp::now(), "2"), &[]);
    assert_eq!(shown(&paths), []);
    assert!(!paths.runtime_dir.join("problems.jsonl").exists());
}
