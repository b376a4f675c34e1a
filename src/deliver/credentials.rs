//! Credentials: what a destination wants to see, never older than its source.
//!
//! Files are read before each use: they are a few bytes, and a token that was renewed on disk is in
//! effect with the next request. A command's token is kept for 5 minutes, or until it is refused.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::client::Failure;
use crate::agent::files::words;
use crate::config::destination::Credentials;
use crate::subprocess::{self, Unanswered};

/// Longest that a `token_command` may run.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);
const COMMAND_TOKEN_KEPT: Duration = Duration::from_mins(5);
/// Longest token or password in a file.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// What goes into the `Authorization` header.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    None,
    Bearer(String),
    Basic { username: String, password: String },
}

/// Where it comes from, with a command's last token.
#[derive(Debug)]
pub struct Authorization {
    credentials: Credentials,
    kept: Mutex<Option<(Instant, Secret)>>,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret")
    }
}

impl Authorization {
    pub fn new(credentials: Credentials) -> Self {
        Self { credentials, kept: Mutex::new(None) }
    }

    /// Read anew, but for a command's token of the last 5 minutes.
    pub async fn secret(&self) -> Result<Secret, Failure> {
        if self.credentials == Credentials::None {
            return Ok(Secret::None);
        }
        if let Some(secret) = self.kept() {
            return Ok(secret);
        }
        let credentials = self.credentials.clone();
        // Files may lie on a slow disk, and commands take their time.
        let secret = tokio::task::spawn_blocking(move || read(&credentials))
            .await
            .map_err(|error| Failure::Setup(format!("cannot read the credentials: {error}")))??;
        if matches!(self.credentials, Credentials::BearerCommand(_)) {
            *self.kept.lock().unwrap_or_else(PoisonError::into_inner) =
                Some((Instant::now(), secret.clone()));
        }
        Ok(secret)
    }

    /// The backend refused it: a command runs again before the next request. True if there was a
    /// kept token, so that another one may do better.
    pub fn forget(&self) -> bool {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
    }

    fn kept(&self) -> Option<Secret> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref()
            .filter(|(at, _)| at.elapsed() < COMMAND_TOKEN_KEPT)
            .map(|(_, secret)| secret.clone())
    }
}

fn read(credentials: &Credentials) -> Result<Secret, Failure> {
    match credentials {
        Credentials::None => Ok(Secret::None),
        Credentials::BearerFile(path) => read_secret(path, "bearer_token_file").map(Secret::Bearer),
        Credentials::BearerCommand(command) => run(command).map(Secret::Bearer),
        Credentials::Basic { username, password_file } => Ok(Secret::Basic {
            username: username.clone(),
            password: read_secret(password_file, "password_file")?,
        }),
    }
}

/// The file's content without the white space around it.
fn read_secret(path: &Path, key: &str) -> Result<String, Failure> {
    let shown = path.display();
    let mut secret = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(SECRET_BYTES_MAX).read_to_string(&mut secret))
        .map_err(|error| {
            Failure::Setup(format!("cannot read {key} {shown} ({}); correct it", words(&error)))
        })?;
    let secret = secret.trim();
    if secret.is_empty() {
        return Err(Failure::Setup(format!("{key} {shown} is empty; put the secret into it")));
    }
    Ok(secret.to_owned())
}

/// The first line that the command prints. What it says of an error may have the secret in it.
fn run(command: &str) -> Result<String, Failure> {
    let failed = |what: String| Failure::Setup(format!("token_command {what}; correct it"));
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).process_group(0);
    let printed = subprocess::output(&mut shell, COMMAND_TIMEOUT).map_err(|error| match error {
        Unanswered::NotStarted(why) => failed(format!("cannot be started ({why})")),
        Unanswered::TimedOut(wait) => {
            failed(format!("ran for more than {} seconds", wait.as_secs()))
        }
        Unanswered::Failed(status, _) => failed(format!("failed ({status})")),
    })?;
    match printed.lines().next().map(str::trim) {
        Some(token) if !token.is_empty() => Ok(token.to_owned()),
        _ => Err(failed("printed nothing".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_renewed_token_file_is_in_effect_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let authorization = Authorization::new(Credentials::BearerFile(path.clone()));
        let error = authorization.secret().await.unwrap_err().to_string();
        assert!(error.contains("bearer_token_file") && error.contains("does not exist"), "{error}");
        for token in ["first", "second"] {
            std::fs::write(&path, format!("{token}\n")).unwrap();
            let secret = authorization.secret().await.unwrap();
            assert_eq!(secret, Secret::Bearer(token.to_owned()));
        }
        std::fs::write(&path, "\n").unwrap();
        assert!(authorization.secret().await.unwrap_err().to_string().contains("is empty"));
    }

    #[tokio::test]
    async fn a_command_runs_again_only_after_its_token_was_refused() {
        let dir = tempfile::tempdir().unwrap();
        let runs = dir.path().join("runs");
        let command = format!("echo x >> '{0}'; wc -l < '{0}'", runs.display());
        let authorization = Authorization::new(Credentials::BearerCommand(command));
        let mut values = Vec::new();
        for refused in [false, true, false] {
            values.push(authorization.secret().await.unwrap());
            if refused {
                authorization.forget();
            }
        }
        assert_eq!(values, ["1", "1", "2"].map(|token| Secret::Bearer(token.to_owned())));
    }

    #[tokio::test]
    async fn a_child_that_a_command_leaves_behind_is_not_waited_for() {
        let began = std::time::Instant::now();
        let command = "sleep 9 & echo token";
        let authorization = Authorization::new(Credentials::BearerCommand(command.to_owned()));
        let secret = authorization.secret().await.unwrap();
        assert_eq!(secret, Secret::Bearer("token".to_owned()));
        assert!(began.elapsed().as_secs() < 8, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_command_that_fails_says_so() {
        for (command, words) in [("exit 3", "failed"), ("true", "printed nothing")] {
            let authorization = Authorization::new(Credentials::BearerCommand(command.to_owned()));
            let error = authorization.secret().await.unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[tokio::test]
    async fn a_password_comes_without_its_line_end_and_is_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let password_file = dir.path().join("password");
        std::fs::write(&password_file, "open sesame\n").unwrap();
        let username = "Aladdin".to_owned();
        let basic = Credentials::Basic { username: username.clone(), password_file };
        let secret = Authorization::new(basic).secret().await.unwrap();
        assert!(!format!("{secret:?}").contains("sesame"));
        assert_eq!(secret, Secret::Basic { username, password: "open sesame".to_owned() });
    }
}
