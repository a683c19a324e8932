//! The settings: flags over environment over file over defaults, each parsed once.

#[macro_use]
mod declare;
mod auth_mode;
mod aws;
mod callers;
mod definition;
mod error;
mod facts;
mod layers;
mod log_format;
mod metadata_headers;
mod removed;
mod secret;
mod table;
mod tenants;
mod topology_mode;
mod value;

use std::path::Path;
use std::time::Duration;

use domain::request::Rules;
pub use nats::{have_userinfo, shown_urls};

use crate::task_types::TaskTypes;

use layers::Layers;

pub use auth_mode::AuthMode;
pub use aws::Aws;
pub use definition::{Definition, Part, Secrecy, Source};
pub use error::{SettingsError, Wrong};
pub use facts::{Facts, TASK_TYPES, changed_facts};
pub use log_format::LogFormat;
pub use metadata_headers::MetadataHeaders;
pub use secret::{MASK, credential, read as read_secret};
pub use table::{
    ApiConfig, CallersConfig, ConnectionsConfig, Deployment, ProcessConfig, ReferencesConfig,
    Settings, WebhooksConfig, WorkerConfig,
};
pub use tenants::{Quotas, TenantConfig, Tenants};
pub use topology_mode::TopologyMode;

/// How much longer than a request's timeout the log must live, so that the orchestrator can still
/// process the timeout.
pub const LOG_OUTLIVES: Duration = Duration::from_mins(1);

