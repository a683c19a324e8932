//! The lines of the log: as tracing formats them, with what the place that writes does not know,
//! and without warnings that repeat too often.

use std::fmt;
use std::time::Instant;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::context::{Fields, LogContext};
use super::repeats::Repeats;

/// Formats events with `format`, and adds to them.
pub struct Lines<F> {
    pub format: F,
    pub is_json: bool,
    pub repeats: Repeats,
}

impl<S, N, F> FormatEvent<S, N> for Lines<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let mut left_out = 0;
        if *metadata.level() == Level::WARN {
            match self.repeats.take(metadata.callsite(), Instant::now()) {
                Some(before) => left_out = before,
                // An empty line is not written.
                None => return Ok(()),
            }
        }
        let mut more = Fields {
            is_json: self.is_json,
            written: String::new(),
        };
        let mut ran = Ok(());
        LogContext::with_present(|present| ran = present.write(metadata, &mut more));
        ran?;
        if left_out > 0 {
            more.number("left_out", left_out)?;
        }
        if more.written.is_empty() {
            return self.format.format_event(context, writer, event);
        }
        let mut line = String::new();
        let inner = Writer::new(&mut line);
        self.format.format_event(context, inner, event)?;
        let line = line.trim_end_matches('\n');
        match line.strip_suffix('}').filter(|_| self.is_json) {
            Some(open) => writeln!(writer, "{open}{}}}", more.written),
            None => writeln!(writer, "{line}{}", more.written),
        }
    }
}
