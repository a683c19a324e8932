//! Verifies that every payload that the log refers to exists and matches its hash.

use std::collections::HashSet;

use domain::request::{Event, Payload, RequestId, Sequence};
use nats::Commit;
use tokio::task::JoinSet;

use super::{Problem, Report};

/// How many payloads are fetched at once: each may be large.
const AT_ONCE: usize = 4;
/// How many hashes of checked payloads are remembered.
const REMEMBERED: usize = 1_000_000;

type Fetched = (RequestId, Sequence, String, Result<Vec<u8>, nats::Error>);

/// The payloads of a run.
pub struct Payloads {
    store: nats::Payloads,
    seen: HashSet<String>,
    fetching: JoinSet<Fetched>,
}

impl Payloads {
    pub fn new(store: nats::Payloads) -> Self {
        Self {
            store,
            seen: HashSet::new(),
            fetching: JoinSet::new(),
        }
    }

    pub async fn take_in(&mut self, commit: &Commit, report: &mut Report) {
        for payload in commit.events.iter().flat_map(Event::payloads) {
            let Payload::Stored { sha256, .. } = payload else {
                continue;
            };
            if self.seen.len() >= REMEMBERED {
                self.seen.clear();
            }
            if !self.seen.insert(sha256.clone()) {
                continue;
            }
            if self.fetching.len() >= AT_ONCE {
                self.one(report).await;
            }
            let (store, payload) = (self.store.clone(), payload.clone());
            let (request, sequence, sha256) = (commit.request, commit.sequence, sha256.clone());
            self.fetching
                .spawn(async move { (request, sequence, sha256, store.fetch(&payload).await) });
        }
    }

    /// Waits for the fetches that still run.
    pub async fn rest(&mut self, report: &mut Report) {
        while !self.fetching.is_empty() {
            self.one(report).await;
        }
    }

    async fn one(&mut self, report: &mut Report) {
        let Some(Ok((request, sequence, sha256, fetched))) = self.fetching.join_next().await else {
            return;
        };
        report.payloads += 1;
        if let Err(error) = fetched {
            report.problem(Problem {
                request_id: Some(request),
                kind: "payload",
                sequence: Some(sequence),
                key: Some(sha256),
                message: error.to_string(),
            });
        }
    }
}
