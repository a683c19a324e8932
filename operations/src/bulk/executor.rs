//! The execution of the operations that were started. One process executes all of them, the one that
//! holds a lease. Two that both believe to hold it do no harm: each commit of an operation expects
//! the sequence of the last one, and the action on an item can be repeated.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::bulk::{
    Became, Command, Event, Item, ItemNumber, Operation, OperationId, Outcome, Recent, Selection,
    decide,
};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use nats::{Error, Lease};
use tokio::time::Instant;

use super::Folded;
use crate::Operations;

/// The name of the lease.
const LEASE: &str = "operations";
/// How many items are acted on, or looked at, together.
const TOGETHER: usize = 16;
/// How many running requests of an operation one turn looks at.
const LOOKED_AT_PER_TURN: usize = 200;
/// The reason of an item of a selection that the object store no longer has.
const NO_SELECTION: &str = "the selection of the operation is no longer kept";
/// The time for which the first turn may ask.
const FIRST: Duration = Duration::from_millis(250);
/// The longest time for which the rate saves up what was not asked for.
const SAVED_UP_MAX: Duration = Duration::from_secs(1);

/// Executes the operations that were started.
pub struct Executor {
    operations: Operations,
    lease: Lease,
    memory: HashMap<OperationId, Memory>,
}

/// What the executor knows of an operation from one turn to the next. All of it may be lost.
struct Memory {
    selection: Option<Arc<Selection>>,
    /// Up to when the rate is used up.
    paid: Instant,
    /// The item after which the next turn looks at running requests.
    looked: ItemNumber,
}

impl Executor {
    /// An executor that has executed nothing. Another process takes over from it where it has not
    /// renewed its lease for `lease_lasts`.
    #[must_use]
    pub fn new(operations: Operations, lease_lasts: Duration) -> Self {
        let connection = operations.connection.clone();
        Self {
            operations,
            lease: Lease::new(connection, LEASE, lease_lasts),
            memory: HashMap::new(),
        }
    }

    /// One turn of every open operation, where this process holds the lease. Returns whether another
    /// should follow at once.
    pub async fn round(&mut self) -> Result<bool, Error> {
        let operations = &self.operations;
        let open = operations
            .board
            .look(&operations.bulk, Folded::is_open)
            .await?;
        self.memory
            .retain(|id, _| open.iter().any(|folded| folded.id == *id));
        if open.is_empty() {
            self.lease.release().await;
            return Ok(false);
        }
        let mut busy = false;
        for folded in open {
            if !self.lease.hold().await? {
                return Ok(false);
            }
            let id = folded.id;
            match self.turn(folded).await {
                Ok(goes_on) => busy |= goes_on,
                Err(error) => {
                    tracing::warn!(operation = %id, %error, "an operation cannot go on now");
                }
            }
        }
        Ok(busy)
    }

    /// Lets another process execute the operations at once.
    pub async fn hand_over(&mut self) {
        self.lease.release().await;
    }

    async fn turn(&mut self, folded: Folded) -> Result<bool, Error> {
        let Some(operation) = folded.operation() else {
            return Ok(false);
        };
        let now = Instant::now();
        let memory = self.memory.entry(folded.id).or_insert(Memory {
            selection: None,
            paid: now.checked_sub(FIRST).unwrap_or(now),
            looked: 0,
        });
        let selection = match &memory.selection {
            Some(selection) => selection.clone(),
            None => match self.operations.selection(operation).await {
                Ok(selection) => memory.selection.insert(Arc::new(selection)).clone(),
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => {
                    tracing::error!(operation = %folded.id, %error, "{NO_SELECTION}");
                    Arc::default()
                }
            },
        };
        let outcomes = outcomes(&self.operations, &folded, operation, &selection, memory).await;
        let (room, per_second) = room(operation, memory, now);
        let command = Command::Advance { outcomes, room };
        let events = decide(&folded.state, command).unwrap_or_default();
        if events.is_empty() {
            return Ok(false);
        }
        let stored = self
            .operations
            .bulk
            .append(folded.id, &events, folded.sequence)
            .await;
        let mut after = folded;
        match stored {
            Ok(sequence) => after.take_in(sequence, Timestamp::now(), &events),
            // Somebody gave a command, or another process executes: the next turn knows it.
            Err(Error::Conflict | Error::Unanswered(_)) => {
                let read = self.operations.bulk_operation(after.id).await?;
                after = read.ok_or_else(|| Error::Missing(format!("operation {}", after.id)))?;
            }
            Err(error) => return Err(error),
        }
        let asked = asked(&events);
        memory.pay(asked, per_second, now);
        self.operations.board.put(after).await;
        Ok(asked > 0)
    }
}

