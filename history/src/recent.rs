//! What happened in the last day, by the minute: a fold of the log that a process continues
//! whenever somebody looks.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use domain::access::{Scope, Tenant};
use domain::request::{Event, Next, RequestId, Sequence};
use jiff::{SignedDuration, Timestamp};
use nats::{Commit, Connection, Scan, Start};
use tokio::sync::Mutex;

use crate::Error;

/// How far back the fold goes.
pub const REACH: SignedDuration = SignedDuration::from_hours(24);
/// The seconds of a bucket.
pub const BUCKET_SECONDS: i64 = 60;
/// How long one look may read the log.
const LOOK: Duration = Duration::from_millis(600);
/// How many commits are read at once.
const CHUNK: usize = 500;
/// How many durations a bucket keeps.
const DURATIONS_MAX: usize = 500;

/// What happened in a minute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// The requests that were received.
    pub received: u64,
    /// The requests that succeeded.
    pub succeeded: u64,
    /// The requests that failed.
    pub failed: u64,
    /// The requests that were cancelled.
    pub cancelled: u64,
    /// The attempts that ended.
    pub attempts: u64,
    /// The attempts that failed.
    pub failed_attempts: u64,
    /// The tasks that were given up.
    pub given_up: u64,
    /// How long requests took that ended, in milliseconds; the first ones of the minute.
    pub took_ms: Vec<u64>,
}

impl Bucket {
    /// The requests that ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.succeeded + self.failed + self.cancelled
    }
}

/// The buckets of the last day.
#[derive(Clone, Debug, Default)]
pub struct Recent {
    /// The number of the first bucket: the minutes since 1970.
    first: i64,
    buckets: VecDeque<Bucket>,
    /// When the requests that run were received.
    open: HashMap<RequestId, Timestamp>,
}

impl Recent {
    /// Folds a commit.
    pub fn take_in(&mut self, commit: &Commit) {
        let number = commit.at.as_second().div_euclid(BUCKET_SECONDS);
        if self.buckets.is_empty() {
            self.first = number;
        }
        let Ok(index) = usize::try_from(number - self.first) else {
            return;
        };
        while self.buckets.len() <= index {
            self.buckets.push_back(Bucket::default());
        }
        let Some(bucket) = self.buckets.get_mut(index) else {
            return;
        };
        for event in &commit.events {
            match event {
                Event::Received(_) => {
                    bucket.received += 1;
                    self.open.insert(commit.request, commit.at);
                }
                Event::TaskSucceeded(_) => bucket.attempts += 1,
                Event::TaskFailed(e) => {
                    bucket.attempts += 1;
                    bucket.failed_attempts += 1;
                    bucket.given_up += u64::from(matches!(e.next, Next::DeadLetter(_)));
                }
                Event::Succeeded(_) => bucket.succeeded += 1,
                Event::Failed(_) => bucket.failed += 1,
                Event::Cancelled(_) => bucket.cancelled += 1,
                Event::Redriven(_) => {
                    self.open.insert(commit.request, commit.at);
                }
                _ => {}
            }
            if event.is_terminal()
                && let Some(began) = self.open.remove(&commit.request)
                && bucket.took_ms.len() < DURATIONS_MAX
            {
                let took = commit.at.duration_since(began).as_millis();
                bucket.took_ms.push(u64::try_from(took).unwrap_or(0));
            }
        }
    }

    /// Drops what is older than a day.
    fn forget(&mut self, now: Timestamp) {
        let oldest = now.checked_sub(REACH).unwrap_or(Timestamp::UNIX_EPOCH);
        let oldest = oldest.as_second().div_euclid(BUCKET_SECONDS);
        while self.first < oldest && self.buckets.pop_front().is_some() {
            self.first += 1;
        }
    }

    /// The last `minutes` buckets up to now, oldest first. A minute in which nothing happened is
    /// empty.
    #[must_use]
    pub fn last(&self, minutes: usize, now: Timestamp) -> Vec<Bucket> {
        let end = now.as_second().div_euclid(BUCKET_SECONDS);
        let count = i64::try_from(minutes).unwrap_or(i64::MAX);
        let numbers = (end - count + 1)..=end;
        let bucket = |number: i64| {
            let index = usize::try_from(number - self.first).ok()?;
            self.buckets.get(index).cloned()
        };
        numbers
            .map(|number| bucket(number).unwrap_or_default())
            .collect()
    }

