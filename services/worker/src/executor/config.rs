//! The configuration of an executor, as the operator writes it.

use serde::{Deserialize, Serialize};

use super::command::CommandConfig;
use super::http::HttpConfig;

/// How the tasks of a type are executed: `kind` and what that kind needs.
///
/// Serialising shows the effective configuration with secrets masked, so what is written is for
/// reading, not for loading again.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ExecutorConfig {
    /// The built-in valuer.
    Reference(NothingElse),
    /// The document as it is.
    Echo(NothingElse),
    /// An empty valuation.
    Noop(NothingElse),
    /// A program.
    Command(CommandConfig),
    /// A service.
    Http(HttpConfig),
    /// None: workers of others take the tasks.
    External(NothingElse),
}

/// The settings of a kind that has none: it exists so that a stray one is refused.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NothingElse {}

/// A configured value that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} = {value:?}: {reason}")]
pub struct ConfigError {
    /// The field, as the configuration spells it.
    pub field: String,
    /// The value, or `***` where it may be a secret.
    pub value: String,
    /// The reason why the value cannot be used.
    pub reason: String,
}

impl ConfigError {
    pub(super) fn new(
        field: impl Into<String>,
        value: impl std::fmt::Display,
        reason: impl Into<String>,
    ) -> Self {
        Self {
            field: field.into(),
            value: format!("{value}"),
            reason: reason.into(),
        }
    }
}

/// The most bytes of a result: those of all results, or fewer where an executor says so.
pub(super) fn max_result_bytes(own: Option<usize>, all: usize) -> Result<usize, ConfigError> {
    let wrong = |bytes, reason| Err(ConfigError::new("max-result-bytes", bytes, reason));
    match own {
        None => Ok(all),
        Some(0) => wrong(0, "must be at least 1".to_owned()),
        Some(own) if own > all => wrong(own, format!("must be at most RESULT_MAX_BYTES, {all}")),
        Some(own) => Ok(own),
    }
}

/// The text that is shown in place of a secret.
pub(super) const MASK: &str = "***";

/// Values that may be secrets, by name.
pub(super) mod secrets {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use secrecy::SecretString;
    use serde::{Deserialize, Serializer};

    /// By name, in a stable order.
    pub type Secrets = BTreeMap<String, Secret>;

    /// A value that may be a secret, and where it is.
    #[derive(Clone, Debug, Deserialize)]
    #[serde(untagged)]
    pub enum Secret {
        /// The value itself.
        Value(SecretString),
        /// The file that has it.
        File {
            /// The path of the file.
            file: PathBuf,
        },
        /// The credential of systemd that has it.
        Credential {
            /// The name of the credential.
            credential: String,
        },
    }

    impl Secret {
        /// The value.
        pub fn read(&self) -> Result<SecretString, String> {
            match self {
                Self::Value(value) => Ok(value.clone()),
                Self::File { file } => runtime::read_secret(file).map(SecretString::from),
                Self::Credential { credential } => {
                    runtime::credential(credential).map(SecretString::from)
                }
            }
        }
    }

