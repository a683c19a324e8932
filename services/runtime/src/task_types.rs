//! The task types: a closed set that the operator configures.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::Duration;

use domain::request::RetryPolicy;
use secrecy::ExposeSecret as _;
use serde::Deserialize;

use crate::WorkerConfig;

/// The type of a valuation that no other type matches.
const DEFAULT: &str = "default";

/// The configuration of one task type.
#[derive(Clone)]
pub struct TaskType {
    /// The name, which is one token of a subject.
    pub name: String,
    /// The valuation names that this type takes; `*` stands for any text.
    pub matches: Vec<String>,
    /// The configuration of the executor, which the worker parses.
    pub executor: toml::Table,
    /// When to retry a failed attempt.
    pub retry: RetryPolicy,
    /// How long an attempt may take.
    pub time_limit: Duration,
    /// How many tasks of this type a worker runs at once.
    pub concurrency: usize,
    /// The most bytes of a result.
    pub result_max_bytes: usize,
}

impl fmt::Debug for TaskType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Variables and headers of an executor may be secret.
        f.debug_struct("TaskType")
            .field("name", &self.name)
            .field("executor", &self.executor.get("kind"))
            .finish_non_exhaustive()
    }
}

/// The closed set of task types, in the order in which they are matched. `default` is always the
/// last one.
#[derive(Clone, Debug, Default)]
pub struct TaskTypes {
    types: Vec<TaskType>,
    /// Whether the file has them.
    given: bool,
    /// The names of the deployment's types, where this process does without their definitions.
    names: Option<Vec<String>>,
}

/// A task type in the file. The entry `default`, and then the settings, fill in fields that are
/// missing.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    name: String,
    #[serde(default)]
    matches: Vec<String>,
    executor: Option<toml::Table>,
    retry: Option<toml::Table>,
    time_limit_ms: Option<u64>,
    concurrency: Option<usize>,
}

impl TaskTypes {
    /// Reads the types of the file. `most` is the size of the largest result.
    pub(crate) fn read(
        value: Option<toml::Value>,
        worker: &WorkerConfig,
        most: usize,
    ) -> Result<Self, String> {
        let given = value.is_some();
        let mut entries: Vec<Entry> = match value {
            None => Vec::new(),
            Some(value) => value
                .try_into()
                .map_err(|error: toml::de::Error| format!("task-types: {}", error.message()))?,
        };
        let mut names = HashSet::new();
        if let Some(twice) = entries.iter().find(|entry| !names.insert(&entry.name)) {
            let name = &twice.name;
            return Err(format!("task-types {name}: there are two of this name"));
        }
        let default = match entries.iter().position(|entry| entry.name == DEFAULT) {
            Some(index) => entries.remove(index),
            None => Entry::of_name(DEFAULT),
        };
        let others = entries.into_iter().map(|entry| entry.completed(&default));
        let mut types = others
            .map(|entry| TaskType::read(entry, worker, most))
            .collect::<Result<Vec<_>, String>>()?;
        types.push(TaskType::read(default, worker, most)?);
        Ok(Self {
            types,
            given,
            names: None,
        })
    }

    /// Whether the file has them.
    pub(crate) fn are_given(&self) -> bool {
        self.given
    }

    /// The names of the types in alphabetical order, separated by commas.
    pub(crate) fn listed(&self) -> String {
        let mut names = self.names();
        names.sort_unstable();
        names.join(",")
    }

    /// Takes over the listed names of the deployment's types.
    pub(crate) fn take_names(&mut self, listed: &str) {
        self.names = Some(listed.split(',').map(str::to_owned).collect());
    }

    /// These types with this size of the largest result.
    #[must_use]
    pub fn bounded(mut self, most: usize) -> Self {
        for task_type in &mut self.types {
            task_type.result_max_bytes = most;
        }
        self
    }

    /// The types, in the order in which they are matched.
    pub fn iter(&self) -> impl Iterator<Item = &TaskType> {
        self.types.iter()
    }

    /// The names of the deployment's types.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let own = || self.iter().map(|t| t.name.clone()).collect();
        self.names.clone().unwrap_or_else(own)
    }

    /// The type of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&TaskType> {
        self.iter().find(|t| t.name == name)
    }

    /// The type of a valuation with this name: the first that matches, or else `default`.
    #[must_use]
    pub fn of(&self, valuation: Option<&str>) -> &str {
        self.among(None, valuation)
    }

    /// The type of a valuation with this name, among these and `default`.
    #[must_use]
    pub fn among(&self, allowed: Option<&[String]>, valuation: Option<&str>) -> &str {
        let name = valuation.unwrap_or_default();
        let is_allowed = |t: &&TaskType| allowed.is_none_or(|names| names.contains(&t.name));
        self.iter()
            .filter(is_allowed)
            .find(|t| t.matches.iter().any(|pattern| matches(pattern, name)))
            .map_or(DEFAULT, |t| &t.name)
    }
}

