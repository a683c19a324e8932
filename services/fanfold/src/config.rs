//! `fanfold config`: the effective settings.

use std::process::ExitCode;

use runtime::Settings;

/// What stands in the place of a secret.
const MASK: &str = "***";

pub fn print(settings: &Settings) -> anyhow::Result<ExitCode> {
    for definition in Settings::definitions() {
        let (value, source) = settings.origin(definition);
        let shown = if definition.secret && !value.is_empty() {
            masked(value)
        } else {
            value.to_owned()
        };
        println!(
            "{}={shown}  # {source}: {}",
            definition.name, definition.about
        );
    }
    for task_type in settings.task_types.iter() {
        println!(
            "# task type {}: matches {:?}, executor {}, {} attempts, {:?} each, {} at once",
            task_type.name,
            task_type.matches,
            worker::describe(task_type)?,
            task_type.retry.attempts,
            task_type.time_limit,
            task_type.concurrency,
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// A URL keeps its place; its user and password go.
fn masked(url: &str) -> String {
    url.split(',')
        .map(|url| match (url.find("://"), url.rfind('@')) {
            (Some(scheme), Some(at)) => format!("{}{MASK}{}", &url[..scheme + 3], &url[at..]),
            _ => url.to_owned(),
        })
        .collect::<Vec<_>>()
        .join(",")
}
