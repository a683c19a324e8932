//! Verifies that the views in Redis equal the fold of the log.

use nats::LogReader;
use std::collections::HashSet;
use std::time::Duration;

use domain::request::{RequestId, Sequence};
use jiff::Timestamp;
use projections::{Difference, Store, View, fold};
use tokio::task::JoinSet;

use super::patience::patiently;
use super::{Problem, Report, readable};
use crate::Error;
use crate::live::Live;

/// How many views one round trip compares.
const BATCH: usize = 256;
/// How many round trips run at the same time.
const AT_ONCE: usize = 4;
/// How often a view that differs is compared again. The projector may not have written it yet.
const LOOKS: u32 = 10;
/// The pause between two comparisons of a view.
const PAUSE: Duration = Duration::from_millis(200);

type Compared = Result<Vec<RequestId>, projections::Error>;

/// The comparison of the views of a run.
pub struct Views {
    store: Store,
    batch: Vec<View>,
    comparing: JoinSet<Compared>,
    pub compared: u64,
}

impl Views {
    pub fn new(store: Store) -> Self {
        Self {
            store,
            batch: Vec::new(),
            comparing: JoinSet::new(),
            compared: 0,
        }
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Queues a view for comparison. Returns the requests whose views were found to differ.
    pub async fn take(&mut self, view: View) -> Result<Vec<RequestId>, Error> {
        // An expired view is gone, or will be before the comparison.
        if is_expired(&self.store, &view) {
            return Ok(Vec::new());
        }
        self.compared += 1;
        self.batch.push(view);
        if self.batch.len() < BATCH {
            return Ok(Vec::new());
        }
        let mut differ = Vec::new();
        if self.comparing.len() >= AT_ONCE {
            differ = self.one().await?;
        }
        self.send();
        Ok(differ)
    }

    fn send(&mut self) {
        let views = std::mem::take(&mut self.batch);
        let store = self.store.clone();
        self.comparing.spawn(async move {
            let compared = patiently(|| store.differences(&views)).await?;
            let differ = views
                .iter()
                .zip(compared)
                .filter(|(_, (_, d))| !d.is_empty());
            Ok(differ.map(|(view, _)| view.request_id).collect())
        });
    }

    async fn one(&mut self) -> Result<Vec<RequestId>, Error> {
        match self.comparing.join_next().await {
            Some(Ok(compared)) => Ok(compared?),
            Some(Err(error)) => Err(Error::Unreachable(format!("comparing broke: {error}"))),
            None => Ok(Vec::new()),
        }
    }

    /// Compares the queued views.
    pub async fn rest(&mut self) -> Result<Vec<RequestId>, Error> {
        if !self.batch.is_empty() {
            self.send();
        }
        let mut differ = Vec::new();
        while !self.comparing.is_empty() {
            differ.extend(self.one().await?);
        }
        Ok(differ)
    }

    /// Compares these requests on their own. A difference is a finding if the projector has passed
    /// the request. Otherwise the view is compared again, until the time is up.
    pub async fn again(
        &self,
        live: &Live,
        ids: &HashSet<RequestId>,
        report: &mut Report,
    ) -> Result<(), Error> {
        let mut left: Vec<RequestId> = ids.iter().copied().collect();
        left.sort_unstable();
        for look in 1..=LOOKS {
            let mut behind = Vec::new();
            for id in left {
                if self.look(live, id, report).await? == Looked::Behind {
                    behind.push(id);
                }
            }
            if look == LOOKS {
                for _ in &behind {
                    report.note("views that are behind: the projector has not reached them yet");
                }
            }
            if behind.is_empty() || look == LOOKS {
                return Ok(());
            }
            left = behind;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    async fn look(&self, live: &Live, id: RequestId, report: &mut Report) -> Result<Looked, Error> {
        let Some(view) = view(live, &self.store, id).await? else {
            return Ok(Looked::Settled);
        };
        // Ask the broker before Redis: the projector writes a view before it acks the commit.
        let shard = id.partition().shard(live.log.shards());
        let projector = live
            .connection
            .log_position(shard, LogReader::Projector)
            .await;
        let written = patiently(|| self.store.checkpoint(shard)).await?;
        let projected =
            projector.is_ok_and(|position| position.acked >= view.seq.get()) && written >= view.seq;
        let one = std::slice::from_ref(&view);
        let compared = patiently(|| self.store.differences(one)).await?;
        for (seen, differences) in compared {
            if differences.is_empty() {
                continue;
            }
            let older = seen < view.seq;
            if !projected && older {
                return Ok(Looked::Behind);
            }
            let newer = live
                .log
                .last(id)
                .await?
                .map_or(Sequence::NONE, |commit| commit.sequence);
            if newer > view.seq {
                return Ok(Looked::Behind);
            }
            tell(&view, differences, report);
        }
        Ok(Looked::Settled)
    }
}

#[derive(PartialEq, Eq)]
enum Looked {
    /// The view equals the log, or its difference is reported.
    Settled,
    /// The view must be compared again.
    Behind,
}

/// Whether the keys of a view have expired, or will in a moment.
#[must_use]
pub fn is_expired(store: &Store, view: &View) -> bool {
    let expiry = store.expiry(view);
    expiry != 0 && expiry <= Timestamp::now().as_second() + 2
}

/// The view of a request as the log has it now; `None` if its keys have expired.
async fn view(live: &Live, store: &Store, id: RequestId) -> Result<Option<View>, Error> {
    // The scan of the log has reported an unreadable commit; the view has stopped there.
    let Ok(commits) = readable(live.log.read(id, Sequence::NONE).await)? else {
        return Ok(None);
    };
    let view = fold(None, commits.iter().flat_map(nats::Commit::recorded));
    Ok(view.filter(|view| !is_expired(store, view)))
}

/// The differences between the log and the view of one request in Redis.
pub async fn differences(
    live: &Live,
    store: &Store,
    id: RequestId,
) -> Result<Vec<Difference>, Error> {
    let Some(view) = view(live, store, id).await? else {
        return Ok(Vec::new());
    };
    let compared = store.differences(std::slice::from_ref(&view)).await?;
    Ok(compared.into_iter().flat_map(|(_, found)| found).collect())
}

fn tell(view: &View, differences: Vec<Difference>, report: &mut Report) {
    for difference in differences {
        let value = |value: Option<String>| value.unwrap_or_else(|| "nothing".into());
        report.problem(Problem {
            request_id: Some(view.request_id),
            kind: "view",
            sequence: Some(view.seq),
            message: format!(
                "{} is {}; the log says {}",
                difference.field,
                value(difference.found),
                value(difference.expected)
            ),
            key: Some(difference.key),
        });
    }
}
