use super::*;

fn write(root: &Path, file: &str, text: &str) {
    let path = root.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

const CONFIG: &str = "[core]\n\turl = no\n[remote \"other\"]\n\turl = x\n\
                      [remote \"origin\"]\n\turl = git@example.com:acme/checkout.git # here\n";

#[test]
fn a_remote_names_its_repository_without_host_and_secrets() {
    for (url, name) in [
        ("https://example.com/acme/checkout.git", Some("acme/checkout")),
        ("https://user:ghp_secret@example.com/acme/checkout", Some("acme/checkout")),
        ("git@example.com:acme/checkout.git", Some("acme/checkout")),
        ("ssh://git@example.com:2222/acme/checkout.git/", Some("acme/checkout")),
        ("https://gitlab.example.com/group/sub/thing.git", Some("group/sub/thing")),
        ("https://dev.azure.com/org/project/_git/thing", Some("org/project/thing")),
        ("/home/someone/secret/place/thing.git", Some("thing")),
        ("file:///srv/git/thing.git", Some("thing")),
        ("../thing", Some("thing")),
        ("https://example.com/", None),
        ("", None),
    ] {
        assert_eq!(repository_name(url).as_deref(), name, "{url}");
    }
}

#[test]
fn a_checkout_from_a_directory_deep_inside() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    write(&root, ".git/HEAD", "ref: refs/heads/feature/x\n");
    write(&root, ".git/config", CONFIG);
    std::fs::create_dir_all(root.join("a/b")).unwrap();
    let facts = facts(&root.join("a/b")).unwrap();
    assert_eq!(facts.repository.as_deref(), Some("acme/checkout"));
    assert_eq!(facts.branch.as_deref(), Some("feature/x"));
    assert_eq!(facts.worktree, None);
    assert_eq!((&facts.root, &facts.main_root), (&root, &root));
}

#[test]
fn a_linked_worktree_takes_the_remote_of_the_main_checkout() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().canonicalize().unwrap();
    let git_dir = base.join("main/.git/worktrees/hotfix");
    write(&base, "main/.git/HEAD", "ref: refs/heads/main\n");
    write(&base, "main/.git/config", CONFIG);
    write(&git_dir, "HEAD", "ref: refs/heads/fix\n");
    write(&git_dir, "commondir", "../..\n");
    write(&base, "tree/.git", &format!("gitdir: {}\n", git_dir.display()));
    let facts = facts(&base.join("tree")).unwrap();
    assert_eq!(facts.repository.as_deref(), Some("acme/checkout"));
    assert_eq!(facts.branch.as_deref(), Some("fix"));
    assert_eq!(facts.worktree.as_deref(), Some("hotfix"));
    assert_eq!(facts.root, base.join("tree"));
    assert_eq!(facts.main_root, base.join("main"));
}

#[test]
fn a_submodule_is_a_checkout_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().canonicalize().unwrap();
    write(&base, "main/.git/HEAD", "ref: refs/heads/main\n");
    write(&base, "main/.git/modules/sub/HEAD", "0123456789012345678901234567890123456789\n");
    write(&base, "main/.git/modules/sub/config", CONFIG);
    write(&base, "main/sub/.git", "gitdir: ../.git/modules/sub\n");
    let facts = facts(&base.join("main/sub")).unwrap();
    assert_eq!(facts.branch, None, "detached");
    assert_eq!(facts.worktree, None);
    assert_eq!(facts.repository.as_deref(), Some("acme/checkout"));
    assert_eq!(facts.main_root, base.join("main/sub"));
}

#[test]
fn what_is_no_checkout_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    write(&root, "broken/.git", "nonsense\n");
    write(&root, "empty/.git/config", "");
    assert_eq!(git_dir(&root.join("broken")), None);
    assert_eq!(git_dir(&root.join("empty")), None);
}
