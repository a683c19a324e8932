use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::{LogFormat, ProcessConfig, Wrong};

/// Starts the structured logs of this process on stderr.
pub fn start_logs(process: &ProcessConfig) -> Result<(), Wrong> {
    let filter = EnvFilter::try_new(&process.log_filter)
        .map_err(|error| Wrong::new("RUST_LOG", error.to_string()))?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if process.log_format == LogFormat::Json {
        subscriber.json().flatten_event(true).init();
    } else {
        let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        subscriber.with_ansi(colours).with_target(false).init();
    }
    Ok(())
}
