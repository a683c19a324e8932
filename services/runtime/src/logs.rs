use std::io::IsTerminal;

use metrics::LogEvents;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::{Form, LogFormat, PrintableLines, ProcessConfig, Wrong};

/// Counts the lines that somebody should read.
struct Counting(LogEvents);

impl<S: Subscriber> Layer<S> for Counting {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        match *event.metadata().level() {
            Level::ERROR => self.0.errors.inc(),
            Level::WARN => self.0.warnings.inc(),
            _ => 0,
        };
    }
}

/// Starts the structured logs of this process on stderr.
pub fn start_logs(process: &ProcessConfig, counted: LogEvents) -> Result<(), Wrong> {
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
    let counting = Counting(counted);
    if is_json {
        let subscriber = subscriber.json().flatten_event(true).finish();
        subscriber.with(counting).init();
    } else {
        let subscriber = subscriber.with_ansi(colours).with_target(false).finish();
        subscriber.with(counting).init();
    }
    Ok(())
}
