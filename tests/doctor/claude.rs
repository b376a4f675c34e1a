//! Claude Code itself: where it is, its version, the switch, the shim.

use std::os::unix::fs::{PermissionsExt, symlink};

use crate::house::CCOTEL;
use crate::place::Place;
use crate::table::{Act, Situation};

/// What a remedy that installs from a registry would run here.
const NPM: &str = r#"#!/bin/sh
[ "$*" = "install -g @anthropic-ai/claude-code" ] || exit 1
cp "$HOME/claude.aside" "$HOME/../bin/claude"
"#;

pub fn situations() -> Vec<Situation> {
    vec![
        Situation::new("ccotel_is_switched_off", || in_shell("export CCOTEL_DISABLE=1"))
            .fails("switch", &["CCOTEL_DISABLE is set"]),
        Situation::new("a_claude_that_is_not_there_is_named", || {
            in_shell("export CCOTEL_CLAUDE=/nowhere/claude")
        })
        .fails("program", &["CCOTEL_CLAUDE names /nowhere/claude", "bin/claude runs"]),
        Situation::new("claude_cannot_be_executed", || {
            let place = Place::new();
            let file = place.house.path("bin/claude");
            std::fs::set_permissions(file, PermissionsExt::from_mode(0o644)).unwrap();
            place
        })
        .fails("program", &["cannot be executed"]),
        Situation::new("there_is_no_claude", || {
            let place = Place::new();
            place.house.executable("bin/npm", NPM);
            let claude = place.house.path("bin/claude");
            std::fs::rename(claude, place.house.path("home/claude.aside")).unwrap();
            place
        })
        .fails("program", &["not on PATH"]),
        Situation::new("claude_says_nothing", || {
            let place = Place::new();
            let script =
                "#!/bin/sh\nif [ \"$1\" = update ]; then cp \"$0.good\" \"$0\"; fi\nexit 3\n";
            let good = std::fs::read(place.house.path("bin/claude.text")).unwrap();
            place.house.executable("bin/claude.good", std::str::from_utf8(&good).unwrap());
            std::fs::remove_file(place.house.path("bin/claude")).unwrap();
            place.house.executable("bin/claude", script);
            place
        })
        .fails("version", &["gave no answer"]),
        cannot_start("the_interpreter_is_not_on_path", "#!/usr/bin/env no-such-node\n".to_owned())
            .fails("version", &["cannot start: no-such-node", "install no-such-node"]),
        cannot_start("the_interpreter_is_gone", "#!/nonexistent/node\n".to_owned())
            .fails("version", &["cannot start: /nonexistent/node"]),
        cannot_start("claude_is_ccotel_again", format!("#!/bin/sh\nexec {CCOTEL} claude \"$@\"\n"))
            .fails("version", &["calls ccotel again", "set CCOTEL_CLAUDE"]),
        Situation::new("a_version_that_sends_nothing", || of_version("2.1.100"))
            .fails("version", &["2.1.100", "send nothing", "issues/33066"]),
        Situation::new("a_version_that_counts_twice", || of_version("2.1.197"))
            .warns("version", &["2.1.197", "counted twice"]),
        Situation::new("a_stale_shim", || {
            let place = Place::new();
            let link = place.house.path("data/shims/claude");
            std::fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink("/nowhere/ccotel", link).unwrap();
            place
        })
        .fails("shim", &["leads to /nowhere/ccotel, which is gone"]),
        Situation::new("a_stale_wrapper_of_editors", || {
            let place = Place::new();
            place.ccotel(&["setup", "--yes", "--without", "shell", "--without", "service"]);
            let file = place.house.path("data/shims/ccotel-wrap");
            let text = std::fs::read_to_string(&file).unwrap();
            let text = text.replace(crate::house::CCOTEL, "/nowhere/ccotel");
            place.house.write("data/shims/ccotel-wrap", text);
            place
        })
        .fails("shim", &["ccotel-wrap runs /nowhere/ccotel, which is gone"]),
        Situation::new("a_claude_before_the_shim", || {
            let place = Place::new();
            let without = ["shell", "editors", "background", "env", "service", "import"];
            let without: Vec<&str> = without.iter().flat_map(|it| ["--without", it]).collect();
            place.ccotel(&[&["setup", "--yes"], &without[..]].concat());
            let shims = place.house.path("data/shims");
            place.in_shell(&format!("export PATH=\"$PATH\":{}", shims.display()))
        })
        .warns("shim", &["comes before", "not counted"]),
    ]
}

/// Until Claude Code is there again.
fn cannot_start(name: &'static str, script: String) -> Situation {
    Situation::by_hand(name, move || {
        let place = Place::new();
        let claude = place.house.path("bin/claude");
        let aside = place.house.path("home/claude.aside");
        std::fs::rename(&claude, &aside).unwrap();
        place.house.executable("bin/claude", &script);
        let act: Act = Box::new(move |_| std::fs::rename(aside, claude).unwrap());
        (place, act)
    })
}

fn in_shell(command: &str) -> Place {
    Place::new().in_shell(command)
}

fn of_version(version: &str) -> Place {
    let place = Place::new();
    place.house.write("home/claude-version", version);
    place
}