    /// Adds the buckets of another fold.
    fn add(&mut self, other: Self) {
        if self.buckets.is_empty() {
            *self = other;
            return;
        }
        for (offset, bucket) in (0..).zip(other.buckets) {
            let number = other.first + offset;
            while number < self.first {
                self.buckets.push_front(Bucket::default());
                self.first -= 1;
            }
            let index = usize::try_from(number - self.first).unwrap_or(0);
            while self.buckets.len() <= index {
                self.buckets.push_back(Bucket::default());
            }
            if let Some(own) = self.buckets.get_mut(index) {
                own.received += bucket.received;
                own.succeeded += bucket.succeeded;
                own.failed += bucket.failed;
                own.cancelled += bucket.cancelled;
                own.attempts += bucket.attempts;
                own.failed_attempts += bucket.failed_attempts;
                own.given_up += bucket.given_up;
                own.took_ms.extend(bucket.took_ms);
            }
        }
        self.open.extend(other.open);
    }
}

/// The fold of the last day as a process knows it.
pub struct RecentWatch {
    connection: Connection,
    shards: Vec<Mutex<Shard>>,
}

#[derive(Default)]
struct Shard {
    read: Sequence,
    by_tenant: BTreeMap<Tenant, Recent>,
}

/// What a look found.
#[derive(Clone, Debug, Default)]
pub struct Looked {
    /// The fold.
    pub recent: Recent,
    /// Where the look did not reach the end of the log: when the last commit was stored that it
    /// read.
    pub only_up_to: Option<Timestamp>,
}

impl RecentWatch {
    /// Watches a log of `shards` shards.
    #[must_use]
    pub fn new(connection: Connection, shards: u8) -> Self {
        let shards = (0..shards).map(|_| Mutex::default()).collect();
        Self { connection, shards }
    }

    /// Reads the log on for a short time, and returns what is known then of the tenants of a scope.
    pub async fn look(&self, scope: &Scope, now: Timestamp) -> Result<Looked, Error> {
        let mut all = Looked::default();
        let parts = u32::try_from(self.shards.len()).unwrap_or(1).max(1);
        for (number, shard) in (0..).zip(&self.shards) {
            let mut shard = shard.lock().await;
            let stopped = shard
                .read_on(&self.connection, number, now, LOOK / parts)
                .await?;
            shard.forget(now);
            for (tenant, recent) in &shard.by_tenant {
                if scope.includes(tenant) {
                    all.recent.add(recent.clone());
                }
            }
            all.only_up_to = [all.only_up_to, stopped].into_iter().flatten().min();
        }
        Ok(all)
    }
}

impl Shard {
    /// Drops what is older than a day.
    fn forget(&mut self, now: Timestamp) {
        self.by_tenant.retain(|_, recent| {
            recent.forget(now);
            !recent.buckets.is_empty()
        });
    }

    /// Returns where it stopped before the end of the log.
    async fn read_on(
        &mut self,
        connection: &Connection,
        number: u8,
        now: Timestamp,
        limit: Duration,
    ) -> Result<Option<Timestamp>, Error> {
        let begun = Instant::now();
        let start = if self.read == Sequence::NONE {
            Start::Time(now.checked_sub(REACH).unwrap_or(Timestamp::UNIX_EPOCH))
        } else {
            Start::Sequence(self.read.next())
        };
        let mut scan = Scan::open_at(connection, number, start, Sequence::MAX).await?;
        while let Some(commits) = scan.next_each(CHUNK).await? {
            let mut last = None;
            for commit in commits {
                match commit {
                    Ok(commit) => {
                        self.read = commit.sequence;
                        last = Some(commit.at);
                        let recent = self.by_tenant.entry(commit.tenant.clone());
                        recent.or_default().take_in(&commit);
                    }
                    Err(unreadable) => self.read = unreadable.sequence,
                }
            }
            if begun.elapsed() >= limit {
                scan.close().await;
                return Ok(last);
            }
        }
        Ok(None)
    }
}
