//! The filter of the logs, which can be another one for a time.

use std::convert::Infallible;
use std::fmt;
use std::future::pending;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing_subscriber::filter::Targets;

use crate::Wrong;

/// The filter of this process's logs.
pub struct LogFilter {
    /// The filter of the settings.
    configured: String,
    change: watch::Sender<Option<Change>>,
    apply: Box<dyn Fn(Targets) + Send + Sync>,
}

/// Another filter than that of the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The filter.
    pub filter: String,
    /// When the filter of the settings holds again.
    pub until: Instant,
}

impl LogFilter {
    /// The filter of the settings; `apply` puts another one in force.
    pub(super) fn new(configured: &str, apply: impl Fn(Targets) + Send + Sync + 'static) -> Self {
        Self {
            configured: configured.to_owned(),
            change: watch::Sender::new(None),
            apply: Box::new(apply),
        }
    }

    /// The filter of the settings.
    #[must_use]
    pub fn configured(&self) -> &str {
        &self.configured
    }

    /// The filter that holds instead, if there is one.
    #[must_use]
    pub fn change(&self) -> Option<Change> {
        self.change.borrow().clone()
    }

    /// Puts another filter in force for a time.
    pub fn set(&self, text: &str, time: Duration) -> Result<(), Wrong> {
        let filter = parse(text)?;
        tracing::info!(filter = text, ?time, "another filter of the logs holds now");
        self.change.send_modify(|change| {
            (self.apply)(filter);
            *change = Some(Change {
                filter: text.to_owned(),
                until: Instant::now() + time,
            });
        });
        Ok(())
    }

    /// Puts the filter of the settings in force again, once a change has lasted its time.
    pub async fn keep(&self) -> Infallible {
        let mut seen = self.change.subscribe();
        loop {
            let until = seen.borrow_and_update().as_ref().map(|change| change.until);
            let over = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until.into()).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = over => self.restore(),
                // This one holds the sender, so it is not gone.
                _ = seen.changed() => {}
            }
        }
    }

    fn restore(&self) {
        let is_over = |change: &Change| change.until <= Instant::now();
        let restored = self.change.send_if_modified(|change| {
            // Somebody may have made another change meanwhile.
            if !change.as_ref().is_some_and(is_over) {
                return false;
            }
            // It was parsed at the start.
            if let Ok(filter) = parse(&self.configured) {
                (self.apply)(filter);
            }
            *change = None;
            true
        });
        if restored {
            let filter = &self.configured;
            tracing::info!(filter, "the filter of the settings holds again");
        }
    }
}

impl fmt::Debug for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogFilter")
            .field("configured", &self.configured)
            .field("change", &self.change())
            .finish_non_exhaustive()
    }
}

/// Levels, and targets with levels. `EnvFilter` reads the same, and fields and spans besides, which
/// nothing here has; it brings a regex engine.
pub(super) fn parse(text: &str) -> Result<Targets, Wrong> {
    text.parse::<Targets>()
        .map_err(|error| Wrong::new("RUST_LOG", error.to_string()))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn a_level_is_for_every_target_that_has_none_of_its_own() {
        let filter = parse("info,async_nats=warn,api::valuation=trace").unwrap();
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
        assert_eq!(parse("api=loud").unwrap_err().name, "RUST_LOG");
    }
}
