//! The verifier of a shard: it compares the views and the feed with the log, a few requests at a
//! time, and mends what differs. It turns an undiscovered fault from forever into a matter of time.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use domain::access::Tenant;
use domain::request::{RequestId, Sequence};
use jiff::Timestamp;
use nats::{Commit, Connection, Feed, Log, LogReader};
use projections::{Kind, Store, View, fold};
use runtime::Shutdown;

use crate::Error;

/// How often the verifier looks for what is to be verified now.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many doubtful views one look takes.
const DOUBTS_AT_ONCE: usize = 100;
/// How many commits on each side of a fault are verified too. A fault seldom comes alone.
const AROUND: u64 = 50;
/// How many requests one look verifies where faults were found.
const SPREAD_AT_ONCE: usize = 50;
/// How many of the last commits every second sample is taken from.
const RECENT: u64 = 10_000;
/// How often the verifier looks for views of requests that have left the log.
const LEFT_EVERY: Duration = Duration::from_mins(1);
/// How many requests one such look takes.
const LEFT_AT_ONCE: isize = 200;

/// The verifier of one shard.
pub struct Verifier {
    shard: u8,
    connection: Connection,
    log: Log,
    store: Store,
    feed: Feed,
    /// The interval between two samples; none where nothing is sampled.
    sample_every: Option<Duration>,
    /// Commits near a fault, whose requests are to be verified.
    near: BTreeSet<Sequence>,
    /// The commits whose requests were verified since a fault was found.
    passed: HashSet<Sequence>,
    /// The time up to which the oldest requests of each tenant's index were looked at.
    left: HashMap<Tenant, Timestamp>,
    /// Takes every second sample from the last commits.
    recent: bool,
    counted: metrics::Verifier,
}

impl Verifier {
    pub fn new(
        shard: u8,
        connection: Connection,
        log: Log,
        store: Store,
        requests_per_hour: u32,
        counted: metrics::Verifier,
    ) -> Self {
        Self {
            shard,
            feed: Feed::new(connection.clone()),
            connection,
            log,
            store,
            sample_every: Duration::from_hours(1).checked_div(requests_per_hour),
            near: BTreeSet::new(),
            passed: HashSet::new(),
            left: HashMap::new(),
            recent: false,
            counted,
        }
    }

