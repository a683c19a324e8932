//! Any program as an executor: the task document on its standard input, the result on its
//! standard output, and its exit code as the verdict.

mod confine;
mod output;
mod process;
mod verdict;

use domain::FailureCode;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::config::{MASK, max_result_bytes, secrets};
use super::{ConfigError, Fault, MAX_CAUSE_BYTES, Task, result};
use confine::Confinement;
pub use confine::{CONFINED, LimitsConfig, confined};
use process::{Outcome, Process};
use rustix::io::Errno;

/// The longest grace that can be configured: one minute.
pub const MAX_GRACE: Duration = Duration::from_mins(1);

/// The worker's own variables that a program sees unless it is configured to see more. The rest
/// of the worker's environment holds addresses and credentials that are none of its business.
const INHERITED: [&str; 7] = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER"];

/// A program and its settings.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CommandConfig {
    /// The program: a path, or a name to be found on the `PATH`. No shell is involved.
    pub program: String,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Variables set for it, which may be secret.
    #[serde(default, serialize_with = "secrets::masked")]
    pub env: secrets::Secrets,
    /// More of the worker's own variables that it may see.
    #[serde(default)]
    pub inherit_env: Vec<String>,
    /// The directory it runs in; the worker's own by default.
    #[serde(default)]
    pub directory: Option<PathBuf>,
    /// The user that it runs as: a name, or `uid:gid`. The worker has to run as root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The most that it may use.
    #[serde(default)]
    pub limits: LimitsConfig,
    /// Whether it can never gain privileges, such as by a program with the set-user-ID bit.
    #[serde(default)]
    pub no_new_privileges: bool,
    /// How long it has to stop when asked to (SIGTERM), before it is made to (SIGKILL), in
    /// milliseconds.
    #[serde(default = "default_grace_ms")]
    pub grace_ms: u64,
    /// The most bytes of its result, if the limit is below that of all results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_result_bytes: Option<usize>,
    /// Whether the tail of its standard error becomes a cause, which every caller who may read the
    /// request can see. The worker logs it in any case.
    #[serde(default)]
    pub tell_answers: bool,
    /// How many of the last bytes of its standard error are kept.
    #[serde(default = "default_max_stderr_bytes")]
    pub max_stderr_bytes: usize,
}

fn default_grace_ms() -> u64 {
    2_000
}

fn default_max_stderr_bytes() -> usize {
    MAX_CAUSE_BYTES
}

/// Runs a program for each attempt.
#[derive(Debug)]
pub struct Command {
    program: String,
    args: Vec<String>,
    env: BTreeMap<String, OsString>,
    directory: Option<PathBuf>,
    confinement: Option<Confinement>,
    grace: Duration,
    max_result_bytes: usize,
    max_stderr_bytes: usize,
    tell_answers: bool,
}

impl Command {
    pub(super) fn new(config: &CommandConfig, limit: usize) -> Result<Self, ConfigError> {
        if config.program.trim().is_empty() {
            let reason = "names no program";
            return Err(ConfigError::new("program", &config.program, reason));
        }
        let grace = Duration::from_millis(config.grace_ms);
        if grace > MAX_GRACE {
            let reason = format!("must be at most {}", MAX_GRACE.as_millis());
            return Err(ConfigError::new("grace-ms", config.grace_ms, reason));
        }
        if config.max_stderr_bytes > MAX_CAUSE_BYTES {
            let reason = format!("must be at most {MAX_CAUSE_BYTES}");
            return Err(ConfigError::new(
                "max-stderr-bytes",
                config.max_stderr_bytes,
                reason,
            ));
        }
        Ok(Self {
            program: config.program.clone(),
            args: config.args.clone(),
            env: environment(config)?,
            directory: config.directory.clone(),
            confinement: Confinement::of(
                config.user.as_deref(),
                config.limits,
                config.no_new_privileges,
            )?,
            grace,
            max_result_bytes: max_result_bytes(config.max_result_bytes, limit)?,
            max_stderr_bytes: config.max_stderr_bytes,
            tell_answers: config.tell_answers,
        })
    }

