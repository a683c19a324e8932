//! The recent costs of publishing, which decide whether an atomic batch pays.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The assumed cost of a batch, without its messages, until one has been measured.
const BATCH_COST: Duration = Duration::from_micros(2_500);
/// The cost of each message within a batch. The message passes through a store of the batch before
/// it reaches the stream. A message that is not synced individually costs less without a batch.
const BATCHED_COST: Duration = Duration::from_micros(25);
/// The least that an individually synced message is assumed to cost. Below it there is no sync to
/// save, and a batch would only trade latency for the broker's processor time.
const SYNCED_FROM: Duration = Duration::from_micros(50);
/// The fewest messages at once, each on its own, whose cost is measured.
const MEASURED_FROM: usize = 8;
/// After this many atomic batches, one batch goes as individual messages although an atomic batch
/// seems to pay. The cost of individual messages was perhaps measured at a bad moment. If
/// everything went in atomic batches, that cost would never be measured again.
const TRIED_AFTER: u32 = 100;
/// The sizes of a batch that is tried as individual messages. Such a batch is large enough to
/// spread a round trip over its messages, and small enough not to take long where the broker syncs
/// each.
const TRIED: RangeInclusive<usize> = 16..=32;
/// After this many atomic batches, a batch of any size is tried: none of those sizes came.
const TRIED_AT_ANY_SIZE_AFTER: u32 = 10 * TRIED_AFTER;
/// The weight of a measurement that is higher than the known cost of a batch. A lower measurement
/// is believed at once: other work on the machine can only make a measurement higher.
const BATCH_WEIGHT: f64 = 0.01;
/// The weight of a higher measurement for individual messages. Under load these take several times
/// as long for minutes, although there is no more to sync.
const SINGLE_WEIGHT: f64 = 0.000_1;

/// The lowest recent measurements, in seconds.
pub(crate) struct Costs {
    /// The cost of a batch, without its messages.
    batch: f64,
    /// The cost of an individual message, once measured.
    single: Option<f64>,
    /// The batches since individual messages were last tried.
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
    /// Whether a batch of this many messages costs less than the individual messages. The answer is
    /// also no when the cost of individual messages is to be measured again.
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

    /// Notes how long a batch of this many messages took.
    pub fn note_batch(&mut self, messages: usize, took: Duration) {
        self.batches += 1;
        let took = took.as_secs_f64() - batched(messages);
        lower(&mut self.batch, took, BATCH_WEIGHT);
    }

    /// Notes how long this many individual messages took, sent concurrently.
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

#[allow(clippy::cast_precision_loss)] // A batch has some hundreds.
fn count(messages: usize) -> f64 {
    messages as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNCED: Duration = Duration::from_micros(160);
    const UNSYNCED: Duration = Duration::from_micros(15);

    #[test]
    fn a_batch_pays_for_dozens_of_individually_synced_messages() {
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
    fn a_busy_machine_does_not_make_unsynced_messages_look_synced() {
        let mut costs = Costs::default();
        costs.note_singles(100, UNSYNCED * 100);
        for _ in 0..1_000 {
            costs.note_singles(10, SYNCED * 10);
        }
        costs.note_batch(100, Duration::from_micros(2_600));
        assert!(!costs.batch_pays(400));
    }

    /// Counts the batches of this many messages until individual messages are tried.
    fn batches_of(messages: usize, costs: &mut Costs) -> u32 {
        let mut batches = 0;
        while costs.batch_pays(messages) {
            costs.note_batch(messages, Duration::from_micros(2_600));
            batches += 1;
        }
        batches
    }

    #[test]
    fn an_outlier_among_the_measurements_is_measured_again() {
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
