//! The confirmation before a write: every writing command says what it will do, and needs a name, a
//! reason and a yes.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use domain::access::Action;
use operations::{Why, operator, permit};

use crate::Error;
use crate::command::ConsentArgs;

/// Announces the write on stderr. Returns who wants it and why, or an error if the user declines.
pub fn ask(will: &str, args: &ConsentArgs) -> Result<Why, Error> {
    eprintln!("{will}");
    let reason = args.reason.as_deref().unwrap_or_default();
    if reason.trim().is_empty() {
        return Err(Error::Usage("say why with --reason: it is recorded".into()));
    }
    let who = operator();
    permit(&who, Action::Operate).map_err(|error| Error::Usage(error.to_string()))?;
    let why = Why::new(who.subject(), args.by.as_deref(), reason);
    let why = why.map_err(|error| Error::Usage(error.to_string()))?;
    if !args.yes && !terminal_says_yes()? {
        return Err(Error::Usage("nothing was done: confirm with --yes".into()));
    }
    Ok(why)
}

fn terminal_says_yes() -> Result<bool, Error> {
    if !io::stdin().is_terminal() {
        return Ok(false);
    }
    eprint!("Do it? [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
