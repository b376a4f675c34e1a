//! Configuration, tags, permissions, and the limit on disk.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::backends::{connected, destination};
use crate::place::{Place, check};
use crate::table::{Act, Situation};

pub fn situations() -> Vec<Situation> {
    vec![
        Situation::new("the_configuration_is_no_toml", || with_config("[[destination\n"))
            .fails("config", &["config.toml:"]),
        Situation::new("the_configuration_is_gone", || {
            let url = "http://127.0.0.1:1/api/v1/write";
            let place = connected(&destination("prom", "prometheus", url, ""));
            std::fs::remove_file(place.house.path("config/config.toml")).unwrap();
            place
        })
        .fails("config", &["config.toml is gone", "the last valid one"]),
        Situation::new("a_value_of_the_configuration_is_wrong", || {
            with_config("max_disk = \"lots\"\n")
        })
        .fails("config", &["config.toml:3", "max_disk"]),
        by_hand("a_destination_has_a_wrong_type", |url| {
            destination("prom", "promeetheus", url, "")
        })
        .fails("config", &["config.toml:5", "`destination.type`", "correct line 5"]),
        by_hand("a_destination_has_credentials_in_its_url", |url| {
            destination("prom", "prometheus", &url.replace("://", "://me:secret@"), "")
        })
        .fails("config", &["config.toml:6", "must not hold credentials"]),
        by_hand("a_value_of_several_lines_is_wrong", |url| {
            let lines = "allowed_hosts = [\n  5,\n]\n".to_owned();
            lines + &destination("prom", "prometheus", url, "")
        })
        .fails("config", &["config.toml:3", "allowed_hosts"]),
        Situation::new("a_key_of_the_configuration_is_unknown", || {
            with_config("max_dsik = \"1 GiB\"\n")
        })
        .warns("config", &["max_dsik", "max_disk"]),
        Situation::new("tags_are_refused", || with_tags("project = \"checkout\"\nteam = 5\n"))
            .fails("tags", &[".ccotel.toml:2", "team"]),
        Situation::new("a_tag_has_a_name_that_is_taken", || {
            with_tags("[tags]\nmodel = \"mine\"\n")
        })
        .fails("tags", &[".ccotel.toml:2", "model"]),
        Situation::new("others_may_read_the_data", || with_mode("data", 0o755))
            .fails("permissions", &["is open to other users"]),
        Situation::new("others_may_read_the_token", || with_mode("data/token", 0o644))
            .fails("permissions", &["data/token is open to other users"]),
        Situation::new("others_may_write_the_configuration", || with_mode("config", 0o777))
            .fails("permissions", &["config is open to other users"]),
        Situation::new("others_may_read_a_password", || {
            let place = Place::new();
            let password = place.house.write("home/password", "secret\n");
            std::fs::set_permissions(&password, PermissionsExt::from_mode(0o640)).unwrap();
            place.configure(&format!(
                "[[destination]]\nname = \"prom\"\ntype = \"prometheus\"\n\
                 url = \"http://127.0.0.1:1/api/v1/write\"\n\
                 basic_auth = {{ username = \"u\", password_file = \"{}\" }}\n",
                password.display()
            ));
            place
        })
        .fails("permissions", &["home/password is open to other users"]),
        Situation::new("the_disk_limit_is_reached", || {
            let place = with_config("max_disk = \"16 MiB\"\n");
            let file = std::fs::File::create(place.house.path("data/imported.db.aside")).unwrap();
            file.set_len(16 << 20).unwrap();
            place
        })
        .warns("disk_limit", &["are dropped to stay below"]),
        Situation::new("a_launch_was_not_counted", || {
            let place = Place::new();
            let file = place.house.write("home/broken.json", "{ not json");
            let file = file.to_str().unwrap();
            let output = place.house.run(&["claude", "--settings", file, "-p", "hello"]);
            assert!(output.status.success(), "{output:?}");
            place
        })
        .warns("launches", &["--settings", "not a JSON object"]),
    ]
}

/// What no line that is left out would mend.
fn by_hand(name: &'static str, wrong: fn(&str) -> String) -> Situation {
    Situation::by_hand(name, move || {
        let url = "http://127.0.0.1:1/api/v1/write";
        let place = with_config(&wrong(url));
        assert_eq!(check(&place.doctor(""), "config", None)["remedy"], Value::Null);
        let right = destination("prom", "prometheus", url, "");
        let act: Act = Box::new(move |place| place.configure(&right));
        (place, act)
    })
}

fn with_config(more: &str) -> Place {
    let place = Place::new();
    place.configure(more);
    place
}

fn with_tags(text: &str) -> Place {
    let place = Place::new();
    place.house.write("home/work/checkout/.ccotel.toml", text);
    place
}

fn with_mode(path: &str, mode: u32) -> Place {
    let place = Place::new();
    std::fs::set_permissions(place.house.path(path), PermissionsExt::from_mode(mode)).unwrap();
    place
}