    pub(super) async fn execute(
        &self,
        task: &Task,
        time_limit: Duration,
        cancelled: &CancellationToken,
    ) -> Result<Bytes, Fault> {
        let mut process = Process::start(self, task).map_err(|e| self.not_started(&e))?;
        let outcome = tokio::select! {
            biased;
            () = cancelled.cancelled() => Err(Fault::cancelled()),
            outcome = process.run(task.document.clone()) => outcome.map_err(|e| self.lost(&e)),
            () = tokio::time::sleep(time_limit) => Err(Fault::timed_out(time_limit)),
        };
        let verdict = match outcome {
            Ok(Outcome::Exited(status)) => verdict::of(status),
            Ok(Outcome::TooBig) => Err(self.too_big()),
            Err(fault) => Err(fault),
        };
        if process.is_running() {
            process.stop(self.grace).await;
        }
        let result = match verdict {
            Ok(()) => result::checked(process.take_result()).await,
            Err(fault) => Err(fault),
        };
        result.map_err(|fault| self.told(fault, &process.last_words()))
    }

    /// A fault with what the program said last. Where the program is, and what it says, is for the
    /// operator: it goes into the log of the worker, and becomes a cause only where the
    /// configuration says so.
    fn told(&self, fault: Fault, words: &str) -> Fault {
        let (program, code) = (&self.program, &fault.code);
        // That the request was cancelled is no fault of the program.
        if code != FailureCode::TaskCancelled.as_ref() {
            tracing::warn!(program, code, said = ?words, "a program gave no result");
        }
        if self.tell_answers {
            fault.because(words)
        } else {
            fault
        }
    }

    fn not_started(&self, error: &std::io::Error) -> Fault {
        use std::io::ErrorKind;
        tracing::warn!(program = self.program, %error, "a program could not be started");
        match error.kind() {
            ErrorKind::NotFound => Fault::permanent(
                FailureCode::ProgramNotFound,
                "the program, its interpreter or its directory does not exist",
            ),
            ErrorKind::PermissionDenied => Fault::permanent(
                FailureCode::ProgramNotExecutable,
                "the program may not be executed",
            ),
            _ if Errno::from_io_error(error) == Some(Errno::NOEXEC) => Fault::permanent(
                FailureCode::ProgramNotExecutable,
                "the file is no program for this machine",
            ),
            _ => Fault::transient(
                FailureCode::ProgramNotStarted,
                "the program could not be started",
            ),
        }
        .because_of(error)
    }

    /// The program ran, but the worker lost hold of it.
    fn lost(&self, error: &std::io::Error) -> Fault {
        tracing::warn!(program = self.program, %error, "a program could not be waited for");
        let message = "the program could not be waited for";
        Fault::transient(FailureCode::ProgramLost, message).because_of(error)
    }

    fn too_big(&self) -> Fault {
        Fault::permanent(
            FailureCode::ResultTooBig,
            format!(
                "the program wrote more than max-result-bytes, {}",
                self.max_result_bytes
            ),
        )
    }
}

/// The environment of the program: some of the worker's variables, overridden by the configured
/// ones.
fn environment(config: &CommandConfig) -> Result<BTreeMap<String, OsString>, ConfigError> {
    let inherited = INHERITED
        .into_iter()
        .chain(config.inherit_env.iter().map(String::as_str));
    let mut env: BTreeMap<String, OsString> = inherited
        .filter_map(|name| Some((name.to_owned(), std::env::var_os(name)?)))
        .collect();
    for (name, value) in &config.env {
        let refused = |reason: &str| ConfigError::new(format!("env.{name}"), MASK, reason);
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(refused("not a variable's name"));
        }
        if name.starts_with("FANFOLD_") {
            return Err(refused("FANFOLD_ names are set by the worker"));
        }
        let value = value.read().map_err(|reason| refused(&reason))?;
        if value.expose_secret().contains('\0') {
            return Err(refused("holds a NUL"));
        }
        env.insert(name.clone(), value.expose_secret().into());
    }
    Ok(env)
}

#[cfg(test)]
mod tests;
