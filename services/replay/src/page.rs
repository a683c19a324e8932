//! Prints output, through a pager if the text is higher than the terminal.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::{Command, Stdio};

use runtime::{Form, printable};

use crate::Error;
use crate::output::Paint;

/// Prints a text.
pub fn print(text: &str) -> Result<(), Error> {
    let text = if text.ends_with('\n') {
        text.to_owned()
    } else {
        format!("{text}\n")
    };
    let text = shown(&text);
    let height = terminal_size::terminal_size().map(|(_, height)| usize::from(height.0));
    let long = height.is_some_and(|height| text.lines().count() >= height);
    if long && io::stdout().is_terminal() && through_pager(&text) {
        return Ok(());
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}

/// Whether there is a pager and it took the text.
fn through_pager(text: &str) -> bool {
    let pager = std::env::var("PAGER").unwrap_or_else(|_| "less -FRX".into());
    let mut words = pager.split_whitespace();
    let Some(program) = words.next() else {
        return false;
    };
    let started = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .spawn();
    let Ok(mut pager) = started else {
        return false;
    };
    if let Some(mut stdin) = pager.stdin.take() {
        // A user who leaves the pager has read enough.
        let _ = stdin.write_all(text.as_bytes());
    }
    pager.wait().is_ok()
}

/// The text with escapes in place of the control characters that others put into it.
fn shown(text: &str) -> Cow<'_, str> {
    let colours = Paint::of_stdout().colours;
    printable(text, Form::Lines { colours })
}

/// Prints a text with the end of the line, without a pager.
pub fn text(text: &str) -> Result<(), Error> {
    let text = shown(text);
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        stdout.write_all(b"\n")?;
    }
    Ok(stdout.flush()?)
}

/// Prints one object on a line of its own.
pub fn line(value: &serde_json::Value) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    let text = value.to_string();
    Ok(writeln!(stdout, "{}", printable(&text, Form::Json))?)
}
