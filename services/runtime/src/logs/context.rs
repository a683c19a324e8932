//! What a line of the log is about, where the place that writes it does not know that.

use std::fmt::{self, Write};

use domain::request::RequestId;
use tracing::Metadata;

/// What a piece of work is about.
#[derive(Clone, Debug)]
pub struct LogContext {
    /// The request.
    pub request: RequestId,
    /// The number of the group.
    pub group: u32,
    /// The number of the task.
    pub task: u32,
    /// The number of the attempt.
    pub attempt: u32,
    /// The worker.
    pub worker: String,
    /// The trace of the submitter.
    pub trace: Option<String>,
}

tokio::task_local! {
    static PRESENT: LogContext;
}

impl LogContext {
    /// Does work whose every line of the log says what it is about. Nothing is formatted before a
    /// line is written.
    pub async fn around<W: Future>(self, work: W) -> W::Output {
        PRESENT.scope(self, work).await
    }

    /// Does something with the present context, if there is one.
    pub(super) fn with_present(see: impl FnOnce(&Self)) {
        // Most lines are written outside of any attempt.
        let _ = PRESENT.try_with(see);
    }

    /// Writes the fields that an event has not itself.
    pub(super) fn write(&self, event: &Metadata<'_>, to: &mut Fields) -> fmt::Result {
        let lacks = |name| event.fields().field(name).is_none();
        if lacks("request") {
            to.text("request", &self.request)?;
        }
        for (name, number) in [
            ("group", self.group),
            ("task", self.task),
            ("attempt", self.attempt),
        ] {
            if lacks(name) {
                to.number(name, u64::from(number))?;
            }
        }
        if lacks("worker") {
            to.text("worker", &self.worker)?;
        }
        if let Some(trace) = self.trace.as_ref().filter(|_| lacks("trace")) {
            to.text("trace", trace)?;
        }
        Ok(())
    }
}

/// Fields in the form of the log.
pub(super) struct Fields {
    pub is_json: bool,
    pub written: String,
}

impl Fields {
    pub fn number(&mut self, name: &str, value: u64) -> fmt::Result {
        if self.is_json {
            write!(self.written, ",\"{name}\":{value}")
        } else {
            write!(self.written, " {name}={value}")
        }
    }

    pub fn text(&mut self, name: &str, value: &impl fmt::Display) -> fmt::Result {
        if self.is_json {
            // A name of a worker is chosen by whoever runs it.
            let value = serde_json::Value::from(value.to_string());
            write!(self.written, ",\"{name}\":{value}")
        } else {
            write!(self.written, " {name}={value}")
        }
    }
}
