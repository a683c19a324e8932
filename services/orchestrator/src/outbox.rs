//! The log is the outbox: a commit is acked when what follows from it is done.

use std::pin::{Pin, pin};
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use nats::{Deliveries, Delivery};
use runtime::Shutdown;
use tokio::sync::mpsc;

use crate::context::Context;
use crate::error::Error;
use crate::queue_recovery::Lost;
use crate::turns::Turns;
use crate::{contain, deferred_timers};

/// Of how many requests effects are under way at once, about.
const EFFECTS_IN_FLIGHT: usize = 256;
/// How many signs of life a commit under way shows within the consumer's ack wait.
pub const SIGNS_OF_LIFE: u32 = 3;
/// The first pause before a commit whose effects could not be done is delivered again.
const RETRY_FIRST: Duration = Duration::from_millis(200);
/// The longest such pause.
const RETRY_LONGEST: Duration = Duration::from_secs(20);

/// What waits for its turn.
#[allow(clippy::large_enum_variant)] // Nearly all are commits.
enum Item {
    Commit(Delivery),
    /// The queues lost what they held of this request.
    Lost(Lost),
}

/// Takes commits in until nothing new is to be taken, then finishes what is under way. Those up
/// to sequence `began` are of before. The commits of one request take turns: what follows from an
/// end is not to overtake what follows from a redrive after it.
pub async fn run(
    context: Arc<Context>,
    mut commits: Deliveries,
    mut lost: mpsc::Receiver<Lost>,
    began: u64,
    shutdown: Shutdown,
) {
    let mut turns = Turns::new();
    let suspects = &context.suspects;
    let mut waiting = suspects.commits.waiting_changes();
    loop {
        // Suspects that wait for their turn alone take nobody's place.
        let places = EFFECTS_IN_FLIGHT + suspects.commits.waiting();
        turns.begin(
            |line| line.drain(..).collect(),
            |_, items: Vec<Item>| {
                let context = context.clone();
                // It is large: boxed, it is moved about as a pointer.
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
            chunk = commits.next(), if turns.under_way() < places => {
                let Some(chunk) = chunk else { break };
                for delivery in chunk {
                    match delivery.request() {
                        Some(request) => turns.queue(request, Item::Commit(delivery)),
                        None => take_in(&context, delivery, began).await,
                    }
                }
            }
            Some(lost) = lost.recv(), if turns.under_way() < places => {
                turns.queue(lost.request, Item::Lost(lost));
            }
            () = turns.ended() => {}
            Ok(()) = waiting.changed() => {}
            () = context.held.due() => context.held.set(&context.timers, false).await,
            () = shutdown.softly() => break,
        }
    }
    turns.finish(&shutdown).await;
    // What comes after this instance is to find every timer that is wanted.
    shutdown
        .unless_hard(context.held.set(&context.timers, true))
        .await;
}

async fn take_in(context: &Arc<Context>, delivery: Delivery, began: u64) {
    let every = context.ack_wait / SIGNS_OF_LIFE;
    let commit = deferred_timers::Commit::new(delivery, began);
    let delivery = commit.delivery();
    let done = {
        // What is left undone is let go before the commit is answered: it may hold a lock.
        let following = pin!(contain::commit(context, &commit));
        with_signs_of_life(slice::from_ref(delivery), every, following).await
    };
    let Err(error) = done else {
        return commit.release().await;
    };
    let delivered = delivery.place().map_or(1, |place| place.delivered);
    let pause = pause_before(delivered);
    tracing::warn!(subject = delivery.subject(), %error, ?pause, "will be tried again");
    if let Some(request) = delivery.request() {
        context.suspects.commits.survived(request, 0);
    }
    if let Err(error) = delivery.nak(pause).await {
        tracing::debug!(%error, "a commit could not be answered; it comes again");
    }
}

/// The pause grows with each delivery, which the broker counts.
pub fn pause_before(delivered: u32) -> Duration {
    let doublings = delivered.saturating_sub(1).min(16);
    RETRY_FIRST
        .saturating_mul(1 << doublings)
        .min(RETRY_LONGEST)
}

/// Does some work on these, and shows signs of life so often.
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