impl Settings {
    /// All settings, in the order in which they are documented.
    #[must_use]
    pub fn definitions() -> &'static [Definition] {
        table::SETTINGS
    }

    /// All limits, in the order in which they are documented. Their values are fixed, except in
    /// builds for tests.
    #[must_use]
    pub fn limits() -> &'static [Definition] {
        table::LIMITS
    }

    /// The error for a flag of an earlier version, such as `--nats-port`, or for a secret.
    #[must_use]
    pub fn removed_flag(flag: &str) -> Option<SettingsError> {
        let flag = flag.trim_start_matches('-').replace('-', "_");
        let flag = flag.to_uppercase();
        let mut secrets = table::SETTINGS.iter();
        if let Some(secret) = secrets.find(|d| d.secrecy == Secrecy::Secret && d.name == flag) {
            return Some(SettingsError::OnCommandLine { name: secret.name });
        }
        let reason = removed::instead(&flag)?;
        Some(SettingsError::Removed { reason })
    }

    /// Parses the settings from the file, if one is named, the environment and the flags. All three
    /// are looked up by the names of the definitions.
    pub fn load(
        file: Option<&Path>,
        environment: impl Fn(&str) -> Option<String>,
        flags: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        let environment = &|name: &str| environment(name).filter(|value| !value.is_empty());
        let mut table = file.map(read).transpose()?.unwrap_or_default();
        let task_types = table.remove("task-types");
        let (quotas, tenants) = (table.remove("quotas"), table.remove("tenants"));
        // Kubernetes describes a service `redis` to every pod as `REDIS_PORT=tcp://…`.
        let of_kubernetes = |value: &String| value.starts_with("tcp://");
        let is_set = |name: &&str| {
            let in_file = table.contains_key(&name.to_lowercase());
            let in_environment = environment(name).filter(|value| !of_kubernetes(value));
            in_file || in_environment.is_some() || flags(name).is_some()
        };
        if let Some(reason) = removed::names().find(is_set).and_then(removed::instead) {
            return Err(SettingsError::Removed { reason });
        }
        let mut layers = Layers::default();
        for definition in table::SETTINGS {
            let name = definition.name;
            let value = value_of(definition, &mut table, environment, &flags)?;
            match value {
                Some((value, source)) => layers.put(name, value, source),
                None => layers.put_default(definition),
            }
        }
        if let Some((unknown, _)) = table.into_iter().next() {
            return Err(file_error(file, format!("there is no setting '{unknown}'")));
        }
        for limit in table::LIMITS {
            match overridden(limit.name, environment) {
                Some(value) => layers.put(limit.name, value, Source::Environment),
                None => layers.put_default(limit),
            }
        }
        let mut settings = Self::parse(layers, Aws::read(environment)?)?;
        let (worker, most) = (&settings.worker, settings.deployment.result_max_bytes);
        settings.task_types =
            TaskTypes::read(task_types, worker, most).map_err(|reason| file_error(file, reason))?;
        settings.tenants = Tenants::read(quotas, tenants, &settings.aws)
            .map_err(|reason| file_error(file, reason))?;
        settings.check_executor()?;
        settings.check()?;
        Ok(settings)
    }

    /// Refuses an executor of no known form. It is not shown, because nobody knows which part of
    /// it is secret.
    fn check_executor(&self) -> Result<(), SettingsError> {
        let (value, source_name) = self.origins.origin("EXECUTOR");
        let reason = if !crate::task_types::is_executor(value) {
            "expected reference, echo, noop, command:PROGRAM ARGS…, or an http:// or https:// URL"
        } else if have_userinfo(value) {
            "a user and password belong into a header of the task type, where they are masked"
        } else {
            return Ok(());
        };
        Err(SettingsError::Value {
            name: "EXECUTOR".to_owned(),
            value: MASK.to_owned(),
            source_name,
            reason: reason.to_owned(),
        })
    }

    /// The source of the value of a setting.
    #[must_use]
    pub fn source(&self, definition: &Definition) -> Source {
        self.origins.origin(definition.name).1
    }

    /// What may be shown of the value of a setting.
    #[must_use]
    pub fn shown(&self, definition: &Definition) -> String {
        definition.shown(self.origins.origin(definition.name).0)
    }

    /// Whether the operator set the address of NATS; otherwise `up` starts its own server.
    #[must_use]
    pub fn nats_is_given(&self) -> bool {
        !self.origins.origin("NATS_URL").0.is_empty()
    }

    /// Checks what does not depend on facts that the deployment may have and this process does not
    /// know.
    fn check(&self) -> Result<(), SettingsError> {
        let is_set = |name: &str| self.origins.origin(name).1 != Source::Default;
        let age_is_set = is_set("LOG_MAX_AGE_SECONDS");
        self.connections
            .check()
            .map_err(|wrong| self.wrong(wrong))?;
        self.deployment.check().map_err(|wrong| self.wrong(wrong))?;
        for (name, checked) in self.deployment.check_ages() {
            if is_set(name) == age_is_set {
                checked.map_err(|reason| self.wrong(Wrong::new(name, reason)))?;
            }
        }
        let (certificate, key) = (&self.api.http_tls_cert, &self.api.http_tls_key);
        if certificate.is_empty() != key.is_empty() {
            let reason = "set HTTP_TLS_CERT and HTTP_TLS_KEY together";
            return Err(self.wrong(Wrong::new("HTTP_TLS_CERT", reason)));
        }
        if certificate.is_empty() && !self.api.http_client_ca.is_empty() {
            let reason = "it needs HTTP_TLS_CERT";
            return Err(self.wrong(Wrong::new("HTTP_CLIENT_CA", reason)));
        }
        self.callers.check().map_err(|wrong| self.wrong(wrong))?;
        self.references.check().map_err(|wrong| self.wrong(wrong))?;
        if !self.api.http_client_ca.is_empty() && !self.callers.has_keys() {
            let reason = "a certificate says who calls, and AUTH_KEYS_FILE says what the caller \
                          may do: set it (docs/security.md)";
            return Err(self.wrong(Wrong::new("HTTP_CLIENT_CA", reason)));
        }
        if self.api.payload_max_bytes > nats::STORED_MAX_BYTES {
            return Err(self.wrong(Wrong::new("PAYLOAD_MAX_BYTES", too_many_bytes())));
        }
        let (delay, grace) = (self.api.drain_delay, self.process.shutdown_grace);
        if is_set("DRAIN_DELAY_MS") && delay > grace {
            let reason = format!("it must not be longer than SHUTDOWN_GRACE_MS ({grace:?})");
            return Err(self.wrong(Wrong::new("DRAIN_DELAY_MS", reason)));
        }
        Ok(())
    }

    /// The error for a setting whose value is unusable for a reason that its type cannot know.
    #[must_use]
    pub fn wrong(&self, wrong: Wrong) -> SettingsError {
        self.origins.wrong(wrong.name, wrong.reason)
    }
}

impl Deployment {
    /// The rules for every request.
    #[must_use]
    pub fn rules(&self) -> Rules {
        Rules {
            group_timeout: self.group_timeout,
            fail_fast: self.fail_fast,
        }
    }

