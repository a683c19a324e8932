use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::{Form, LogFormat, PrintableLines, ProcessConfig, Wrong};

/// Starts the structured logs of this process on stderr.
pub fn start_logs(process: &ProcessConfig) -> Result<(), Wrong> {
    let filter = EnvFilter::try_new(&process.log_filter)
        .map_err(|error| Wrong::new("RUST_LOG", error.to_string()))?;
    let is_json = process.log_format == LogFormat::Json;
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let form = if is_json {
        Form::Json
    } else {
        Form::Line { colours }
    };
    // Events have texts of callers in them, which must not make lines of their own.
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || PrintableLines {
            to: std::io::stderr(),
            form,
        });
    if is_json {
        subscriber.json().flatten_event(true).init();
    } else {
        subscriber.with_ansi(colours).with_target(false).init();
    }
    Ok(())
}
