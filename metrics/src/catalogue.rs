//! What is documented of each metric.

use crate::{Metrics, Registry};

/// The part of Fanfold that tells a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Every process.
    Process,
    /// A process whose build has jemalloc for its allocator.
    Allocator,
    /// The API.
    Api,
    /// The orchestrator.
    Orchestrator,
    /// The worker.
    Worker,
    /// The projector.
    Projector,
    /// The role that sends webhooks.
    Webhooks,
    /// Whoever reads or writes the views: the API and the projector.
    Views,
}

impl Part {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::Process,
        Self::Allocator,
        Self::Api,
        Self::Orchestrator,
        Self::Worker,
        Self::Projector,
        Self::Views,
        Self::Webhooks,
    ];

    /// Who tells it, in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Process => "Every process",
            Self::Allocator => "The optimized build",
            Self::Api => "The API",
            Self::Orchestrator => "The orchestrator",
            Self::Worker => "The worker",
            Self::Projector => "The projector",
            Self::Webhooks => "The webhooks role",
            Self::Views => "Whoever uses Redis",
        }
    }
}

/// A metric, as it is documented.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its name as it is told, with its unit.
    pub name: &'static str,
    /// Its type.
    pub kind: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
    /// Who tells it.
    pub part: Part,
}

/// Every metric, in the order of registration.
#[must_use]
pub fn catalogue() -> Vec<Entry> {
    Metrics::of(&Part::ALL).exposition.entries().to_vec()
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Registry({} metrics)", self.entries.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_follows_the_conventions() {
        let all = catalogue();
        let units = ["_seconds", "_bytes", "_ratio"];
        let ours = [
            "fanfold_",
            "http_server_",
            "db_client_",
            "process_",
            "tokio_",
            "jemalloc_",
        ];
        for entry in &all {
            let name = entry.name;
            assert!(ours.iter().any(|prefix| name.starts_with(prefix)), "{name}");
            assert_eq!(entry.kind == "counter", name.ends_with("_total"), "{name}");
            assert!(
                !entry.help.ends_with('.'),
                "{name}: the encoder adds the stop"
            );
            assert!(entry.labels.len() <= 3, "{name}");
            for wrong in ["_ms", "_millis", "_percent", "_kb", "_mb"] {
                assert!(!name.contains(wrong), "{name}");
            }
            if name.contains("duration") || name.contains("delay") || name.contains("timestamp") {
                let bare = name.trim_end_matches("_total");
                assert!(units.iter().any(|unit| bare.ends_with(unit)), "{name}");
            }
        }
        let mut names: Vec<_> = all.iter().map(|entry| entry.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.len(), "a name is used twice");
    }
}
