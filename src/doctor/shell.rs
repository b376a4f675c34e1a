//! What `claude` is where it is typed: asked of the user's own shell, as it is after its startup files
//! and ccotel's first prompt.
//!
//! A process cannot see its parent's aliases and functions, so the shell is started once more,
//! interactive, in a session of its own (with a terminal in reach it would stop itself), and killed
//! if its startup files take too long. It is asked for the alias, the function and the path.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::check::Check;
use super::remedy::{ours, quoted};
use crate::exit::Exit;
use crate::paths::Paths;
use crate::setup::shell::{Shell, ShellHome, Way};
use crate::subprocess;

/// Slow startup files are common.
const SHELL_WAIT: Duration = Duration::from_secs(8);

/// Between the answers, since startup files may print whatever they like.
const MARK: &str = "@@ccotel@@";

const OF_BASH: &str = r#"
if declare -F __ccotel_first_prompt >/dev/null; then
  case "${PROMPT_COMMAND[*]-}" in *__ccotel_first_prompt*) __ccotel_first_prompt ;; esac
fi
printf '\n@@ccotel@@\n'; alias claude 2>/dev/null
printf '\n@@ccotel@@\n'; declare -f claude
printf '\n@@ccotel@@\n'; type -P claude
printf '\n@@ccotel@@\n'
"#;
const OF_ZSH: &str = r#"
case " ${precmd_functions[*]-} " in *" __ccotel_first_prompt "*) __ccotel_first_prompt ;; esac
printf '\n@@ccotel@@\n'; alias claude 2>/dev/null
printf '\n@@ccotel@@\n'; typeset -f claude
printf '\n@@ccotel@@\n'; whence -p claude
printf '\n@@ccotel@@\n'
"#;
const OF_FISH: &str = r"
functions -q __ccotel_first_prompt; and __ccotel_first_prompt
printf '\n@@ccotel@@\n'
printf '\n@@ccotel@@\n'; functions claude
printf '\n@@ccotel@@\n'; type -P claude 2>/dev/null
printf '\n@@ccotel@@\n'
";

/// What a shell makes of the word.
#[derive(Debug, Default, PartialEq, Eq)]
struct Claude {
    alias: String,
    function: String,
    path: PathBuf,
}

pub fn check(paths: &Paths) -> Check {
    let Some(named) = std::env::var_os("SHELL").filter(|shell| !shell.is_empty()) else {
        return Check::not_checked("shell", "SHELL is not set: nobody types here");
    };
    let named = PathBuf::from(named);
    let Some(shell) = Shell::of_path(&named) else {
        let why = format!("{} is none of bash, zsh and fish", named.display());
        return Check::not_checked("shell", why).by_hand(
            "an alias claude='ccotel claude' in its startup file does what the hook does",
        );
    };
    if !named.exists() {
        let why = format!("SHELL names {}, which is not there", named.display());
        return Check::not_checked("shell", why)
            .by_hand("set SHELL to the shell that you type into (`chsh` sets it for good)");
    }
    let unanswered = match ask(&named) {
        Ok(said) => match parse(&said) {
            Some(claude) => return judge(shell, &claude, paths),
            None => format!("{} gave no answer: its startup files ended it", named.display()),
        },
        Err(error) => format!("asking {}: {error}", named.display()),
    };
    Check::not_checked("shell", unanswered).by_hand(format!(
        "see what in the startup files of {0} ends it, waits, or becomes another shell (`exec`); \
         `{0} -i -c 'type claude'` shows what `claude` is there",
        shell.name()
    ))
}

fn ask(shell: &Path) -> Result<String, subprocess::Unanswered> {
    let own = crate::agent::spawn::own_exe()
        .map_err(|error| subprocess::Unanswered::NotStarted(error.to_string()))?;
    let mut command = Command::new(own);
    command.arg0("ccotel").args(["doctor", "--in-shell"]).arg(shell);
    subprocess::output(&mut command, SHELL_WAIT)
}

/// Becomes the shell, away from any terminal: `ccotel doctor --in-shell SHELL`. Returns if it cannot.
pub fn become_shell(program: &Path) -> Exit {
    let script = match Shell::of_path(program) {
        Some(Shell::Bash) => OF_BASH,
        Some(Shell::Zsh) => OF_ZSH,
        Some(Shell::Fish) => OF_FISH,
        None => return Exit::Usage,
    };
    if let Err(error) = rustix::process::setsid() {
        eprintln!("ccotel: no session of its own for {}: {error}", program.display());
        return Exit::Failed;
    }
    let error = Command::new(program).args(["-i", "-c", script]).exec();
    eprintln!("ccotel: {} cannot be executed: {error}", program.display());
    Exit::CannotExecute
}

