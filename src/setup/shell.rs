//! The three shells: their hooks, how they quote, and which of their startup files setup writes to.
//!
//! The hooks are files of their own (`hooks/`), so that they can be linted. Printed, they carry the
//! path of this binary, so that they work wherever PATH leads later.

use std::path::{Path, PathBuf};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

pub const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// What a startup file is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Way {
    /// `claude` is a function: for what is typed.
    Hook,
    /// The directory with a link named `claude` comes first on PATH: for scripts and editors as well.
    Shim,
}

/// Which directories of a user decide where startup files are.
#[derive(Clone, Debug)]
pub struct ShellHome {
    pub home: PathBuf,
    /// `ZDOTDIR`.
    pub zsh_dir: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`, or its default.
    pub config: PathBuf,
}

impl Shell {
    pub fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
        }
    }

    /// The shell of a path like `/usr/bin/zsh`.
    pub fn of_path(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        SHELLS.into_iter().find(|shell| shell.name() == name)
    }

    /// The hook, for this binary.
    pub fn hook(self, program: &Path) -> String {
        let (text, placeholder, setting) = match self {
            Self::Bash => {
                (include_str!("../../hooks/ccotel.bash"), "__ccotel_program='ccotel'", "=")
            }
            Self::Zsh => (
                include_str!("../../hooks/ccotel.zsh"),
                "typeset -g __ccotel_program='ccotel'",
                "=",
            ),
            Self::Fish => {
                (include_str!("../../hooks/ccotel.fish"), "set -g __ccotel_program ccotel", " ")
            }
        };
        let (name, _) = placeholder.rsplit_once(setting).unwrap_or((placeholder, ""));
        text.replacen(placeholder, &format!("{name}{setting}{}", self.quote_path(program)), 1)
    }

    /// What takes the hook out of a running shell.
    pub fn removal(self) -> &'static str {
        match self {
            Self::Bash => include_str!("../../hooks/remove.bash"),
            Self::Zsh => include_str!("../../hooks/remove.zsh"),
            Self::Fish => include_str!("../../hooks/remove.fish"),
        }
    }

    pub fn quote_path(self, path: &Path) -> String {
        self.quote(&path.to_string_lossy())
    }

    /// As one word, whatever is in it.
    pub fn quote(self, text: &str) -> String {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+:@%".contains(letter);
        if !text.is_empty() && text.chars().all(plain) {
            return text.to_owned();
        }
        match self {
            Self::Bash | Self::Zsh => format!("'{}'", text.replace('\'', r"'\''")),
            Self::Fish => format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'")),
        }
    }

    /// The lines that a startup file gets, markers not included.
    pub fn lines(self, way: Way, program: &Path, shims: &Path) -> String {
        let program = self.quote_path(program);
        let name = self.name();
        match (self, way) {
            (Self::Bash | Self::Zsh, Way::Hook) => {
                let eval = if self == Self::Bash { "eval --" } else { "eval" };
                format!("if [ -x {program} ]; then\n  {eval} \"$({program} init {name})\"\nfi\n")
            }
            (Self::Fish, Way::Hook) => {
                format!("if test -x {program}\n    {program} init fish | source\nend\n")
            }
            (Self::Bash | Self::Zsh, Way::Shim) => {
                let shims = self.quote_path(shims);
                format!(
                    "case \":${{PATH}}:\" in\n  *:{shims}:*) ;;\n  *) export PATH={shims}:\"${{PATH}}\" ;;\nesac\n"
                )
            }
            (Self::Fish, Way::Shim) => {
                let shims = self.quote_path(shims);
                format!("contains -- {shims} $PATH\nor set -gx PATH {shims} $PATH\n")
            }
        }
    }

    /// The startup files that get the lines.
    ///
    /// Bash reads `.bashrc` in a terminal and one of three other files in a login shell, where most
    /// systems read `.bashrc` from; macOS' terminals start login shells and have neither. The shim
    /// goes where a shell that nobody types into looks, too.
    pub fn startup_files(self, way: Way, home: &ShellHome) -> Vec<PathBuf> {
        match self {
            Self::Bash => {
                let login = [".bash_profile", ".bash_login", ".profile"];
                let login = login.map(|name| home.home.join(name));
                let login = login.into_iter().find(|file| file.exists());
                let mut found = vec![home.home.join(".bashrc")];
                match (login, way) {
                    (Some(login), Way::Shim) => found.push(login),
                    (None, Way::Shim) => found.push(home.home.join(".profile")),
                    (Some(login), Way::Hook) if !reads_bashrc(&login) => found.push(login),
                    (None, Way::Hook) if cfg!(target_os = "macos") => {
                        found.push(home.home.join(".bash_profile"));
                    }
                    (_, Way::Hook) => {}
                }
                found
            }
            Self::Zsh => {
                let directory = home.zsh_dir.as_ref().unwrap_or(&home.home);
                vec![directory.join(if way == Way::Hook { ".zshrc" } else { ".zshenv" })]
            }
            Self::Fish => vec![home.config.join("fish/conf.d/ccotel.fish")],
        }
    }

    /// Whether this user has something of this shell's.
    pub fn is_used(self, home: &ShellHome) -> bool {
        let zsh = home.zsh_dir.as_ref().unwrap_or(&home.home);
        match self {
            Self::Bash => [".bashrc", ".bash_profile", ".bash_login"]
                .iter()
                .any(|name| home.home.join(name).exists()),
            Self::Zsh => {
                [".zshrc", ".zshenv", ".zprofile"].iter().any(|name| zsh.join(name).exists())
            }
            Self::Fish => home.config.join("fish").exists(),
        }
    }
}

fn reads_bashrc(login: &Path) -> bool {
    std::fs::read_to_string(login).is_ok_and(|text| text.contains(".bashrc"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_carries_the_path_of_the_binary() {
        let odd = Path::new("/opt/it's here/ccotel");
        assert!(Shell::Bash.hook(odd).contains("\n__ccotel_program='/opt/it'\\''s here/ccotel'\n"));
        assert!(
            Shell::Zsh
                .hook(odd)
                .contains("\ntypeset -g __ccotel_program='/opt/it'\\''s here/ccotel'\n")
        );
        assert!(
            Shell::Fish.hook(odd).contains("\nset -g __ccotel_program '/opt/it\\'s here/ccotel'\n")
        );
        assert!(Shell::Bash.hook(Path::new("/usr/bin/ccotel")).contains("=/usr/bin/ccotel\n"));
    }

    #[test]
    fn a_login_file_that_reads_bashrc_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let home = ShellHome {
            home: root.path().into(),
            zsh_dir: None,
            config: root.path().join(".config"),
        };
        std::fs::write(root.path().join(".profile"), ". ~/.bashrc\n").unwrap();
        let files = |way| Shell::Bash.startup_files(way, &home);
        assert_eq!(files(Way::Hook), [root.path().join(".bashrc")]);
        std::fs::write(root.path().join(".bash_profile"), "export A=1\n").unwrap();
        let both = [root.path().join(".bashrc"), root.path().join(".bash_profile")];
        assert_eq!(files(Way::Hook), both);
        assert_eq!(files(Way::Shim), both);
    }

    #[test]
    fn shells_are_known_by_their_name() {
        assert_eq!(Shell::of_path(Path::new("/opt/homebrew/bin/fish")), Some(Shell::Fish));
        assert_eq!(Shell::of_path(Path::new("/bin/dash")), None);
    }
}
