//! The structured logs of a process, on stderr.

mod context;
mod filter;
mod lines;
mod repeats;

use std::io::IsTerminal;
use std::sync::Arc;

use metrics::LogEvents;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::{Form, LogFormat, PrintableLines, ProcessConfig, Wrong};

pub use context::LogContext;
pub use filter::{Change as LogFilterChange, LogFilter};
use lines::Lines;
use repeats::Repeats;

/// Counts the lines that somebody should read, also those that are left out.
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
pub fn start_logs(process: &ProcessConfig, counted: LogEvents) -> Result<Arc<LogFilter>, Wrong> {
    let (filter, reload) = reload::Layer::new(filter::parse(&process.log_filter)?);
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
    let logs = tracing_subscriber::registry().with(filter);
    let counting = Counting(counted);
    if is_json {
        let lines = lines.json().flatten_event(true);
        let lines = lines.map_event_format(|format| with_more(format, is_json));
        logs.with(lines).with(counting).init();
    } else {
        let lines = lines.with_ansi(colours).with_target(false);
        let lines = lines.map_event_format(|format| with_more(format, is_json));
        logs.with(lines).with(counting).init();
    }
    Ok(Arc::new(LogFilter::new(
        &process.log_filter,
        move |filter| {
            // It fails only once the logs of the process are gone, which they never are.
            let _ = reload.reload(filter);
        },
    )))
}

fn with_more<F>(format: F, is_json: bool) -> Lines<F> {
    Lines {
        format,
        is_json,
        repeats: Repeats::default(),
    }
}
