//! Histograms with classic buckets.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::exemplar::{Exemplar, HistogramWithExemplars};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// How many of the smallest part of a second are a second.
const NANOS: f64 = 1e9;

/// Bounds of buckets, as they are told.
pub(crate) type Bounds = &'static [f64];

/// Answers of this process and of the broker.
pub(crate) const SHORT: Bounds = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// Steps between roles, where the goals are 250 ms, 500 ms and 1 s.
pub(crate) const DELAYS: Bounds = &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0];
/// What takes as long as tasks do.
pub(crate) const WORK: Bounds = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0,
];
/// What takes as long as requests do: up to a day.
pub(crate) const REQUESTS: Bounds = &[
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0, 900.0, 3_600.0, 86_400.0,
];
/// Sizes of documents.
pub(crate) const BYTES: Bounds = &[
    1_024.0,
    16_384.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    268_435_456.0,
];
/// Messages and reports that go together.
pub(crate) const TOGETHER: Bounds = &[1.0, 4.0, 16.0, 64.0, 256.0, 400.0];

/// A histogram of atomic numbers: noting a value takes no lock. (That of prometheus-client has one.)
#[derive(Clone)]
pub struct Histogram(Arc<Inner>);

struct Inner {
    bounds: Bounds,
    /// Bounds of times, in nanoseconds; other bounds as they are.
    scale: f64,
    /// How many values fell into each bucket, with the one above all bounds.
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Histogram({:?})", self.0.bounds)
    }
}

impl Histogram {
    /// A histogram of times.
    pub(crate) fn of_times(bounds: Bounds) -> Self {
        Self::new(bounds, NANOS)
    }

    /// A histogram of sizes and counts.
    pub(crate) fn of_counts(bounds: Bounds) -> Self {
        Self::new(bounds, 1.0)
    }

    fn new(bounds: Bounds, scale: f64) -> Self {
        Self(Arc::new(Inner {
            bounds,
            scale,
            buckets: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }))
    }

    /// Notes how long something took.
    pub fn took(&self, time: Duration) {
        self.note(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Notes a size or a count.
    pub fn had(&self, count: usize) {
        self.note(count as u64);
    }

    #[allow(clippy::cast_precision_loss)] // A bucket does not need the last bits.
    fn note(&self, value: u64) {
        let inner = &*self.0;
        let told = value as f64 / inner.scale;
        let bucket = inner.bounds.partition_point(|bound| *bound < told);
        if let Some(bucket) = inner.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        inner.sum.fetch_add(value, Ordering::Relaxed);
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Histogram {
    #[allow(clippy::cast_precision_loss)] // As in `note`.
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let inner = &*self.0;
        let bounds = inner.bounds.iter().copied().chain([f64::INFINITY]);
        let counts = inner.buckets.iter().map(|b| b.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = inner.sum.load(Ordering::Relaxed) as f64 / inner.scale;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, NONE)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

const NONE: Option<&HashMap<usize, Exemplar<NoLabelSet, f64>>> = None;

/// A histogram that keeps for each bucket the last value of a caller that traces. A lock is taken
/// for each value, so it is for what ends, such as requests and attempts.
#[derive(Clone, Debug)]
pub struct Traced(HistogramWithExemplars<[(&'static str, String); 1]>);

impl Traced {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self(HistogramWithExemplars::new(bounds.iter().copied()))
    }

    /// Notes how long something took, within a trace if there is one.
    pub fn took(&self, time: Duration, trace_id: Option<&str>) {
        let label = trace_id.map(|id| [("trace_id", id.to_owned())]);
        self.0.observe(time.as_secs_f64(), label, None);
    }
}

impl TypedMetric for Traced {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Traced {
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        self.0.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}