    /// Verifies until the shutdown begins. A look that fails is repeated later.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), Error> {
        let pause = self.sample_every.map_or(LOOK_EVERY, |e| e.min(LOOK_EVERY));
        let (mut sampled, mut left) = (Instant::now(), Instant::now());
        while shutdown.pause(pause).await {
            let sample = self.sample_every.is_some_and(|e| sampled.elapsed() >= e);
            let look_for_left = left.elapsed() >= LEFT_EVERY;
            let looked = shutdown
                .unless_hard(Box::pin(self.look(sample, look_for_left)))
                .await;
            match looked {
                None => break,
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    tracing::debug!(shard = self.shard, %error, "the views are verified later");
                }
            }
            if sample {
                sampled = Instant::now();
            }
            if look_for_left {
                left = Instant::now();
            }
        }
        Ok(())
    }

    async fn look(&mut self, sample: bool, look_for_left: bool) -> Result<(), Error> {
        for request in self.store.doubts(self.shard, DOUBTS_AT_ONCE).await? {
            self.verify(request).await?;
        }
        for _ in 0..SPREAD_AT_ONCE {
            let Some(sequence) = self.near.pop_first() else {
                self.passed.clear();
                break;
            };
            self.verify_at(sequence).await?;
        }
        if sample {
            self.sample().await?;
        }
        if look_for_left {
            self.remove_left().await?;
        }
        Ok(())
    }

    /// Verifies the request of a random commit: at times of any, at times of a recent one.
    async fn sample(&mut self) -> Result<(), Error> {
        let extent = self.connection.extent(self.shard).await?;
        let last = self.position().await?.min(extent.last);
        self.recent = !self.recent;
        let mut first = extent.first.max(Sequence::FIRST);
        if self.recent {
            first = first.max(Sequence::new(last.get().saturating_sub(RECENT)));
        }
        if last < first {
            return Ok(());
        }
        let range = last.since(first) + 1;
        self.verify_at(first.plus(random(range))).await
    }

    async fn verify_at(&mut self, sequence: Sequence) -> Result<(), Error> {
        self.passed.insert(sequence);
        match self.connection.request_at(self.shard, sequence).await? {
            Some(request) => self.verify(request).await,
            None => Ok(()),
        }
    }

    /// Up to where both outputs are there: behind that, the projector has still to come.
    async fn position(&self) -> Result<Sequence, Error> {
        let reader = LogReader::Projector;
        let published = self.connection.acked(self.shard, reader).await?;
        Ok(published.min(self.store.checkpoint(self.shard).await?))
    }

    /// Compares the view and the events of a request with its log, and mends what differs.
    async fn verify(&mut self, request: RequestId) -> Result<(), Error> {
        if self.store.stopped_view(request).await?.is_some() {
            return Ok(());
        }
        // Asked before the log is read: what the log has up to here is due in both outputs.
        let position = self.position().await?;
        let commits = match self.log.read_whole(request).await {
            Err(error) if error.is_of_the_data() => return Ok(()),
            commits => commits?,
        };
        self.counted.compared(self.shard);
        let Some(last) = commits.last().map(|commit| commit.sequence) else {
            return self.remove(request).await;
        };
        let mut faults = 0;
        if last <= position {
            faults += u64::from(self.mend_view(&commits).await?);
        }
        faults += self.mend_feed(request, &commits, position).await?;
        if faults > 0 {
            self.look_around(&commits, position);
        }
        Ok(())
    }

    /// Returns whether the view differed.
    async fn mend_view(&self, commits: &[Commit]) -> Result<bool, Error> {
        let folded = fold(None, commits.iter().flat_map(Commit::borrowed));
        let Some(view) = folded.filter(|view| !self.is_expired(view)) else {
            return Ok(false);
        };
        let request = view.request_id;
        let compared = self.store.differences(std::slice::from_ref(&view)).await?;
        let differ = compared.iter().any(|(_, differ)| !differ.is_empty());
        let listed = self
            .store
            .is_indexed(&view.tenant, self.shard, request)
            .await?;
        // The request may have gone on meanwhile.
        if (!differ && listed) || self.log.last_sequence(request).await? != view.seq {
            return Ok(false);
        }
        let kinds: Vec<Kind> = Kind::all().collect();
        if !self.store.replace(&view, &kinds).await? {
            // The view has a sequence that the log has never had.
            self.store.remove(&view, &kinds).await?;
            self.store.replace(&view, &kinds).await?;
        }
        self.store.index(self.shard, [&view]).await?;
        self.counted.views.inc();
        tracing::warn!(%request, "a view differed from the log and was written anew");
        Ok(true)
    }

    /// Publishes the events that the feed lacks, and returns how many it has now.
    async fn mend_feed(
        &mut self,
        request: RequestId,
        commits: &[Commit],
        position: Sequence,
    ) -> Result<u64, Error> {
        let due = commits.iter().filter(|commit| commit.sequence <= position);
        let events = due.flat_map(Commit::borrowed);
        let events = events.filter(|recorded| recorded.event.kind().is_in_feed());
        let events: Vec<_> = events.collect();
        let lacking = self.feed.lacking(request, &events).await?;
        if lacking.is_empty() {
            return Ok(0);
        }
        self.feed.publish(&lacking).await?;
        // The broker leaves out what it remembers as published a short while ago.
        let left_out = self.feed.lacking(request, &lacking).await?.len();
        if left_out > 0 {
            self.store.doubt(self.shard, request).await?;
        }
        let count = lacking.len().saturating_sub(left_out) as u64;
        if count == 0 {
            return Ok(0);
        }
        self.counted.events.inc_by(count);
        tracing::warn!(%request, count, "the feed lacked events; they are published");
        Ok(count)
    }

    /// Has the requests verified whose commits are near those of a faulty one.
    fn look_around(&mut self, commits: &[Commit], position: Sequence) {
        for commit in commits {
            let at = commit.sequence;
            let first = Sequence::new(at.get().saturating_sub(AROUND).max(1));
            let near = first.through(at.plus(AROUND).min(position));
            let new = near.filter(|sequence| !self.passed.contains(sequence));
            self.near.extend(new);
        }
    }

    fn is_expired(&self, view: &View) -> bool {
        let expiry = self.store.expiry(view);
        expiry != 0 && expiry <= Timestamp::now().as_second() + 2
    }

    async fn remove(&self, request: RequestId) -> Result<(), Error> {
        self.store.remove_request(self.shard, request).await?;
        self.counted.removed.inc();
        tracing::info!(%request, "its log is gone by age, and so is its view now");
        Ok(())
    }

    /// Removes views of requests that have left the log, among the oldest of the index.
    async fn remove_left(&mut self) -> Result<(), Error> {
        let first = self.connection.extent(self.shard).await?.first_at;
        for tenant in self.store.tenants().await? {
            self.remove_left_of(tenant, first).await?;
        }
        Ok(())
    }

    async fn remove_left_of(&mut self, tenant: Tenant, first: Timestamp) -> Result<(), Error> {
        let after = self.left.remove(&tenant).unwrap_or(Timestamp::UNIX_EPOCH);
        let of = (&tenant, self.shard);
        let oldest = self.store.oldest(of, after, first, LEFT_AT_ONCE).await?;
        for placed in &oldest {
            if self.log.last_sequence(placed.request).await? == Sequence::NONE {
                self.remove(placed.request).await?;
            }
        }
        let last = oldest
            .last()
            .map(|last| Timestamp::from_microsecond(last.micros));
        if let Some(Ok(at)) = last
            && oldest.len() >= LEFT_AT_ONCE.unsigned_abs()
        {
            self.left.insert(tenant, at);
        }
        Ok(())
    }
}

/// A random number below `range`. It only spreads the samples.
fn random(range: u64) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(Instant::now()) % range.max(1)
}

#[cfg(test)]
mod tests;