impl Memory {
    /// Takes items from the rate.
    fn pay(&mut self, items: u32, per_second: u32, now: Instant) {
        let since = now.checked_sub(SAVED_UP_MAX).unwrap_or(now);
        self.paid = self.paid.max(since) + Duration::from_secs(1) * items / per_second.max(1);
    }
}

/// How many items these events ask for.
fn asked(events: &[Event]) -> u32 {
    let asked = events.iter().map(|event| match event {
        Event::Asking(asking) => u32::try_from(asking.items.len()).unwrap_or(u32::MAX),
        _ => 0,
    });
    asked.sum()
}

/// How many items the rate allows now, and the rate.
fn room(operation: &Operation, memory: &Memory, now: Instant) -> (u32, u32) {
    let per_second = operation.plan.map_or(1, |plan| plan.per_second);
    if memory.paid > now {
        return (0, per_second);
    }
    let saved_up = now.duration_since(memory.paid).min(SAVED_UP_MAX);
    let items = saved_up.as_millis() * u128::from(per_second) / 1_000;
    (
        u32::try_from(items).unwrap_or(per_second).max(1),
        per_second,
    )
}

/// How the items went on that are being asked for, and some of those that run.
async fn outcomes(
    operations: &Operations,
    folded: &Folded,
    operation: &Operation,
    selection: &Selection,
    memory: &mut Memory,
) -> Vec<Outcome> {
    let asking = operation.items().filter(|item| item.item == Item::Asking);
    let running = |item: &Recent<'_>| matches!(item.item, Item::Running(_));
    let later = operation.items().filter(|item| item.number > memory.looked);
    let earlier = operation
        .items()
        .filter(|item| item.number <= memory.looked);
    let running: Vec<Recent<'_>> = later
        .chain(earlier)
        .filter(running)
        .take(LOOKED_AT_PER_TURN)
        .collect();
    memory.looked = running.last().map_or(0, |last| last.number);
    let mut looks: Vec<BoxFuture<'_, Option<Outcome>>> = Vec::new();
    for item in asking.chain(running) {
        looks.push(Box::pin(async move {
            let became = outcome(operations, folded, operation, selection, item).await?;
            let item = item.number;
            Some(Outcome { item, became })
        }));
    }
    let looks = futures::stream::iter(looks).buffer_unordered(TOGETHER);
    let outcomes: Vec<Option<Outcome>> = looks.collect().await;
    let mut outcomes: Vec<Outcome> = outcomes.into_iter().flatten().collect();
    outcomes.sort_by_key(|outcome| outcome.item);
    outcomes
}

/// How one item went on; nothing where that is not known yet.
async fn outcome(
    operations: &Operations,
    folded: &Folded,
    operation: &Operation,
    selection: &Selection,
    item: Recent<'_>,
) -> Option<Became> {
    let index = usize::try_from(item.number).ok();
    let target = index.and_then(|index| selection.items.get(index));
    let went_on = match (target, item.item) {
        (None, Item::Running(_)) => return Some(Became::Failed(NO_SELECTION.into())),
        (None, _) => return Some(Became::Refused(NO_SELECTION.into())),
        (Some(target), Item::Running(run)) => operations.ended(target, run).await,
        (Some(target), _) => {
            let performed = operations.perform(folded.id, &operation.drafted, target);
            Box::pin(performed).await.map(Some)
        }
    };
    match (went_on, item.item) {
        (Ok(became), _) => became,
        (Err(error), _) if error.is_transient() => {
            tracing::debug!(operation = %folded.id, item = item.number, %error, "an item waits");
            None
        }
        (Err(error), Item::Running(_)) => Some(Became::Failed(error.to_string())),
        (Err(error), _) => Some(Became::Refused(error.to_string())),
    }
}
