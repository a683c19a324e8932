//! `fanfold keys …`: the keys of callers.

use std::io::{Write as _, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use api::auth::keys::{KeyFile, Line, NewKey, Proof};
use clap::Subcommand;
use domain::access::{Grant, Subject};
use jiff::{SignedDuration, Timestamp};
use runtime::Settings;

/// The command on keys.
#[derive(Subcommand)]
pub enum KeysCommand {
    /// Make, list or revoke the keys of callers
    #[command(subcommand)]
    Keys(Keys),
}

/// The subcommands on keys.
#[derive(Subcommand)]
pub enum Keys {
    /// Make a key, print it once, and add its line to the keys file where one is set
    #[command(
        after_help = "Example:\n  fanfold keys new --subject desk-rates --grant default:submit \
                            --expires 90d"
    )]
    New {
        /// The caller whom the key is for
        #[arg(long)]
        subject: Subject,
        /// A role, as tenant:role; the roles are submit, read, operate and admin
        #[arg(long = "grant", required = true, value_name = "TENANT:ROLE")]
        grants: Vec<Grant>,
        /// When it ends: a timestamp, or a time from now such as 90d [default: never]
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
        /// Give the roles to the client certificate with this subject instead, without a key
        #[arg(long)]
        certificate: bool,
    },
    /// List the keys of the keys file
    List,
    /// Revoke a key of the keys file; a running API sees it within a second
    Revoke {
        /// The id of the key
        id: String,
    },
}

pub fn run(command: &KeysCommand, settings: &Settings) -> anyhow::Result<ExitCode> {
    let KeysCommand::Keys(command) = command;
    let path = settings.callers.has_keys();
    let path = path.then(|| PathBuf::from(&settings.callers.auth_keys_file));
    match command {
        Keys::New {
            subject,
            grants,
            expires,
            certificate,
        } => {
            let made = NewKey::make()?;
            let line = Line {
                id: made.id.clone(),
                proof: if *certificate {
                    Proof::Certificate
                } else {
                    Proof::Key(made.sha256)
                },
                subject: subject.clone(),
                grants: grants.clone(),
                expires: expires.as_deref().map(expiry).transpose()?,
            };
            add(path.as_deref(), &line, (!certificate).then_some(&made.key))
        }
        Keys::List => list(&named(path)?),
        Keys::Revoke { id } => revoke(&named(path)?, id),
    }
}

fn named(path: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    path.context("say which file: set AUTH_KEYS_FILE")
}

/// A time, or an age in the future.
fn expiry(text: &str) -> anyhow::Result<Timestamp> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let now = Timestamp::now();
    let before = runtime::since(text, now)?;
    let ahead: SignedDuration = now.duration_since(before);
    Ok(now.checked_add(ahead)?)
}

fn add(path: Option<&Path>, line: &Line, key: Option<&String>) -> anyhow::Result<ExitCode> {
    // Read back what was written, so that no line is made that the API refuses.
    let shown = line.to_string();
    let line: Line = shown.parse().map_err(anyhow::Error::msg)?;
    if let Some(path) = path {
        let mut file = if path.exists() {
            KeyFile::read(path)?
        } else {
            KeyFile::default()
        };
        file.add(line);
        let file: KeyFile = file.to_string().parse()?;
        file.write(path)?;
        eprintln!("added to {}: {shown}", path.display());
    } else {
        eprintln!("its line for AUTH_KEYS_FILE: {shown}");
    }
    if let Some(key) = key {
        writeln!(stdout(), "{key}")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn list(path: &Path) -> anyhow::Result<ExitCode> {
    let file = KeyFile::read(path)?;
    for line in file.lines() {
        let proof = match line.proof {
            Proof::Key(_) => "key",
            Proof::Certificate => "certificate",
        };
        let ends = match line.expires {
            Some(at) if at <= Timestamp::now() => format!("expired {at}"),
            Some(at) => format!("until {at}"),
            None => "without an end".to_owned(),
        };
        let (id, subject, grants) = (&line.id, &line.subject, line.granted());
        writeln!(stdout(), "{id}  {proof}  {subject}  {grants}  {ends}")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn revoke(path: &Path, id: &str) -> anyhow::Result<ExitCode> {
    let mut file = KeyFile::read(path)?;
    if !file.remove(id) {
        bail!("there is no key {id} in {}", path.display());
    }
    file.write(path)?;
    eprintln!("{id} is revoked");
    Ok(ExitCode::SUCCESS)
}
