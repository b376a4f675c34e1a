//! Who listens on a port: from `/proc`, as far as this user may look.

use std::net::SocketAddr;
use std::path::Path;

/// Processes that are looked at.
const PROCESSES_MAX: usize = 20_000;
/// Open files of one process that are looked at.
const FILES_MAX: usize = 4_096;
/// `TCP_LISTEN`, as the kernel prints it.
const LISTENING: &str = "0A";

/// A process that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub pid: u32,
    pub name: String,
}

impl std::fmt::Display for Owner {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} (pid {})", self.name, self.pid)
    }
}

/// What can be told of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    Nobody,
    By(Vec<Owner>),
    /// Somebody whose files are not ours to see: another user, or a system without `/proc`.
    Hidden,
}

/// Who listens where a socket with this address would have to.
pub fn holders(address: SocketAddr) -> Held {
    let inodes = listening(Path::new("/proc/net"), address.port());
    if inodes.is_empty() {
        // Also where there is no /proc: a connection tells.
        let wait = std::time::Duration::from_millis(200);
        return match std::net::TcpStream::connect_timeout(&address, wait) {
            Ok(_) => Held::Hidden,
            Err(_) => Held::Nobody,
        };
    }
    let owners = owners(Path::new("/proc"), &inodes);
    if owners.is_empty() { Held::Hidden } else { Held::By(owners) }
}

/// Inodes of the sockets that listen on a port, in either family.
fn listening(tables: &Path, port: u16) -> Vec<String> {
    let suffix = format!(":{port:04X}");
    ["tcp", "tcp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(tables.join(table)).ok())
        .flat_map(|table| {
            let lines: Vec<String> = table
                .lines()
                .skip(1)
                .filter_map(|line| {
                    let columns: Vec<&str> = line.split_ascii_whitespace().collect();
                    let here = columns.get(1)?.ends_with(&suffix) && *columns.get(3)? == LISTENING;
                    here.then(|| columns.get(9).map(ToString::to_string))?
                })
                .collect();
            lines
        })
        .collect()
}

fn owners(processes: &Path, inodes: &[String]) -> Vec<Owner> {
    let wanted: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let Ok(entries) = std::fs::read_dir(processes) else { return Vec::new() };
    let mut owners: Vec<Owner> = entries
        .flatten()
        .take(PROCESSES_MAX)
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let files = std::fs::read_dir(entry.path().join("fd")).ok()?;
            let has_it = files.flatten().take(FILES_MAX).any(|file| {
                std::fs::read_link(file.path())
                    .is_ok_and(|target| wanted.iter().any(|it| target.as_os_str() == it.as_str()))
            });
            let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            has_it.then(|| Owner { pid, name: name.trim().to_owned() })
        })
        .collect();
    owners.sort_by_key(|owner| owner.pid);
    owners
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_listens_counts() {
        let tables = tempfile::tempdir().unwrap();
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:37EE 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 11 1 0
   1: 0100007F:37EE 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 12 1 0
   2: 0100007F:37EF 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 13 1 0
";
        std::fs::write(tables.path().join("tcp"), table).unwrap();
        assert_eq!(listening(tables.path(), 0x37EE), ["11"]);
    }

    #[test]
    fn a_listener_of_ours_is_found_by_name_and_number() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let held = holders(address);
        if cfg!(target_os = "linux") {
            let Held::By(owners) = held else { panic!("{held:?}") };
            assert!(owners.iter().any(|owner| owner.pid == std::process::id()), "{owners:?}");
        }
        drop(socket);
        assert_eq!(holders(address), Held::Nobody);
    }
}
