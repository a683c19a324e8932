use std::io::IsTerminal;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::{Form, LogFormat, PrintableLines, ProcessConfig, Wrong};

/// Starts the structured logs of this process on stderr.
pub fn start_logs(process: &ProcessConfig) -> Result<(), Wrong> {
    let filter = filter(&process.log_filter)?;
    let is_json = process.log_format == LogFormat::Json;
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let form = if is_json {
        Form::Json
    } else {
        Form::Line { colours }
    };
    // Events have texts of callers in them, which must not make lines of their own.
    let lines = tracing_subscriber::fmt::layer().with_writer(move || PrintableLines {
        to: std::io::stderr(),
        form,
    });
    let logs = tracing_subscriber::registry();
    if is_json {
        logs.with(lines.json().flatten_event(true))
            .with(filter)
            .init();
    } else {
        let lines = lines.with_ansi(colours).with_target(false);
        logs.with(lines).with(filter).init();
    }
    Ok(())
}

/// Levels, and targets with levels. `EnvFilter` reads the same, and fields and spans besides, which
/// nothing here has; it brings a regex engine.
fn filter(text: &str) -> Result<Targets, Wrong> {
    text.parse::<Targets>()
        .map_err(|error| Wrong::new("RUST_LOG", error.to_string()))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn a_level_is_for_every_target_that_has_none_of_its_own() {
        let filter = filter("info,async_nats=warn,api::valuation=trace").unwrap();
        for (target, level) in [
            ("worker", Level::INFO),
            ("async_nats::connector", Level::WARN),
            ("api", Level::INFO),
            ("api::valuation::submit", Level::TRACE),
        ] {
            assert!(filter.would_enable(target, &level), "{target}");
            let beyond = [
                Level::ERROR,
                Level::WARN,
                Level::INFO,
                Level::DEBUG,
                Level::TRACE,
            ]
            .into_iter()
            .find(|other| *other > level);
            let enabled = beyond.is_some_and(|beyond| filter.would_enable(target, &beyond));
            assert!(!enabled, "{target}");
        }
    }

    #[test]
    fn a_level_that_does_not_exist_is_refused_with_the_name_of_the_setting() {
        assert_eq!(filter("api=loud").unwrap_err().name, "RUST_LOG");
    }
}
