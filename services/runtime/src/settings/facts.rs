//! The facts of a deployment: the settings that every role must share. They are stored with the
//! log, and every process compares its own with them.

use std::collections::BTreeMap;

use super::definition::{Definition, Part, Source};
use super::error::{SettingsError, Wrong};
use super::table::{Deployment, SETTINGS, Settings};
use crate::task_types;

/// The name of the fact that lists the task types.
pub const TASK_TYPES: &str = "TASK_TYPES";

/// Facts by name, each in the canonical form of its value.
pub type Facts = BTreeMap<String, String>;

fn definitions() -> impl Iterator<Item = &'static Definition> {
    SETTINGS.iter().filter(|d| d.part == Part::Deployment)
}

impl Settings {
    /// The facts as this process has them. `defines` says whether it needs the definitions of all
    /// task types; only such a process, or one with a file that has them, knows their names.
    #[must_use]
    pub fn facts(&self, defines: bool) -> Facts {
        let own = definitions().map(|fact| (fact.name.to_owned(), self.canonical(fact)));
        let types = defines || self.task_types.are_given();
        let types = types.then(|| (TASK_TYPES.to_owned(), self.task_types.listed()));
        own.chain(types).collect()
    }

    /// The stored facts with the task types of this process, where those are the stored ones and
    /// more. Only a process that runs the whole deployment may add types by itself.
    #[must_use]
    pub fn with_added_types(&self, stored: &Facts) -> Facts {
        let mut facts = stored.clone();
        let own = self.task_types.names();
        if let Some(listed) = facts.get_mut(TASK_TYPES)
            && listed
                .split(',')
                .all(|name| own.iter().any(|own| own == name))
        {
            *listed = self.task_types.listed();
        }
        facts
    }

    fn canonical(&self, fact: &Definition) -> String {
        let (value, _) = self.origins.origin(fact.name);
        // The value was parsed when it was loaded.
        (fact.canonical)(value).unwrap_or_else(|_| value.to_owned())
    }

    /// These settings with the stored facts in the place of those that nobody set. A fact that
    /// somebody set to another value is an error.
    pub fn adopt(&self, stored: &Facts, defines: bool) -> Result<Self, SettingsError> {
        let mut adopted = self.clone();
        let mut differences = Vec::new();
        for fact in definitions() {
            let Some(stored) = stored.get(fact.name) else {
                continue;
            };
            let (own, source) = (self.canonical(fact), self.source(fact));
            if source != Source::Default && source != Source::Deployment {
                if own != *stored {
                    differences.push(differs(fact.name, &own, &source.to_string(), stored));
                }
                continue;
            }
            let source = Source::Deployment;
            adopted.origins.put(fact.name, stored.clone(), source);
        }
        if let Some(stored) = stored.get(TASK_TYPES) {
            let own = self.task_types.listed();
            if !(defines || self.task_types.are_given()) {
                adopted.task_types.take_names(stored);
            } else if own != *stored {
                let source = if self.task_types.are_given() {
                    Source::File
                } else {
                    Source::Default
                };
                differences.push(differs(TASK_TYPES, &own, &source.to_string(), stored));
            }
        }
        if !differences.is_empty() {
            return Err(SettingsError::OtherFacts(differences));
        }
        adopted.deployment = Deployment::parse(&adopted.origins)?;
        adopted.check()?;
        for (name, checked) in adopted.deployment.check_ages() {
            checked.map_err(|reason| adopted.wrong(Wrong::new(name, reason)))?;
        }
        let most = adopted.deployment.result_max_bytes;
        adopted.task_types = adopted.task_types.bounded(most);
        Ok(adopted)
    }
}

/// The facts with these changes, each `NAME=VALUE`, in canonical form. The result is checked as at
/// a start.
pub fn changed_facts(facts: &Facts, changes: &[String]) -> Result<Facts, SettingsError> {
    let mut result = facts.clone();
    for change in changes {
        let (name, value) = change.split_once('=').ok_or_else(|| unknown(change))?;
        let name = name.trim().to_uppercase();
        let canonical = if name == TASK_TYPES {
            task_types::listed(value)
        } else {
            let fact = definitions().find(|fact| fact.name == name);
            (fact.ok_or_else(|| unknown(change))?.canonical)(value)
        };
        let canonical = canonical.map_err(|reason| SettingsError::Value {
            name: name.clone(),
            value: value.to_owned(),
            source_name: Source::Flag,
            reason,
        })?;
        result.insert(name, canonical);
    }
    let settings = Settings::load(None, |_| None, |_| None)?;
    settings.adopt(&result, false).map(|_| result)
}

fn unknown(change: &str) -> SettingsError {
    let names: Vec<&str> = definitions().map(|fact| fact.name).collect();
    let names = names.join(", ");
    SettingsError::Unknown {
        reason: format!("'{change}': expected NAME=VALUE, where NAME is {names} or {TASK_TYPES}"),
    }
}

fn differs(name: &str, own: &str, source: &str, stored: &str) -> String {
    let instead = if name == TASK_TYPES {
        "give this process the same [[task-types]]"
    } else {
        "unset it here"
    };
    // A value with a space is one word of a command line in quotes.
    let value = if own.contains(' ') {
        format!("'{own}'")
    } else {
        own.to_owned()
    };
    format!(
        "{name}='{own}' ({source}), but the deployment has {name}='{stored}': {instead}, or change \
         it for every role with `fanfold deployment set {name}={value} --reason TEXT`"
    )
}
