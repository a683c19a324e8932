//! All bulk operations, as far as this process has read their histories.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::bulk::{Event, OperationId};
use jiff::Timestamp;
use nats::{BulkLog, Error};
use tokio::sync::Mutex;

use super::Folded;

/// The operations that this process knows. Each look reads only what is new.
#[derive(Clone, Default)]
pub(crate) struct Board(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    read: u64,
    all: BTreeMap<OperationId, Folded>,
}

impl Board {
    /// Reads what is new, and returns the operations that `which` takes, oldest first.
    pub async fn look(
        &self,
        log: &BulkLog,
        which: impl Fn(&Folded) -> bool,
    ) -> Result<Vec<Folded>, Error> {
        let mut known = self.0.lock().await;
        loop {
            let page = log.since(known.read).await?;
            for commit in &page.commits {
                known.take_in(commit.operation, commit.sequence, commit.at, &commit.events);
            }
            known.read = page.last.unwrap_or(known.read);
            if !page.more {
                break;
            }
        }
        let taken = known.all.values().filter(|folded| which(folded));
        Ok(taken.cloned().collect())
    }

    /// Puts in an operation that was read by itself.
    pub async fn put(&self, mut folded: Folded) {
        folded.state.let_go_of_items();
        let mut known = self.0.lock().await;
        let newer = known.all.get(&folded.id);
        if newer.is_none_or(|newer| newer.sequence < folded.sequence) {
            known.all.insert(folded.id, folded);
        }
    }
}

impl Known {
    fn take_in(&mut self, id: OperationId, sequence: u64, at: Timestamp, events: &[Event]) {
        let folded = self.all.entry(id).or_insert_with(|| Folded::new(id));
        folded.take_in(sequence, at, events);
        // Most operations have ended. Who asks for the items of one reads it again.
        folded.state.let_go_of_items();
        if folded.operation().is_none() {
            // The broker no longer has its first commit.
            self.all.remove(&id);
        }
    }
}
