//! One shard of the log, projected in order into two outputs that go on apart from each other. The
//! feed is where the broker's acks are. The views are where the checkpoint in Redis is.

use std::time::{Duration, Instant};

use domain::request::Sequence;
use jiff::Timestamp;
use metrics::Pulse;
use nats::{Connection, Deliveries, Delivery, Feed, Log, LogReader, Topology};
use runtime::Shutdown;

use crate::Error;
use crate::project::Make;
use crate::standing::Standing;
use crate::stops::Stops;
use crate::suspects::Suspects;
use crate::views::Views;

/// How often an idle projector checks whether Redis has lost data.
const REDIS_LOOK: Duration = Duration::from_secs(1);
/// The pause before a failed step is retried.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// The pause where the broker or Redis did not allow the step.
const DENIED_PAUSE: Duration = Duration::from_secs(5);
/// The shortest interval between batches. Commits of one request that come close together become
/// one write.
const TAKE_IN_EVERY: Duration = Duration::from_millis(50);
/// How often an instance notes at the broker up to where the feed has the events. The feed
/// recognizes events for longer than this, so a consumer that is created again doubles none.
const NOTE_EVERY: Duration = Duration::from_secs(5);
/// How many failures may be due to one commit before its chunk is projected commit by commit.
pub const SPLIT_AFTER: u32 = 5;

/// The projection of one shard.
pub struct Shard {
    pub number: u8,
    pub views: Views,
    /// Where the views stand.
    pub standing: Standing,
    pub log: Log,
    pub stops: Stops,
    pub feed: Feed,
    pub connection: Connection,
    /// The last sequence whose events the feed has, as far as this instance knows. What the broker
    /// says was acked is asked for wherever a chunk does not continue from here, so that a standby
    /// publishes nothing again.
    pub published: Option<Sequence>,
    /// What this instance has noted of it at the broker, and when.
    pub noted: (Sequence, Instant),
    /// What the log's consumer is created from again.
    pub topology: Topology,
    /// Whether to project commits one by one, and to stop the views of those that cannot be
    /// projected.
    pub singly: bool,
    pub suspects: Suspects,
    /// What is counted of the projector.
    pub counted: metrics::Projector,
    /// The sign of life of the loop.
    pub pulse: Pulse,
}

impl Shard {
    /// Projects until the shutdown begins, and then hands back what it has not begun.
    pub async fn run(
        mut self,
        mut deliveries: Deliveries,
        shutdown: Shutdown,
    ) -> Result<(), Error> {
        let mut chunk = Vec::new();
        self.follow(&mut deliveries, &mut chunk, &shutdown).await?;
        deliveries.hand_back(chunk).await;
        Ok(())
    }

    /// Projects until the shutdown begins. `chunk` then has what was not projected. A commit that
    /// cannot be read or projected stops the view of its request, because a view never skips an
    /// event.
    async fn follow(
        &mut self,
        deliveries: &mut Deliveries,
        chunk: &mut Vec<Delivery>,
        shutdown: &Shutdown,
    ) -> Result<(), Error> {
        let mut next = Instant::now();
        loop {
            chunk.clear();
            self.tell(deliveries.is_pinned());
            let idle = self.standing.look_after(REDIS_LOOK);
            tokio::select! {
                gathered = gather(deliveries, chunk, (next, idle)) => gathered.ok_or(Error::Ended)?,
                () = shutdown.softly() => return Ok(()),
            };
            next = Instant::now() + TAKE_IN_EVERY;
            self.suspects.note(chunk);
            let mut blamed = 0;
            loop {
                self.pulse.turns();
                self.singly = blamed >= SPLIT_AFTER;
                // Wait for a broker that is away, but not past a hard shutdown.
                let pause = match shutdown.unless_hard(Box::pin(self.take_in(chunk))).await {
                    None => return Ok(()),
                    Some(Ok(())) => break,
                    Some(Err(error)) => {
                        let blame = error.is_of_its_commit();
                        blamed = if blame { blamed + 1 } else { 0 };
                        tracing::warn!(%error, "the projection of a shard will be tried again");
                        pause_after(&error)
                    }
                };
                if !shutdown.pause(pause).await {
                    return Ok(());
                }
            }
        }
    }

    /// Tells where the shard stands, for the metrics.
    fn tell(&self, is_pinned: bool) {
        self.pulse.turns();
        let stopped = self.stops.count();
        let level = self.standing.is_level();
        self.counted.stands(self.number, level, stopped, is_pinned);
    }

