//! Which machine this is: by this a database notices that it was copied to another one.
//!
//! Linux: `/etc/machine-id` (machine-id(5)), one small file. macOS: the hardware's `IOPlatformUUID`, which
//! takes a process to ask for, so only a file that is not where it was asks. Elsewhere, and in containers
//! without an id, nothing is known, and only the file's place counts.

/// An id that no other machine has. `moved`: the database's file is not the one that was seen last.
pub fn id(moved: bool) -> Option<String> {
    if cfg!(target_os = "macos") {
        moved.then(platform_uuid).flatten()
    } else {
        ["/etc/machine-id", "/var/lib/dbus/machine-id"].into_iter().find_map(|path| {
            let text = std::fs::read_to_string(path).ok()?;
            let id = text.trim();
            // Images are delivered with an empty file, or with this word in it.
            (!id.is_empty() && id != "uninitialized").then(|| id.to_owned())
        })
    }
}

fn platform_uuid() -> Option<String> {
    let asked = std::process::Command::new("/usr/sbin/ioreg")
        .args(["-rd1", "-c", "IOPlatformExpertDevice"])
        .stdin(std::process::Stdio::null())
        .output();
    uuid_of(&String::from_utf8_lossy(&asked.ok()?.stdout))
}

fn uuid_of(answer: &str) -> Option<String> {
    let line = answer.lines().find(|line| line.contains("\"IOPlatformUUID\""))?;
    line.split('"').nth(3).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uuid_is_found_in_what_ioreg_says() {
        let answer = "+-o J314sAP  <class IOPlatformExpertDevice>\n    {\n      \"IOPlatformSerialNumber\" = \"X\"\n      \"IOPlatformUUID\" = \"A1B2-C3\"\n    }";
        assert_eq!(uuid_of(answer).as_deref(), Some("A1B2-C3"));
        assert_eq!(uuid_of("nothing"), None);
    }
}