fn parse(said: &str) -> Option<Claude> {
    let mut parts = said.split(MARK).skip(1).map(str::trim);
    let (alias, function, path) = (parts.next()?, parts.next()?, parts.next()?);
    parts.next()?;
    let path = path.lines().next().unwrap_or_default().into();
    Some(Claude { alias: alias.to_owned(), function: function.to_owned(), path })
}

fn judge(shell: Shell, claude: &Claude, paths: &Paths) -> Check {
    let name = shell.name();
    let hooked = claude.function.contains("__ccotel_");
    let by_path = leads_to_us(&claude.path);
    if let Some(word) = bypassing(&claude.alias) {
        let why = format!(
            "in {name}, `{}` comes before ccotel: what is typed as `claude` is not counted",
            claude.alias
        );
        let check = Check::failed("shell", why);
        return if leads_to_us(Path::new(&word)) {
            Check::ok("shell", format!("in {name}, `{}` leads to ccotel", claude.alias))
        } else if hooked {
            check
                .by_hand("the hook has to come after what sets this alias")
                .remedy(again(shell, paths))
        } else {
            check.remedy(ours("setup --yes"))
        };
    }
    match (hooked, claude.function.is_empty(), by_path) {
        (true, ..) => {
            let alias = if claude.alias.is_empty() { "" } else { ", with what your alias adds" };
            Check::ok("shell", format!("in {name}, `claude` is ccotel's function{alias}"))
        }
        (false, false, _) if claude.function.contains("ccotel") => {
            Check::ok("shell", format!("in {name}, `claude` is your function, which names ccotel"))
        }
        (false, false, _) => {
            let why = format!("in {name}, `claude` is a function that does not lead to ccotel");
            Check::warning("shell", why).remedy(ours("setup --yes"))
        }
        (false, true, true) => {
            Check::ok("shell", format!("in {name}, `claude` is ccotel's shim on PATH"))
        }
        (false, true, false) => {
            let why = format!("in {name}, `claude` is Claude Code itself, and is not counted");
            Check::warning("shell", why)
                .by_hand("`ccotel claude` is counted, without any setup")
                .remedy(ours("setup --yes"))
        }
    }
}

/// The program that an alias leads to past the function; `None` if it does not.
fn bypassing(alias: &str) -> Option<String> {
    let (_, text) = alias.trim().split_once('=')?;
    let text = text.trim_matches(['\'', '"']);
    let mut words = text.split_whitespace();
    let first = words.find(|word| !is_assignment(word))?;
    let first = if first == "command" { words.next()? } else { first };
    (first != "claude" && first != "ccotel").then(|| first.to_owned())
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    })
}

fn leads_to_us(program: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    program.is_absolute()
        && real(program)
            .is_some_and(|path| std::env::current_exe().is_ok_and(|own| real(&own) == Some(path)))
}

/// The hook once more, at the end of the startup file: it may be there twice.
fn again(shell: Shell, paths: &Paths) -> String {
    let home = ShellHome {
        home: paths.home.clone(),
        zsh_dir: std::env::var_os("ZDOTDIR").map(PathBuf::from).filter(|dir| dir.is_absolute()),
        config: crate::service::config_home(paths),
    };
    let file = shell.startup_files(Way::Hook, &home).into_iter().next();
    let file = file.unwrap_or_else(|| paths.home.join(".bashrc"));
    let program = ours("init");
    let line = match shell {
        Shell::Bash => format!("eval -- \"$({program} bash)\""),
        Shell::Zsh => format!("eval \"$({program} zsh)\""),
        Shell::Fish => format!("{program} fish | source"),
    };
    format!("echo {} >> {}", super::remedy::quoted_word(&line), quoted(&file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_that_lead_past_the_function_are_told_from_those_that_add_to_it() {
        for (alias, expected) in [
            ("", None),
            ("alias claude='claude --verbose'", None),
            ("alias claude='CCOTEL_CLAUDE=/opt/claude claude -v'", None),
            ("claude='ccotel claude'", None),
            ("alias claude='/opt/claude --verbose'", Some("/opt/claude")),
            ("claude='docker run claude'", Some("docker")),
            ("alias claude='command claude'", None),
        ] {
            assert_eq!(bypassing(alias).as_deref(), expected, "{alias}");
        }
    }

    #[test]
    fn whatever_startup_files_print_is_left_out() {
        let said = format!("hello\n{MARK}\nalias\n{MARK}\n\n{MARK}\n/bin/claude\n\n{MARK}\n");
        let claude = parse(&said).unwrap();
        let path = PathBuf::from("/bin/claude");
        assert_eq!(claude, Claude { alias: "alias".into(), function: String::new(), path });
        assert_eq!(parse("hello"), None);
    }
}
