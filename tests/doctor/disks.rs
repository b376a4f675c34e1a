//! A disk that is full: a file system of the test's own, in a mount namespace; listed as ignored, by
//! name, where that is not allowed.

use std::process::Command;

use libtest_mimic::Trial;

use crate::harness::namespace::{INSIDE_VARIABLE, inside};
use crate::harness::programs::Program;
use crate::place::Place;
use crate::table::{Act, Situation};

pub fn trials() -> Vec<Trial> {
    vec![
        with_disk("the_disk_is_full", full),
        with_disk("the_disk_is_read_only", read_only),
        with_disk("the_disk_is_small", small),
    ]
}

fn with_disk(name: &'static str, situation: fn() -> Situation) -> Trial {
    if std::env::var_os(INSIDE_VARIABLE).is_some() {
        return situation().into_trial();
    }
    if let Some(unshare) = Program::MountNamespace.find() {
        return Trial::test(name, move || inside(&unshare, "-rm", name));
    }
    let name = format!("{name} ({})", Program::MountNamespace.missing());
    Trial::test(name, || Ok(())).with_ignored_flag(true)
}

fn full() -> Situation {
    Situation::by_hand("the_disk_is_full", || {
        let place = on("mode=700,size=96m");
        std::fs::write(place.house.path("data/filler"), vec![0; 90 << 20]).unwrap();
        place.configure("max_disk = \"64 MiB\"\n");
        let act: Act = Box::new(|place| {
            std::fs::remove_file(place.house.path("data/filler")).unwrap();
        });
        (place, act)
    })
    .fails("disk", &["free at", "turned away when it is full", "du -xh"])
}

fn read_only() -> Situation {
    Situation::by_hand("the_disk_is_read_only", || {
        let place = on("mode=700,size=96m");
        place.configure("max_disk = \"32 MiB\"\n");
        // A file that is open for writing keeps a file system writable.
        place.ccotel(&["agent", "stop"]);
        remount(&place, "remount,ro");
        (place, Box::new(|place: &mut Place| remount(place, "remount,rw")) as Act)
    })
    .fails("disk", &["is read-only"])
}

/// Room for now, and not for what the limit allows.
fn small() -> Situation {
    Situation::new("the_disk_is_small", || {
        let place = on("mode=700,size=200m");
        place.configure("max_disk = \"1 GiB\"\n");
        place
    })
    .warns("disk", &["free at", "may take"])
}

fn on(options: &str) -> Place {
    let place = Place::without_agent();
    let data = place.house.path("data");
    std::fs::create_dir_all(&data).unwrap();
    run(Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(data));
    place.ccotel(&["agent", "start"]);
    place
}

fn remount(place: &Place, options: &str) {
    run(Command::new("mount").args(["-o", options]).arg(place.house.path("data")));
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}
