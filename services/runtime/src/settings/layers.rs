//! The values of the settings and their sources, before they are parsed.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use secrecy::{ExposeSecret as _, SecretString};

use super::definition::{Definition, Source};
use super::error::SettingsError;
use super::table::SETTINGS;
use super::value::Setting;

/// The value of every setting and limit as it was given, with its source. All values are held as
/// secrets, so that none of them can get into a log by mistake.
#[derive(Clone, Debug, Default)]
pub struct Layers(BTreeMap<&'static str, (SecretString, Source)>);

impl Layers {
    pub(super) fn put(&mut self, name: &'static str, value: String, source: Source) {
        self.0.insert(name, (value.into(), source));
    }

    /// The default of a definition.
    pub(super) fn put_default(&mut self, definition: &Definition) {
        let default = definition.default.to_owned();
        self.put(definition.name, default, Source::Default);
    }

    /// The value of a setting as it was given, and its source.
    pub(super) fn origin(&self, name: &str) -> (&str, Source) {
        let found = self.0.get(name);
        found.map_or(("", Source::Default), |(value, source)| {
            (value.expose_secret(), *source)
        })
    }

    /// Parses a value as its type and converts it into its field.
    pub(super) fn get<T, F>(&self, name: &str) -> Result<F, SettingsError>
    where
        T: FromStr<Err: fmt::Display> + Setting<F>,
    {
        let (value, _) = self.origin(name);
        let read = value.parse().map_err(|error: T::Err| error.to_string());
        let field = read.and_then(|read: T| read.into_field().map_err(|error| error.to_string()));
        field.map_err(|reason| self.wrong(name, reason))
    }

    /// The error for a setting whose value is unusable.
    pub(super) fn wrong(&self, name: &str, reason: impl Into<String>) -> SettingsError {
        let (value, source_name) = self.origin(name);
        let definition = SETTINGS.iter().find(|definition| definition.name == name);
        let value = definition.map_or_else(|| value.to_owned(), |setting| setting.shown(value));
        SettingsError::Value {
            name: name.to_owned(),
            value,
            source_name,
            reason: reason.into(),
        }
    }
}
