//! What publishing costs, as it was measured lately: whether an atomic batch pays.

use std::ops::RangeInclusive;
use std::time::Duration;

/// What a batch is taken to cost, beside its messages, before one was measured.
const BATCH_COST: Duration = Duration::from_micros(2_500);
/// What each message costs within a batch. It passes through a store of the batch before it gets
/// to the stream: one that is not synced by itself costs less when it goes there at once.
const BATCHED_COST: Duration = Duration::from_micros(25);
/// The least that an individually synced message is assumed to cost. Below it there is no sync to
/// save, and a batch would only trade latency for the broker's processor time.
const SYNCED_FROM: Duration = Duration::from_micros(50);
/// From how many messages at once, each by itself, their cost is measured.
const MEASURED_FROM: usize = 8;
/// After so many batches one flight goes as messages by themselves, though a batch seems to pay:
/// what they cost was perhaps measured in a bad moment, and where all goes in batches it would
/// never be measured again.
const TRIED_AFTER: u32 = 100;
/// How many messages such a flight has: more than a round trip is spread over, and not so many
/// that it takes long where each is synced.
const TRIED: RangeInclusive<usize> = 16..=32;
/// After so many batches it is a flight of any size: there are none so small.
const TRIED_AT_ANY_SIZE_AFTER: u32 = 10 * TRIED_AFTER;
/// How much a new measurement counts that is higher than what is known. One that is lower is
/// believed at once: whatever else the machine does only makes it higher.
const BATCH_WEIGHT: f64 = 0.01;
/// The same of messages by themselves, which under load take some times as long for minutes,
/// though there is no more to sync.
const SINGLE_WEIGHT: f64 = 0.000_1;

/// The least that was measured lately, in seconds.
pub(crate) struct Costs {
    /// Of a batch, beside its messages.
    batch: f64,
    /// Of a message that goes by itself, once that was measured.
    single: Option<f64>,
    /// The batches since messages by themselves were last tried.
    batches: u32,
}

impl Default for Costs {
    fn default() -> Self {
        Self {
            batch: BATCH_COST.as_secs_f64(),
            single: None,
            batches: 0,
        }
    }
}

impl Costs {
    /// Whether a batch of so many messages costs less than the messages by themselves, or it is
    /// to be measured again whether it does.
    pub fn batch_pays(&mut self, messages: usize) -> bool {
        let wanted = self.batches >= TRIED_AFTER && TRIED.contains(&messages)
            || self.batches >= TRIED_AT_ANY_SIZE_AFTER && messages >= MEASURED_FROM;
        if wanted {
            self.batches = 0;
            return false;
        }
        let pays = |single| {
            single >= SYNCED_FROM.as_secs_f64()
                && single * count(messages) > self.batch + batched(messages)
        };
        self.single.is_some_and(pays)
    }

    /// Notes what a batch of so many messages took.
    pub fn note_batch(&mut self, messages: usize, took: Duration) {
        self.batches += 1;
        let took = took.as_secs_f64() - batched(messages);
        lower(&mut self.batch, took, BATCH_WEIGHT);
    }

    /// Notes what so many messages by themselves took, one beside the other.
    pub fn note_singles(&mut self, messages: usize, took: Duration) {
        if messages >= MEASURED_FROM {
            let took = took.as_secs_f64() / count(messages);
            lower(self.single.get_or_insert(took), took, SINGLE_WEIGHT);
        }
    }
}

fn lower(known: &mut f64, measured: f64, weight: f64) {
    *known = measured.min(*known + weight * (measured - *known));
}

fn batched(messages: usize) -> f64 {
    BATCHED_COST.as_secs_f64() * count(messages)
}

#[allow(clippy::cast_precision_loss)] // A flight has some hundreds.
fn count(messages: usize) -> f64 {
    messages as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNCED: Duration = Duration::from_micros(160);
    const UNSYNCED: Duration = Duration::from_micros(15);

    #[test]
    fn a_batch_pays_for_some_dozens_of_messages_that_are_synced_each() {
        let mut costs = Costs::default();
        costs.note_singles(10, SYNCED * 10);
        assert!(!costs.batch_pays(10));
        assert!(costs.batch_pays(30));
    }

    #[test]
    fn a_batch_never_pays_for_messages_that_are_not_synced() {
        let mut costs = Costs::default();
        costs.note_singles(100, UNSYNCED * 100);
        assert!(!costs.batch_pays(400));
        assert!(!costs.batch_pays(100_000));
    }

    #[test]
    fn messages_that_are_not_synced_do_not_seem_so_because_the_machine_is_busy() {
        let mut costs = Costs::default();
        costs.note_singles(100, UNSYNCED * 100);
        for _ in 0..1_000 {
            costs.note_singles(10, SYNCED * 10);
        }
        costs.note_batch(100, Duration::from_micros(2_600));
        assert!(!costs.batch_pays(400));
    }

    /// How many batches of so many messages there are before one is tried otherwise.
    fn batches_of(messages: usize, costs: &mut Costs) -> u32 {
        let mut batches = 0;
        while costs.batch_pays(messages) {
            costs.note_batch(messages, Duration::from_micros(2_600));
            batches += 1;
        }
        batches
    }

    #[test]
    fn what_was_measured_in_a_bad_moment_is_measured_again() {
        let mut costs = Costs::default();
        costs.note_singles(100, SYNCED * 100);
        assert_eq!(batches_of(100, &mut costs), TRIED_AT_ANY_SIZE_AFTER);
        assert_eq!(batches_of(30, &mut costs), TRIED_AFTER);
        assert!(
            costs.batch_pays(30),
            "a refusal measured nothing: the next is a batch again"
        );
        costs.note_singles(30, UNSYNCED * 30);
        assert!(!costs.batch_pays(400));
    }

    #[test]
    fn a_lower_measurement_is_believed_at_once_and_a_higher_one_slowly() {
        let mut costs = Costs::default();
        costs.note_batch(100, Duration::from_millis(3));
        assert!(costs.batch < 0.000_51, "{}", costs.batch);
        costs.note_batch(100, Duration::from_micros(12_500));
        assert!(costs.batch < 0.000_61, "{}", costs.batch);
    }
}
