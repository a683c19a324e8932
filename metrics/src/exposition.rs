//! The text of a scrape.

use std::time::Instant;

use prometheus_client::encoding::{prometheus_text, text};

use crate::Registry;
use crate::catalogue::Entry;
use crate::counted::{Gauge, Level as _};

/// The format of a scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `OpenMetrics` 1.0, which has exemplars.
    OpenMetrics,
    /// The text format 0.0.4 of Prometheus.
    Text,
}

impl Format {
    /// The format that an `Accept` header prefers. Whoever names none gets the plain text.
    #[must_use]
    pub fn of(accept: &str) -> Self {
        let quality = |range: &str| {
            let q = range.split(';').find_map(|p| p.trim().strip_prefix("q="));
            q.and_then(|q| q.parse::<f32>().ok()).unwrap_or(1.0)
        };
        let best = |kind: &str| {
            let ranges = accept.split(',').map(str::trim);
            let of_kind = ranges.filter(|range| range.starts_with(kind));
            of_kind.map(quality).fold(0.0, f32::max)
        };
        let open = best("application/openmetrics-text");
        if open > 0.0 && open >= best("text/plain") {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }

    /// Its media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Writes the text of a scrape. It asks nobody: what others know was noted before.
pub struct Exposition {
    registry: Registry,
    /// How long the last scrape took.
    took: Gauge,
}

impl std::fmt::Debug for Exposition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.registry.fmt(f)
    }
}

impl Exposition {
    pub(crate) fn new(mut registry: Registry) -> Self {
        registry.part(crate::Part::Process);
        let took = registry.gauge(
            "fanfold_scrape_duration_seconds",
            "How long this process took to write its answer to the scrape before",
        );
        Self { registry, took }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.registry.entries
    }

    /// The text of a scrape.
    #[must_use]
    pub fn text(&self, format: Format) -> String {
        let begun = Instant::now();
        for refresh in &self.registry.refresh {
            refresh();
        }
        let mut told = String::with_capacity(64 * 1024);
        let written = match format {
            Format::OpenMetrics => text::encode(&mut told, &self.registry.inner),
            Format::Text => prometheus_text::encode(&mut told, &self.registry.inner),
        };
        // A `String` takes everything that is written to it.
        debug_assert!(written.is_ok());
        self.took.lasting(begun.elapsed());
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Metrics, Part};

    #[test]
    fn the_format_is_the_one_that_the_scraper_prefers() {
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                            application/openmetrics-text;version=0.0.1;q=0.5,\
                            text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
                            text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        assert_eq!(Format::of(prometheus_3), Format::OpenMetrics);
        for plain in [
            "",
            "*/*",
            "text/plain",
            "text/plain, application/openmetrics-text;q=0.5",
        ] {
            assert_eq!(Format::of(plain), Format::Text, "{plain}");
        }
    }

    #[test]
    fn a_process_tells_the_metrics_of_its_own_parts_only() {
        let worker = Metrics::of(&[Part::Worker]);
        worker.http.active.inc();
        worker.tasks.of_type("bond", 4).succeeded.inc();
        let told = worker.exposition.text(Format::Text);
        assert!(!told.contains("http_server_"), "{told}");
        let counted = "fanfold_task_attempts_total{task_type=\"bond\",outcome=\"succeeded\"} 1\n";
        assert!(told.contains(counted), "{told}");
        assert!(told.contains("process_cpu_seconds_total"), "{told}");
        assert_eq!(Metrics::default().exposition.text(Format::Text), "");
    }

    #[test]
    fn a_traced_value_is_an_exemplar_in_openmetrics() {
        let metrics = Metrics::of(&[Part::Orchestrator]);
        let ended = metrics.orchestrator.requests.ended("succeeded");
        ended.took(
            std::time::Duration::from_millis(40),
            Some("4bf92f3577b34da6"),
        );
        let told = metrics.exposition.text(Format::OpenMetrics);
        let exemplar =
            "_bucket{le=\"0.05\",status=\"succeeded\"} 1 # {trace_id=\"4bf92f3577b34da6\"} 0.04";
        assert!(told.contains(exemplar), "{told}");
        assert!(told.ends_with("# EOF\n"));
    }
}
