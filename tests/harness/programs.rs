//! Which real parts this machine has.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program that a test needs and a machine may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Claude,
    Prometheus,
    /// 3.0 or newer: it takes remote_write 2.0.
    Prometheus3,
    VictoriaMetrics,
    /// VictoriaMetrics' evaluator of rules.
    Vmalert,
    Loki,
    Node,
    /// Debian's, or any other.
    Chromium,
    VictoriaLogs,
    /// `unshare -rm`: a file system of a test's own, without being root.
    MountNamespace,
    Bash,
    Zsh,
    Fish,
    FishIndent,
    Tmux,
    Shellcheck,
    Shfmt,
    Ruby,
    SystemdAnalyze,
    SystemdSocketActivate,
    /// A systemd of one user's, as root, in namespaces of its own.
    UserManager,
    CargoDeb,
    CargoGenerateRpm,
    Rpm,
    Lintian,
    /// A root file system of a test's own, as root: `unshare -m`, an overlay, and `dpkg`.
    CleanRoot,
    /// A disk's errors, put into the answers that a running agent gets of the kernel.
    Strace,
}

impl Program {
    /// The variable that names it, and what it is called on PATH.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Claude => ("CCOTEL_TEST_CLAUDE", "claude"),
            Self::Prometheus => ("CCOTEL_TEST_PROMETHEUS", "prometheus"),
            Self::Prometheus3 => ("CCOTEL_TEST_PROMETHEUS3", "prometheus3"),
            Self::VictoriaMetrics => ("CCOTEL_TEST_VICTORIAMETRICS", "victoria-metrics"),
            Self::Vmalert => ("CCOTEL_TEST_VMALERT", "vmalert"),
            Self::Loki => ("CCOTEL_TEST_LOKI", "loki"),
            Self::Node => ("CCOTEL_TEST_NODE", "node"),
            Self::Chromium => ("CCOTEL_TEST_CHROMIUM", "chromium"),
            Self::VictoriaLogs => ("CCOTEL_TEST_VICTORIALOGS", "victoria-logs"),
            Self::MountNamespace => ("CCOTEL_TEST_UNSHARE", "unshare"),
            Self::Bash => ("CCOTEL_TEST_BASH", "bash"),
            Self::Zsh => ("CCOTEL_TEST_ZSH", "zsh"),
            Self::Fish => ("CCOTEL_TEST_FISH", "fish"),
            Self::FishIndent => ("CCOTEL_TEST_FISH_INDENT", "fish_indent"),
            Self::Tmux => ("CCOTEL_TEST_TMUX", "tmux"),
            Self::Shellcheck => ("CCOTEL_TEST_SHELLCHECK", "shellcheck"),
            Self::Shfmt => ("CCOTEL_TEST_SHFMT", "shfmt"),
            Self::Ruby => ("CCOTEL_TEST_RUBY", "ruby"),
            Self::SystemdAnalyze => ("CCOTEL_TEST_SYSTEMD_ANALYZE", "systemd-analyze"),
            Self::SystemdSocketActivate => {
                ("CCOTEL_TEST_SYSTEMD_SOCKET_ACTIVATE", "systemd-socket-activate")
            }
            Self::UserManager => ("CCOTEL_TEST_SYSTEMCTL", "systemctl"),
            Self::CargoDeb => ("CCOTEL_TEST_CARGO_DEB", "cargo-deb"),
            Self::CargoGenerateRpm => ("CCOTEL_TEST_CARGO_GENERATE_RPM", "cargo-generate-rpm"),
            Self::Rpm => ("CCOTEL_TEST_RPM", "rpm"),
            Self::Lintian => ("CCOTEL_TEST_LINTIAN", "lintian"),
            Self::CleanRoot => ("CCOTEL_TEST_DPKG", "dpkg"),
            Self::Strace => ("CCOTEL_TEST_STRACE", "strace"),
        }
    }

    /// By its variable, which must then be right, or else from PATH.
    pub fn find(self) -> Option<PathBuf> {
        self.find_file().filter(|file| match self {
            Self::MountNamespace => may_run(file, &["-rm", "true"]),
            Self::Strace => may_run(file, &["-f", "-qq", "-e", "inject=mkdir:error=EROFS", "true"]),
            Self::CleanRoot => may_overlay(),
            Self::UserManager => may_manage(),
            _ => true,
        })
    }

    fn find_file(self) -> Option<PathBuf> {
        let (variable, program) = self.names();
        if let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()) {
            let path = PathBuf::from(path);
            assert!(
                path.is_file(),
                "{variable} names {}, and there is no such file",
                path.display()
            );
            return Some(path);
        }
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
    }

    /// For the name of an ignored test.
    pub fn missing(self) -> String {
        let (variable, program) = self.names();
        match self {
            Self::MountNamespace => "needs `unshare -rm`, which is not there or not allowed".into(),
            Self::UserManager => "needs root, systemd and control groups in `unshare -m`".into(),
            Self::CleanRoot => "needs root, dpkg and overlay mounts in `unshare -m`".into(),
            Self::Strace => "needs `strace`, which is not there or not allowed".into(),
            _ => format!("needs `{program}` on PATH or in {variable}"),
        }
    }
}

/// Needs root, and a kernel that has it.
fn may_overlay() -> bool {
    let script = "set -e; d=$(mktemp -d); trap 'umount -l \"$d\"; rmdir \"$d\"' EXIT; \
                  mount -t tmpfs tmpfs \"$d\"; mkdir \"$d/u\" \"$d/w\" \"$d/r\"; \
                  mount -t overlay overlay -o lowerdir=/,upperdir=\"$d/u\",workdir=\"$d/w\" \"$d/r\"; \
                  umount \"$d/r\"";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Needs root, systemd, and control groups that may be made.
fn may_manage() -> bool {
    let script = "set -e; test -x /lib/systemd/systemd; mount -t cgroup2 cgroup2 /sys/fs/cgroup; \
                  d=/sys/fs/cgroup/ccotel-test-probe-$$; mkdir \"$d\"; rmdir \"$d\"; \
                  mkdir -p /run/systemd; mount -t tmpfs tmpfs /run/systemd";
    may_run(Path::new("unshare"), &["-m", "sh", "-c", script])
}

/// Containers often forbid it.
fn may_run(program: &Path, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
