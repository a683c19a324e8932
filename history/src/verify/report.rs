//! The findings of a verification.

use std::collections::BTreeMap;

use domain::request::{RequestId, Sequence};
use serde::Serialize;

/// How many findings are listed. Further ones are only counted.
const MAX_FINDINGS: usize = 1_000;

/// A finding: an inconsistency in the stored data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The request with the inconsistency.
    pub request_id: Option<RequestId>,
    /// `log`, `view`, `payload`, `dead-letter`, `document` or `decision`.
    pub kind: &'static str,
    /// The commit with the inconsistency.
    pub sequence: Option<Sequence>,
    /// The Redis key or the payload with the inconsistency.
    pub key: Option<String>,
    /// The finding in words.
    pub message: String,
}

/// The counts and the findings of a verification.
#[derive(Default)]
pub struct Report {
    /// The commits that were read.
    pub commits: u64,
    /// The events that were folded.
    pub events: u64,
    /// The requests that were checked.
    pub requests: u64,
    /// The views that were compared.
    pub views: u64,
    /// The payloads that were fetched.
    pub payloads: u64,
    /// The dead letters that were compared.
    pub dead_letters: u64,
    /// The documents that were compared.
    pub documents: u64,
    /// Facts that are no findings, each with its number.
    pub notes: BTreeMap<String, u64>,
    /// The findings, up to a limit.
    pub problems: Vec<Problem>,
    /// The number of findings beyond the limit.
    pub more: u64,
}

impl Report {
    /// Adds a finding.
    pub fn problem(&mut self, problem: Problem) {
        if self.problems.len() < MAX_FINDINGS {
            self.problems.push(problem);
        } else {
            self.more += 1;
        }
    }

    /// Adds a remark that is no finding.
    pub fn note(&mut self, note: impl Into<String>) {
        *self.notes.entry(note.into()).or_default() += 1;
    }
}
