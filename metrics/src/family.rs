//! Instruments of one name that differ in their labels.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, LabelSetEncoder, MetricEncoder};
use prometheus_client::metrics::{MetricType, TypedMetric};

use crate::Counter;

/// The value of a label that stands for all values beyond the limit.
pub const OTHER: &str = "other";
/// How many values the open label of a family may have. Codes of faults are such values: users
/// choose them.
const OPEN_MAX: usize = 50;

type Values = Box<[Cow<'static, str>]>;
type Make<M> = Arc<dyn Fn() -> M + Send + Sync>;

/// The instruments of one name. Take an instrument once and keep it: taking one needs a lock.
#[derive(Clone)]
pub struct Family<M> {
    labels: &'static [&'static str],
    make: Make<M>,
    series: Arc<RwLock<BTreeMap<Values, M>>>,
    /// Counts what fell to [`OTHER`].
    overflow: Counter,
}

impl<M> fmt::Debug for Family<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Family({:?})", self.labels)
    }
}

impl<M: Clone> Family<M> {
    pub(crate) fn new(
        labels: &'static [&'static str],
        overflow: Counter,
        make: impl Fn() -> M + Send + Sync + 'static,
    ) -> Self {
        Self {
            labels,
            make: Arc::new(make),
            series: Arc::default(),
            overflow,
        }
    }

    /// The instrument with these values of the labels, in their order.
    #[must_use]
    pub fn with(&self, values: &[&str]) -> M {
        let key: Values = values.iter().map(|v| Cow::Owned((*v).to_owned())).collect();
        debug_assert_eq!(key.len(), self.labels.len());
        let found = {
            let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
            series.get(&key).cloned()
        };
        found.unwrap_or_else(|| {
            let mut series = self.series.write().unwrap_or_else(PoisonError::into_inner);
            series.entry(key).or_insert_with(|| (self.make)()).clone()
        })
    }

    /// Like `with`, for a last label whose values others choose. Beyond a number of values they are
    /// told as [`OTHER`].
    #[must_use]
    pub fn with_open(&self, values: &[&str], open: &str) -> M {
        let mut all = values.to_vec();
        all.push(open);
        if !self.has_room(values, &all) {
            self.overflow.inc();
            all.pop();
            all.push(OTHER);
        }
        self.with(&all)
    }

    fn has_room(&self, first: &[&str], all: &[&str]) -> bool {
        let is = |key: &Values, of: &[&str]| key.iter().zip(of).all(|(a, b)| a == b);
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        let mut siblings = 0;
        for key in series.keys().filter(|key| is(key, first)) {
            if is(key, all) {
                return true;
            }
            siblings += 1;
        }
        siblings < OPEN_MAX
    }

    /// Drops all instruments, because this process no longer knows their values.
    pub fn clear(&self) {
        self.retain(|_| false);
    }

    /// Drops the instruments whose labels this is false for.
    pub fn retain(&self, mut keep: impl FnMut(&[Cow<'static, str>]) -> bool) {
        let mut series = self.series.write().unwrap_or_else(PoisonError::into_inner);
        series.retain(|key, _| keep(key));
    }
}

impl<M: EncodeMetric + TypedMetric> EncodeMetric for Family<M> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        for (values, metric) in &*series {
            let set = Labels(self.labels, values);
            metric.encode(encoder.encode_family(&set)?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }

    fn is_empty(&self) -> bool {
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        series.is_empty()
    }
}

struct Labels<'a>(&'static [&'static str], &'a [Cow<'static, str>]);

impl EncodeLabelSet for Labels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        use prometheus_client::encoding::EncodeLabel as _;
        for (name, value) in self.0.iter().zip(self.1) {
            (*name, value.as_ref()).encode(encoder.encode_label())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_users_choose_get_fifty_series_of_a_type_and_the_rest_are_other() {
        let overflow = Counter::default();
        let faults = Family::new(&["task_type", "code"], overflow.clone(), Counter::default);
        for task_type in ["bond", "option"] {
            for code in 0..60 {
                faults
                    .with_open(&[task_type], &format!("exit-{code}"))
                    .inc();
            }
            faults.with_open(&[task_type], "exit-7").inc();
            assert_eq!(faults.with(&[task_type, "exit-7"]).get(), 2);
            assert_eq!(faults.with(&[task_type, OTHER]).get(), 10);
        }
        assert_eq!(overflow.get(), 20);
    }
}
