//! Swaps the staged views in.

use domain::request::{RequestId, Sequence};
use history::Error;
use nats::Commit;
use projections::{Difference, Kind, View, fold};

use super::Rebuild;
use history::verify::{differences, is_expired};

/// How many views are swapped in and compared at once.
const SWITCHED_AT_ONCE: usize = 128;

impl Rebuild<'_> {
    /// Swaps every staged view in.
    pub(super) async fn switch(&mut self) -> Result<Vec<RequestId>, Error> {
        let mut switched = Vec::new();
        let mut cursor = 0;
        loop {
            let (next, ids) = self.staging.ids(cursor).await?;
            let views = self.staging.views(&ids).await?;
            for views in views.chunks(SWITCHED_AT_ONCE) {
                let places = views.iter().map(|view| self.replace(view));
                futures::future::try_join_all(places).await?;
                let compared = self.store.differences(views).await?;
                let differ = views
                    .iter()
                    .zip(compared)
                    .filter(|(_, (_, found))| concern(&self.kinds, found));
                let kept = differ.filter(|(view, _)| !is_expired(&self.store, view));
                self.suspects.extend(kept.map(|(view, _)| view.request_id));
            }
            self.staging.drop_views(&ids).await?;
            switched.extend(ids);
            cursor = next;
            if cursor == 0 {
                switched.sort_unstable();
                switched.dedup();
                return Ok(switched);
            }
        }
    }

    async fn replace(&self, view: &View) -> Result<(), Error> {
        if is_expired(&self.store, view) || self.store.replace(view, &self.kinds).await? {
            return Ok(());
        }
        self.repair(view.request_id).await
    }

    /// Writes a view over a stored one that claims to be newer. Either it is newer, or it holds a
    /// sequence that the log never had.
    async fn repair(&self, id: RequestId) -> Result<(), Error> {
        let commits = self.live.log.read(id, Sequence::NONE).await?;
        let Some(view) = fold(None, commits.iter().flat_map(Commit::recorded)) else {
            return Ok(());
        };
        if self.store.replace(&view, &self.kinds).await? {
            return Ok(());
        }
        self.store.remove(&view, &self.kinds).await?;
        self.store.replace(&view, &self.kinds).await?;
        Ok(())
    }

    /// The requests whose views still differ, of those that differed after the swap. The projector
    /// may have continued, or a key holds a sequence that the log never had.
    pub(super) async fn verify(&self, suspects: &[RequestId]) -> Result<Vec<RequestId>, Error> {
        let mut still = Vec::new();
        for id in suspects {
            let found = differences(&self.live, &self.store, *id).await?;
            if !concern(&self.kinds, &found) {
                continue;
            }
            self.repair_keys(*id).await?;
            let found = differences(&self.live, &self.store, *id).await?;
            if concern(&self.kinds, &found) {
                still.push(*id);
            }
        }
        Ok(still)
    }

    async fn repair_keys(&self, id: RequestId) -> Result<(), Error> {
        let commits = self.live.log.read(id, Sequence::NONE).await?;
        if let Some(view) = fold(None, commits.iter().flat_map(Commit::recorded)) {
            self.store.remove(&view, &self.kinds).await?;
            self.store.replace(&view, &self.kinds).await?;
        }
        Ok(())
    }
}

/// Whether any difference concerns these kinds. Other kinds are not rebuilt, and stay as they are.
fn concern(kinds: &[Kind], differ: &[Difference]) -> bool {
    differ.iter().any(|found| kinds.contains(&found.kind))
}
