//! The log is the outbox: a commit is acked when what follows from it is done.

use std::sync::Arc;
use std::time::Duration;

use nats::{Deliveries, Delivery};
use runtime::Shutdown;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::context::Context;
use crate::effects;
use crate::error::Error;

/// How many commits' effects are under way at once.
const EFFECTS_IN_FLIGHT: usize = 256;
/// How many signs of life a commit under way shows within the consumer's ack wait.
const SIGNS_OF_LIFE: u32 = 3;
/// The first pause before a commit whose effects could not be done is delivered again.
const RETRY_FIRST: Duration = Duration::from_millis(200);
/// The longest such pause.
const RETRY_LONGEST: Duration = Duration::from_secs(20);

/// Takes commits in until nothing new is to be taken, then finishes what is under way.
pub async fn run(context: Arc<Context>, mut commits: Deliveries, shutdown: Shutdown) {
    let room = Arc::new(Semaphore::new(EFFECTS_IN_FLIGHT));
    let mut under_way = JoinSet::new();
    loop {
        let chunk = tokio::select! {
            chunk = commits.next() => chunk,
            () = shutdown.softly() => None,
        };
        let Some(chunk) = chunk else { break };
        for delivery in chunk {
            let Ok(permit) = room.clone().acquire_owned().await else {
                break;
            };
            let context = context.clone();
            under_way.spawn(async move {
                take_in(&context, delivery).await;
                drop(permit);
            });
        }
        while under_way.try_join_next().is_some() {}
    }
    let rest = async { while under_way.join_next().await.is_some() {} };
    shutdown.unless_hard(rest).await;
}

async fn take_in(context: &Context, delivery: Delivery) {
    let every = context.ack_wait / SIGNS_OF_LIFE;
    let done = with_signs_of_life(&delivery, every, effects::of_commit(context, &delivery));
    let answer = match done.await {
        Ok(()) => delivery.ack().await,
        Err(error) => {
            let delivered = delivery.place().map_or(1, |(_, _, delivered)| delivered);
            let pause = pause_before(delivered);
            tracing::warn!(subject = delivery.subject(), %error, ?pause, "will be tried again");
            delivery.nak(pause).await
        }
    };
    if let Err(error) = answer {
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

async fn with_signs_of_life(
    delivery: &Delivery,
    every: Duration,
    work: impl Future<Output = Result<(), Error>>,
) -> Result<(), Error> {
    tokio::pin!(work);
    loop {
        match tokio::time::timeout(every, &mut work).await {
            Ok(done) => return done,
            Err(_) => delivery.in_progress().await?,
        }
    }
}
