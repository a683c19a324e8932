//! `fanfold keys …`: the keys of callers.

use std::io::{Write as _, stdout};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use api::auth::keys::{KeysPlace, Line, NewKey, Proof};
use clap::Subcommand;
use domain::access::{Grant, Subject};
use jiff::{SignedDuration, Timestamp};
use runtime::{Form, Settings, printable};

/// A line of a terminal.
const LINE: Form = Form::Line { colours: false };

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
        /// A role, as tenant:role; may be given several times. The roles are submit, read, operate
        /// and admin
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
    let callers = &settings.callers;
    let place = callers.has_keys().then(|| KeysPlace::new(callers));
    match command {
        Keys::New {
            subject,
            grants,
            expires,
            certificate,
        } => {
            if subject.as_str().contains(char::is_whitespace) {
                bail!("--subject: a line of the keys file ends its subject at a space");
            }
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
            add(place.as_ref(), &line, (!certificate).then_some(&made.key))
        }
        Keys::List => list(&named(place)?),
        Keys::Revoke { id } => revoke(&named(place)?, id),
    }
}

fn named(place: Option<KeysPlace>) -> anyhow::Result<KeysPlace> {
    place.context("say which file: set AUTH_KEYS_FILE")
}

/// A time to come, or an age in the future.
fn expiry(text: &str) -> anyhow::Result<Timestamp> {
    let now = Timestamp::now();
    let at = if let Ok(at) = text.parse() {
        at
    } else {
        let before = runtime::since(text, now)?;
        let ahead: SignedDuration = now.duration_since(before);
        now.checked_add(ahead)?
    };
    if at <= now {
        bail!("--expires: {at} has passed, and the key would be refused");
    }
    Ok(at)
}

fn add(place: Option<&KeysPlace>, line: &Line, key: Option<&String>) -> anyhow::Result<ExitCode> {
    // Read back what is written, so that no line is made that the API refuses.
    let shown = line.to_string();
    let line: Line = shown.parse().map_err(anyhow::Error::msg)?;
    let shown = printable(&shown, LINE);
    if let Some(place) = place {
        place.create()?;
        place.change(|file| {
            file.add(line);
            true
        })?;
        eprintln!("added to {}: {shown}", place.path().display());
    } else {
        eprintln!("its line for AUTH_KEYS_FILE: {shown}");
    }
    if let Some(key) = key {
        writeln!(stdout(), "{key}")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn list(place: &KeysPlace) -> anyhow::Result<ExitCode> {
    let file = place.read()?;
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
        let line = format!("{id}  {proof}  {subject}  {grants}  {ends}");
        writeln!(stdout(), "{}", printable(&line, LINE))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn revoke(place: &KeysPlace, id: &str) -> anyhow::Result<ExitCode> {
    if !place.change(|file| file.remove(id))? {
        bail!("there is no key {id} in {}", place.path().display());
    }
    eprintln!("{id} is revoked");
    Ok(ExitCode::SUCCESS)
}