impl Entry {
    fn of_name(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            matches: Vec::new(),
            executor: None,
            retry: None,
            time_limit_ms: None,
            concurrency: None,
        }
    }

    /// This entry with the fields of `default` where its own are missing.
    fn completed(mut self, default: &Self) -> Self {
        let mut retry = default.retry.clone().unwrap_or_default();
        retry.extend(self.retry.take().unwrap_or_default());
        Self {
            executor: self.executor.or_else(|| default.executor.clone()),
            retry: Some(retry),
            time_limit_ms: self.time_limit_ms.or(default.time_limit_ms),
            concurrency: self.concurrency.or(default.concurrency),
            name: self.name,
            matches: self.matches,
        }
    }
}

/// The canonical form of a list of names: in alphabetical order, with `default`.
pub(crate) fn listed(names: &str) -> Result<String, String> {
    let mut listed: Vec<&str> = names.split(',').map(str::trim).collect();
    listed.sort_unstable();
    listed.dedup();
    if let Some(wrong) = listed.iter().find(|name| !is_name(name)) {
        return Err(wrong_name(wrong));
    }
    if !listed.contains(&DEFAULT) {
        return Err(format!("the task type `{DEFAULT}` is always there"));
    }
    Ok(listed.join(","))
}

fn is_name(name: &str) -> bool {
    let token = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty() && name.len() <= 64 && name.chars().all(token)
}

fn wrong_name(name: &str) -> String {
    format!("the name '{name}' must be 1 to 64 of a-z, 0-9 and -")
}

/// A duration in the form that the file has.
fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl TaskType {
    fn read(entry: Entry, worker: &WorkerConfig, most: usize) -> Result<Self, String> {
        if !is_name(&entry.name) {
            return Err(format!("task-types: {}", wrong_name(&entry.name)));
        }
        let named =
            |error: toml::de::Error| format!("task-types {}: {}", entry.name, error.message());
        let general = BTreeMap::from([
            (
                "attempts",
                toml::Value::from(i64::from(worker.max_task_attempts)),
            ),
            ("initial_ms", toml::Value::from(millis(worker.retry_delay))),
        ]);
        let mut retry = entry.retry.clone().unwrap_or_default();
        for (key, value) in general {
            retry.entry(key).or_insert(value);
        }
        let retry: RetryPolicy = retry.try_into().map_err(named)?;
        if retry.attempts == 0 {
            return Err(format!(
                "task-types {}: attempts must be at least 1",
                entry.name
            ));
        }
        for (name, value) in [
            ("time-limit-ms", entry.time_limit_ms),
            ("concurrency", entry.concurrency.map(|places| places as u64)),
        ] {
            if value == Some(0) {
                let of = &entry.name;
                return Err(format!("task-types {of}: {name} must be at least 1"));
            }
        }
        Ok(Self {
            executor: entry
                .executor
                .unwrap_or_else(|| executor(worker.executor.expose_secret())),
            retry,
            time_limit: entry
                .time_limit_ms
                .map_or(worker.task_timeout, Duration::from_millis),
            concurrency: entry.concurrency.unwrap_or(worker.worker_concurrency),
            result_max_bytes: most,
            matches: entry.matches,
            name: entry.name,
        })
    }
}

/// The executors that need nothing but their name.
const PLAIN_EXECUTORS: [&str; 3] = ["reference", "echo", "noop"];

/// Whether the setting `EXECUTOR` may have this value.
pub(crate) fn is_executor(setting: &str) -> bool {
    let has_more = ["command:", "http://", "https://"];
    let begins = |begin: &&str| setting.starts_with(*begin);
    PLAIN_EXECUTORS.contains(&setting) || has_more.iter().any(begins)
}

/// The executor that the setting `EXECUTOR` names, in the form that the file has.
fn executor(setting: &str) -> toml::Table {
    let mut table = toml::Table::new();
    let mut put = |key: &str, value: toml::Value| {
        table.insert(key.to_owned(), value);
    };
    if let Some(line) = setting.strip_prefix("command:") {
        let mut words = line.split_whitespace();
        put("kind", "command".into());
        put("program", words.next().unwrap_or_default().into());
        put("args", words.map(str::to_owned).collect::<Vec<_>>().into());
    } else if setting.starts_with("http://") || setting.starts_with("https://") {
        put("kind", "http".into());
        put("url", setting.into());
    } else {
        put("kind", setting.into());
    }
    table
}

/// Whether a pattern, in which `*` stands for any text, matches a name.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_in_a_pattern_stands_for_any_text() {
        for (pattern, name, expected) in [
            ("bond", "bond", true),
            ("bond", "bonds", false),
            ("bond*", "bonds", true),
            ("*bond", "my bond", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c", false),
            ("*", "", true),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
