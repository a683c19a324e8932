//! The log is the outbox: the orchestrator acks a commit once its effects are applied.

use domain::request::Sequence;
use std::pin::{Pin, pin};
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use nats::{Deliveries, Delivery};
use runtime::Shutdown;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use crate::context::Context;
use crate::error::Error;
use crate::queue_recovery::Lost;
use crate::turns::{Turns, Waits};
use crate::{contain, deferred_timers};

/// Approximate number of requests of a shard whose effects are applied at once.
const EFFECTS_IN_FLIGHT: usize = 256;
/// How many signs of life a commit in progress sends within the consumer's ack wait.
pub const SIGNS_OF_LIFE: u32 = 3;
/// The first pause before a commit whose effects failed is redelivered.
const RETRY_FIRST: Duration = Duration::from_millis(200);
/// The longest such pause.
const RETRY_LONGEST: Duration = Duration::from_secs(20);

/// An item that waits for its turn.
#[allow(clippy::large_enum_variant)] // Nearly all are commits.
enum Item {
    Commit(Delivery),
    /// A request of which the queues may have lost tasks and timers.
    Lost(Lost),
}

impl Waits for Item {
    fn delivery(&self) -> Option<&Delivery> {
        match self {
            Self::Commit(delivery) => Some(delivery),
            Self::Lost(_) => None,
        }
    }
}

impl Item {
    /// The delivery that another instance has to get instead. What the queues have lost, it finds
    /// itself.
    fn into_delivery(self) -> Option<Delivery> {
        match self {
            Self::Commit(delivery) => Some(delivery),
            Self::Lost(_) => None,
        }
    }
}

/// Processes the commits of a shard until the shutdown begins, then finishes the work in progress and hands back
/// the rest. Commits up to sequence `began` are older than this instance. The commits of one request
/// take turns, so that the effects of an end never overtake those of a later redrive.
pub async fn run(
    context: Arc<Context>,
    mut commits: Deliveries,
    mut lost: mpsc::Receiver<Lost>,
    (shard, began): (u8, Sequence),
    shutdown: Shutdown,
) {
    let mut turns = Turns::new(context.weights());
    let suspects = &context.suspects;
    let mut waiting = suspects.commits.waiting_changes();
    let mut outside = context.outside.changes();
    let mut signs_of_life = signs_of_life(context.ack_wait);
    let pulse = context
        .metrics
        .pulses
        .begin("orchestrator", format!("outbox-{shard}"));
    loop {
        pulse.turns();
        // Suspects that wait to run alone, and turns that wait for hosts or for the object store,
        // do not count against the limit.
        let places = EFFECTS_IN_FLIGHT + suspects.commits.waiting() + context.outside.turns();
        turns.begin(
            places + Deliveries::CHUNK,
            // What is left in the line shows signs of life.
            |_, line| line.pop_front().into_iter().collect(),
            |_, items: Vec<Item>| {
                let context = context.clone();
                // The future is large; box it so that only a pointer moves.
                Box::pin(async move {
                    for item in items {
                        match item {
                            Item::Commit(delivery) => take_in(&context, delivery, began).await,
                            Item::Lost(lost) => lost.put_back(&context).await,
                        }
                    }
                })
            },
        );
        tokio::select! {
            chunk = commits.next(), if turns.under_way() < places && turns.have_room() => {
                let Some(chunk) = chunk else { break };
                queue(&context, &mut turns, chunk, began).await;
            }
            _ = signs_of_life.tick() => {
                let arrived = commits.arrived();
                queue(&context, &mut turns, arrived, began).await;
                turns.show_signs_of_life().await;
            }
            Some(lost) = lost.recv(), if turns.under_way() < places => {
                turns.queue(context.tenant_of(lost.request), lost.request, Item::Lost(lost));
            }
            () = turns.ended() => {}
            Ok(()) = waiting.changed() => {}
            Ok(()) = outside.changed() => {}
            () = context.held.due() => context.held.set(&context.timers, false).await,
            () = shutdown.softly() => break,
        }
    }
    let not_begun = turns
        .not_begun()
        .into_iter()
        .filter_map(Item::into_delivery);
    // Another instance goes on while this one finishes.
    tokio::join!(
        commits.hand_back(not_begun.collect()),
        turns.finish(&shutdown)
    );
    // The next instance must find every wanted timer.
    shutdown
        .unless_hard(context.held.set(&context.timers, true))
        .await;
}

async fn queue(
    context: &Arc<Context>,
    turns: &mut Turns<Item>,
    commits: Vec<Delivery>,
    began: Sequence,
) {
    context
        .open
        .hear(&commits, &context.metrics.orchestrator.requests);
    for delivery in commits {
        if delivery.is_no_commit() {
            if let Err(error) = delivery.ack().await {
                tracing::debug!(%error, "a message could not be answered; it comes again");
            }
            continue;
        }
        match delivery.request() {
            Some(request) => {
                let tenant = delivery.tenant();
                context.note_tenant(request, &tenant);
                turns.queue(tenant, request, Item::Commit(delivery));
            }
            None => take_in(context, delivery, began).await,
        }
    }
}

/// When the messages that wait for their turns show signs of life.
pub fn signs_of_life(ack_wait: Duration) -> Interval {
    let every = ack_wait / SIGNS_OF_LIFE;
    let mut signs = tokio::time::interval_at(Instant::now() + every, every);
    signs.set_missed_tick_behavior(MissedTickBehavior::Delay);
    signs
}

async fn take_in(context: &Arc<Context>, delivery: Delivery, began: Sequence) {
    let every = context.ack_wait / SIGNS_OF_LIFE;
    let commit = deferred_timers::Commit::new(delivery, began);
    let delivery = commit.delivery();
    let done = {
        // Drop unfinished work before answering the commit, because the work may hold a lock.
        let following = pin!(contain::commit(context, &commit));
        with_signs_of_life(slice::from_ref(delivery), every, following).await
    };
    let Err(error) = done else {
        return commit.release().await;
    };
    context.metrics.orchestrator.effects_again.inc();
    let delivered = delivery.place().map_or(1, |place| place.delivered);
    let pause = pause_before(delivered);
    tracing::warn!(subject = delivery.subject(), %error, ?pause, "the effects of a commit will be tried again");
    if let Some(request) = delivery.request() {
        context.suspects.commits.survived(request, 0);
    }
    if let Err(error) = delivery.nak(pause).await {
        tracing::debug!(%error, "a commit could not be answered; it comes again");
    }
}

/// The pause before the next delivery. It grows with each delivery, and the broker counts
/// deliveries.
pub fn pause_before(delivered: u32) -> Duration {
    let doublings = delivered.saturating_sub(1).min(16);
    RETRY_FIRST
        .saturating_mul(1 << doublings)
        .min(RETRY_LONGEST)
}

/// Runs `work` and sends signs of life for these deliveries at this interval.
pub async fn with_signs_of_life<T>(
    deliveries: &[Delivery],
    every: Duration,
    mut work: Pin<&mut impl Future<Output = Result<T, Error>>>,
) -> Result<T, Error> {
    loop {
        if let Ok(done) = tokio::time::timeout(every, &mut work).await {
            return done;
        }
        for delivery in deliveries {
            delivery.in_progress().await?;
        }
    }
}