    /// Writes the names, and a mask for each value.
    pub fn masked<S: Serializer>(secrets: &Secrets, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(secrets.keys().map(|name| (name, super::MASK)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::Executor;

    const MOST: usize = 10_485_760;

    fn parsed(toml: &str) -> Result<ExecutorConfig, toml::de::Error> {
        toml::from_str(toml)
    }

    fn refused(toml: &str) -> String {
        match parsed(toml) {
            Err(error) => error.to_string(),
            Ok(config) => Executor::new(&config, MOST).unwrap_err().to_string(),
        }
    }

    #[test]
    fn every_kind_has_a_short_form() {
        for (toml, kind) in [
            ("kind = 'reference'", "reference"),
            ("kind = 'echo'", "echo"),
            ("kind = 'noop'", "noop"),
            ("kind = 'command'\nprogram = 'cat'", "command"),
            ("kind = 'http'\nurl = 'http://localhost/value'", "http"),
        ] {
            let executor = Executor::new(&parsed(toml).unwrap(), MOST).unwrap();
            assert_eq!(executor.unwrap().kind(), kind);
        }
        let external = parsed("kind = 'external'").unwrap();
        assert!(Executor::new(&external, MOST).unwrap().is_none());
    }

    #[test]
    fn every_setting_has_a_name() {
        parsed(
            "kind = 'command'\nprogram = 'p'\nargs = ['a']\nenv = { A = 'b' }\ninherit-env = ['X']\n\
             directory = '/tmp'\ngrace-ms = 1\nmax-result-bytes = 2\nmax-stderr-bytes = 3",
        )
        .unwrap();
        parsed(
            "kind = 'http'\nurl = 'http://h'\nheaders = { a = 'b' }\nconnect-timeout-ms = 1\n\
             max-result-bytes = 2",
        )
        .unwrap();
    }

    #[test]
    fn a_bad_value_names_itself() {
        for (toml, says) in [
            ("kind = 'magic'", "magic"),
            ("kind = 'echo'\nspeed = 3", "speed"),
            ("kind = 'external'\nurl = 'http://h'", "url"),
            ("kind = 'command'", "program"),
            ("kind = 'command'\nprogram = ' '", "program = \" \": "),
            (
                "kind = 'command'\nprogram = 'p'\nmax-result-bytes = 0",
                "max-result-bytes = \"0\": must be at least 1",
            ),
            (
                "kind = 'http'\nurl = 'http://h'\nmax-result-bytes = 10485761",
                "max-result-bytes = \"10485761\": must be at most RESULT_MAX_BYTES, 10485760",
            ),
            (
                "kind = 'command'\nprogram = 'p'\nmax-stderr-bytes = 100000",
                "max-stderr-bytes = \"100000\": must be at most 4096",
            ),
            (
                "kind = 'command'\nprogram = 'p'\ngrace-ms = 9000000",
                "grace-ms = \"9000000\": must be at most 60000",
            ),
            (
                "kind = 'command'\nprogram = 'p'\nenv = { FANFOLD_TASK = '1' }",
                "env.FANFOLD_TASK",
            ),
            (
                "kind = 'command'\nprogram = 'p'\nenv = { 'A=B' = '1' }",
                "env.A=B",
            ),
            (
                "kind = 'http'\nurl = 'ftp://host/x'",
                "url = \"ftp://host/x\": ",
            ),
            ("kind = 'http'\nurl = 'nonsense'", "url = \"nonsense\": "),
            (
                "kind = 'http'\nurl = 'http://h'\nheaders = { 'a b' = 'c' }",
                "headers.a b",
            ),
            (
                "kind = 'http'\nurl = 'http://h'\nheaders = { Idempotency-Key = 'c' }",
                "headers.Idempotency-Key",
            ),
            (
                "kind = 'http'\nurl = 'http://h'\nconnect-timeout-ms = 0",
                "connect-timeout-ms = \"0\": must be at least 1",
            ),
        ] {
            let refused = refused(toml);
            assert!(refused.contains(says), "{refused:?} does not say {says:?}");
        }
    }

    #[test]
    fn secrets_are_never_shown() {
        for toml in [
            "kind = 'http'\nurl = 'http://h'\nheaders = { authorization = 'hunter2\\u0000' }",
            "kind = 'command'\nprogram = 'p'\nenv = { TOKEN = \"hunter2\\u0000\" }",
        ] {
            let toml = toml.replace("'hunter2\\u0000'", "\"hunter2\\u0000\"");
            let config = parsed(&toml).unwrap();
            let shown = serde_json::to_string(&config).unwrap() + &format!("{config:?}");
            let refused = Executor::new(&config, MOST).unwrap_err().to_string();
            assert!(shown.contains(MASK), "{shown}");
            assert!(!shown.contains("hunter2") && !refused.contains("hunter2"));
        }
        let refused = refused("kind = 'http'\nurl = 'http://me:hunter2@host/'");
        assert!(!refused.contains("hunter2"), "{refused}");
    }
}
