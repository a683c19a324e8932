//! The registration of instruments, with what is documented of them.

use prometheus_client::encoding::EncodeMetric;
use prometheus_client::metrics::TypedMetric;
use prometheus_client::registry::{self, Unit};

use crate::catalogue::{Entry, Part};
use crate::counted::{Counter, Gauge, Mirror};
use crate::family::Family;
use crate::histogram::{Bounds, Histogram, Traced};

type Refresh = Box<dyn Fn() + Send + Sync>;

/// Takes instruments in. One that belongs to a part that this process does not run is made all the
/// same and never told.
#[derive(Default)]
pub struct Registry {
    pub(crate) inner: registry::Registry,
    pub(crate) entries: Vec<Entry>,
    pub(crate) refresh: Vec<Refresh>,
    parts: Vec<Part>,
    part: Option<Part>,
    overflow: Option<Family<Counter>>,
}

impl Registry {
    /// Tells the instruments of these parts. Without parts, it tells none.
    pub(crate) fn of(parts: &[Part]) -> Self {
        Self {
            parts: parts.to_vec(),
            ..Self::default()
        }
    }

    /// The instruments that come next belong to this part.
    pub(crate) fn part(&mut self, part: Part) -> &mut Self {
        self.part = Some(part);
        self
    }

    fn is_told(&self) -> bool {
        let every = self.part == Some(Part::Process) && !self.parts.is_empty();
        every || self.part.is_some_and(|part| self.parts.contains(&part))
    }

    /// Does this before each scrape, if the part is told.
    pub(crate) fn before_each(&mut self, refresh: impl Fn() + Send + Sync + 'static) {
        if self.is_told() {
            self.refresh.push(Box::new(refresh));
        }
    }

    pub(crate) fn counter(&mut self, name: &'static str, help: &'static str) -> Counter {
        self.take_in(name, help, &[], Counter::default())
    }

    pub(crate) fn mirror(&mut self, name: &'static str, help: &'static str) -> Mirror {
        self.take_in(name, help, &[], Mirror::default())
    }

    pub(crate) fn gauge(&mut self, name: &'static str, help: &'static str) -> Gauge {
        self.take_in(name, help, &[], Gauge::default())
    }

    pub(crate) fn histogram(
        &mut self,
        name: &'static str,
        help: &'static str,
        bounds: Bounds,
    ) -> Histogram {
        self.take_in(name, help, &[], histogram(name, bounds))
    }

    pub(crate) fn traced(
        &mut self,
        (name, help): (&'static str, &'static str),
        labels: &'static [&'static str],
        bounds: Bounds,
    ) -> Family<Traced> {
        self.family((name, help), labels, move || Traced::new(bounds))
    }

    pub(crate) fn counters(
        &mut self,
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Family<Counter> {
        self.family((name, help), labels, Counter::default)
    }

    pub(crate) fn mirrors(
        &mut self,
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Family<Mirror> {
        self.family((name, help), labels, Mirror::default)
    }

    pub(crate) fn gauges(
        &mut self,
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Family<Gauge> {
        self.family((name, help), labels, Gauge::default)
    }

    pub(crate) fn histograms(
        &mut self,
        (name, help): (&'static str, &'static str),
        labels: &'static [&'static str],
        bounds: Bounds,
    ) -> Family<Histogram> {
        self.family((name, help), labels, move || histogram(name, bounds))
    }

    fn family<M>(
        &mut self,
        (name, help): (&'static str, &'static str),
        labels: &'static [&'static str],
        make: impl Fn() -> M + Send + Sync + 'static,
    ) -> Family<M>
    where
        M: EncodeMetric + TypedMetric + Clone + Send + Sync + 'static,
    {
        let overflow = self.overflow_of(name);
        let family = Family::new(labels, overflow, make);
        self.take_in_as::<M>(name, help, labels, family.clone());
        family
    }

    /// Counts the values of labels of this metric that got no series of their own.
    fn overflow_of(&self, name: &str) -> Counter {
        match &self.overflow {
            // Made when the first value overflows: nearly no metric has an open label.
            Some(overflow) if is_open(name) => overflow.with(&[name]),
            _ => Counter::default(),
        }
    }

    pub(crate) fn note_overflows_in(&mut self, overflow: Family<Counter>) {
        self.overflow = Some(overflow);
    }

    fn take_in<M>(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
        metric: M,
    ) -> M
    where
        M: EncodeMetric + TypedMetric + Clone + std::fmt::Debug + Send + Sync + 'static,
    {
        self.take_in_as::<M>(name, help, labels, metric.clone());
        metric
    }

    fn take_in_as<M: TypedMetric>(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
        metric: impl registry::Metric,
    ) {
        let part = self.part.unwrap_or(Part::Process);
        self.entries.push(Entry {
            name,
            kind: M::TYPE.as_str(),
            labels,
            help,
            part,
        });
        if !self.is_told() {
            return;
        }
        // The encoder adds these endings itself.
        let bare = name.strip_suffix("_total").unwrap_or(name);
        for (ending, unit) in [("_seconds", Unit::Seconds), ("_bytes", Unit::Bytes)] {
            if let Some(bare) = bare.strip_suffix(ending) {
                return self.inner.register_with_unit(bare, help, unit, metric);
            }
        }
        self.inner.register(bare, help, metric);
    }
}

/// The metrics of which users choose values of a label.
pub(crate) const OPEN: [&str; 3] = [
    "fanfold_task_faults_total",
    "fanfold_request_failures_total",
    "fanfold_submissions_total",
];

fn is_open(name: &str) -> bool {
    OPEN.contains(&name)
}

fn histogram(name: &str, bounds: Bounds) -> Histogram {
    if name.ends_with("_seconds") {
        Histogram::of_times(bounds)
    } else {
        Histogram::of_counts(bounds)
    }
}