    /// Notes how long commits took into the feed.
    fn note_published(&self, new: &[(Sequence, &Delivery)]) {
        let places = new.iter().filter_map(|(_, delivery)| delivery.place().ok());
        let mut last = None;
        let now = Timestamp::now();
        for place in places {
            last = Some(place.stored_at);
            let delay = now.duration_since(place.stored_at);
            self.counted
                .feed_delay
                .took(delay.try_into().unwrap_or_default());
        }
        if let Some(last) = last {
            let at = metrics::since_1970(last.as_millisecond());
            self.counted.projected(self.number, at);
        }
    }

    /// Takes in a chunk. It is acked when the feed has its events. Views that Redis does not take
    /// now are written later, from the log.
    async fn take_in(&mut self, chunk: &[Delivery]) -> Result<(), Error> {
        let all = in_order(chunk)?;
        let Some((sequence, last)) = all.last().copied() else {
            // Another instance may be the active one, so only the broker knows what was published.
            let published = self.refresh().await?;
            self.tend_views(published).await;
            return Ok(());
        };
        let first = all.first().map_or(sequence, |(first, _)| *first);
        let published = match self.published {
            Some(published) if first <= published.next() => published,
            _ => self.refresh().await?,
        };
        self.tend_views(published).await;
        let new = &all[all.partition_point(|(sequence, _)| *sequence <= published)..];
        // After a lost broker or connection, messages in flight are redelivered late. The ack of
        // the first new message would also cover the missing ones.
        let follows_on = new.len() as u64 == sequence.since(published);
        if follows_on {
            self.project_delivered(new).await?;
        } else {
            let (shard, from) = (self.number, published.next());
            tracing::debug!(
                shard,
                from = from.get(),
                sequence = sequence.get(),
                "catching up from the log"
            );
            Box::pin(self.project_log(from, sequence, Make::All)).await?;
        }
        self.note_published(new);
        self.published = self.published.max(Some(sequence));
        self.note_views(sequence).await;
        last.ack().await?;
        self.keep_position(sequence).await;
        Ok(())
    }

    /// Asks the broker up to where the feed has the events. A consumer that somebody deleted is
    /// created again.
    async fn refresh(&mut self) -> Result<Sequence, Error> {
        let which = (self.number, LogReader::Projector);
        let own = self.published.unwrap_or(Sequence::NONE);
        let topology = &self.topology;
        let acked = topology
            .restore_log_consumer(&self.connection, which, own)
            .await?;
        let published = own.max(acked);
        self.published = Some(published);
        self.keep_position(published).await;
        Ok(published)
    }

    /// Notes now and then up to where the feed has the events, for a consumer that is created again.
    async fn keep_position(&mut self, published: Sequence) {
        let (noted, at) = self.noted;
        if published <= noted || at.elapsed() < NOTE_EVERY {
            return;
        }
        let noted = self.connection.note_published(self.number, published);
        if let Err(error) = noted.await {
            tracing::debug!(%error, "the position of the feed could not be noted");
        }
        self.noted = (published, Instant::now());
    }
}

/// The pause before a step is retried that failed with this error.
pub fn pause_after(error: &Error) -> Duration {
    if error.is_denial() {
        DENIED_PAUSE
    } else {
        RETRY_PAUSE
    }
}

/// The deliveries in the order of the log, without duplicates.
fn in_order(chunk: &[Delivery]) -> Result<Vec<(Sequence, &Delivery)>, Error> {
    let mut all = Vec::with_capacity(chunk.len());
    for delivery in chunk {
        let sequence = Sequence::new(delivery.place()?.sequence);
        all.push((sequence, delivery));
    }
    all.sort_by_key(|(sequence, _)| *sequence);
    all.dedup_by_key(|(sequence, _)| *sequence);
    Ok(all)
}

/// Gathers deliveries into `gathered` until `until`, or until a chunk is full. Gathers none if
/// nothing arrives for a while, and returns `None` if the connection is closed.
async fn gather(
    deliveries: &mut Deliveries,
    gathered: &mut Vec<Delivery>,
    (until, idle): (Instant, Duration),
) -> Option<()> {
    let Ok(first) = tokio::time::timeout(idle, deliveries.next()).await else {
        return Some(());
    };
    gathered.extend(first?);
    while gathered.len() < Deliveries::CHUNK {
        match tokio::time::timeout_at(until.into(), deliveries.next()).await {
            Ok(more) => gathered.extend(more?),
            Err(_) => break,
        }
    }
    Some(())
}