    /// Whether the log outlives what refers to it, for each setting that it must outlive.
    fn check_ages(&self) -> [(&'static str, Result<(), String>); 2] {
        let (log_age, outlives) = (self.log_max_age, LOG_OUTLIVES);
        let is_kept = |age: Duration| log_age.is_zero() || age <= log_age;
        // A request that the log has lost cannot go on, and looks as if it had never existed.
        let timeout = is_kept(self.request_timeout.saturating_add(outlives));
        let timeout = timeout.then_some(()).ok_or_else(|| {
            format!(
                "it must be at least {outlives:?} shorter than LOG_MAX_AGE_SECONDS ({log_age:?}), \
                 and more where failed requests are to be redriven"
            )
        });
        let read = is_kept(self.request_ttl)
            .then_some(())
            .ok_or_else(|| format!("it must not be longer than LOG_MAX_AGE_SECONDS ({log_age:?})"));
        [
            ("REQUEST_TIMEOUT_MS", timeout),
            ("REQUEST_TTL_SECONDS", read),
        ]
    }

    fn check(&self) -> Result<(), Wrong> {
        if self.result_max_bytes > nats::STORED_MAX_BYTES {
            return Err(Wrong::new("RESULT_MAX_BYTES", too_many_bytes()));
        }
        if self.shards > domain::request::PARTITIONS {
            return Err(Wrong::new("SHARDS", "it must be at most 64"));
        }
        Ok(())
    }
}

impl ReferencesConfig {
    fn check(&self) -> Result<(), Wrong> {
        refuse_userinfo("HREF_ALLOW", &self.href_allow)?;
        refuse_userinfo("S3_ENDPOINT", &self.s3_endpoint)
    }
}

/// Refuses a user and a password in URLs that nobody sends them to.
fn refuse_userinfo(name: &'static str, urls: &str) -> Result<(), Wrong> {
    if have_userinfo(urls) {
        return Err(Wrong::new(name, "no user or password belongs into its URL"));
    }
    Ok(())
}

fn too_many_bytes() -> String {
    format!("it must be at most {} MiB", nats::STORED_MAX_BYTES >> 20)
}

/// The value with which a test replaces a limit: the variable of its name with the prefix
/// `FANFOLD_TEST_`.
#[cfg(feature = "testing")]
fn overridden(name: &str, environment: impl Fn(&str) -> Option<String>) -> Option<String> {
    environment(&format!("FANFOLD_TEST_{name}"))
}

/// Nothing: only builds for tests can replace a limit.
#[cfg(not(feature = "testing"))]
fn overridden(_name: &str, _environment: impl Fn(&str) -> Option<String>) -> Option<String> {
    None
}

/// The value of a setting in the topmost layer that has it.
fn value_of(
    definition: &Definition,
    table: &mut toml::Table,
    environment: impl Fn(&str) -> Option<String>,
    flags: impl Fn(&str) -> Option<String>,
) -> Result<Option<(String, Source)>, SettingsError> {
    if let Some(value) = flags(definition.name) {
        secret::check_flag(definition, &value)?;
    }
    let mut in_table = |key: String| table.remove(&key).map(|value| text(&value));
    let own = in_table(definition.key());
    let named = if definition.secrecy == Secrecy::Open {
        None
    } else {
        in_table(definition.file().to_lowercase())
    };
    let in_file = |name: &str| {
        if name == definition.name {
            &own
        } else {
            &named
        }
        .clone()
    };
    if let Some(found) = secret::in_layer(definition, Source::Flag, flags)? {
        return Ok(Some(found));
    }
    if let Some(found) = secret::in_layer(definition, Source::Environment, &environment)? {
        return Ok(Some(found));
    }
    if let Some(found) = secret::in_layer(definition, Source::File, in_file)? {
        return Ok(Some(found));
    }
    secret::of_systemd(definition, environment)
}

fn file_error(file: Option<&Path>, reason: String) -> SettingsError {
    SettingsError::File {
        path: file.map_or_else(String::new, |path| path.display().to_string()),
        reason,
    }
}

fn read(path: &Path) -> Result<toml::Table, SettingsError> {
    std::fs::read_to_string(path)
        .map_err(|error| error.to_string())
        .and_then(|text| {
            text.parse()
                .map_err(|error: toml::de::Error| error.to_string())
        })
        .map_err(|reason| file_error(Some(path), reason))
}

fn text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
