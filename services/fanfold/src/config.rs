//! `fanfold config`: the effective settings.

use std::io::{Write, stdout};
use std::process::ExitCode;

use runtime::{Aws, Definition, Part, Settings};

/// The text printed in place of a secret.
const MASK: &str = "***";

/// Prints every setting with its value, grouped by part.
pub fn print(settings: &Settings) -> anyhow::Result<ExitCode> {
    let mut out = stdout().lock();
    for part in Part::ALL {
        writeln!(out, "# {}", part.title())?;
        for definition in Settings::definitions().iter().filter(|d| d.part == part) {
            let (value, source) = settings.origin(definition);
            let shown = if definition.secret && !value.is_empty() {
                masked(value)
            } else {
                value.to_owned()
            };
            let Definition { name, about, .. } = definition;
            writeln!(out, "{name}={shown}  # {source}: {about}")?;
        }
        if part == Part::References {
            print_aws(&mut out, &settings.aws)?;
        }
        writeln!(out)?;
    }
    for task_type in settings.task_types.iter() {
        writeln!(
            out,
            "# task type {}: matches {:?}, executor {}, {} attempts, {:?} each, {} at once",
            task_type.name,
            task_type.matches,
            worker::describe(task_type)?,
            task_type.retry.attempts,
            task_type.time_limit,
            task_type.concurrency,
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the variables for `s3://` objects, which are no settings of Fanfold's own.
fn print_aws(out: &mut impl Write, aws: &Aws) -> anyhow::Result<()> {
    for (name, about, secret) in Aws::VARIABLES {
        let value = aws.value(name);
        let shown = if secret && !value.is_empty() {
            MASK
        } else {
            value
        };
        writeln!(out, "{name}={shown}  # environment only: {about}")?;
    }
    Ok(())
}

/// Masks the user and password of a URL, and all of a text that is not a URL.
fn masked(secret: &str) -> String {
    secret
        .split(',')
        .map(|url| match (url.find("://"), url.rfind('@')) {
            (Some(scheme), Some(at)) => format!("{}{MASK}{}", &url[..scheme + 3], &url[at..]),
            (Some(_), None) => url.to_owned(),
            (None, _) => MASK.to_owned(),
        })
        .collect::<Vec<_>>()
        .join(",")
}
