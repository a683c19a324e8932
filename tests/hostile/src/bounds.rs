//! What must hold while something hostile is under way.

use std::time::Duration;

use crate::ordinary::Met;

/// An ordinary submission has its answer within this, 99 of 100 times.
pub const ORDINARY_P99: Duration = Duration::from_secs(1);
/// `/healthz` answers within this while 64 of the costliest documents are under way.
pub const HEALTH_MAX: Duration = Duration::from_millis(100);
/// A refusal takes less processor time than this, in seconds.
pub const REFUSAL_SECONDS: f64 = 1.0;
/// The memory above a document's own need that its submission may take, in MiB.
pub const MEMORY_MIB: f64 = 64.0;
/// What a task that ran costs by itself, in seconds of processor time: what the bench measures for
/// requests of few tasks. It is a document's own need, and no part of its refusal.
pub const TASK_SECONDS: f64 = 0.000_15;
/// A document's own need, as a multiple of its bytes once unpacked: the tree is 40 to 60 bytes a
/// node, and the shortest node has four. The results of its tasks are part of it.
pub const NEED: f64 = 20.0;
/// What all callers together may have under way, in MiB: the need of what comes over many
/// connections.
pub const CALLERS_NEED_MIB: f64 = 256.0;
/// The view of a request that is submitted afterwards is there within this: a projector that
/// stands still would never write it.
pub const VIEW_WITHIN: Duration = Duration::from_secs(5);

/// What became of the view of a request that was submitted afterwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    #[default]
    NotLookedFor,
    Found,
    Missing,
}

/// What was measured.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Whether it was refused, at the door or later, for what it costs or is.
    pub refused: bool,
    /// How the program ended, where it did.
    pub died: Option<String>,
    /// Processor seconds above what the ordinary caller costs.
    pub processor: f64,
    /// How many tasks of it ended.
    pub tasks: u32,
    /// The peak of the program's memory above what it held before, in MiB.
    pub peak_mib: f64,
    /// The peak of its servers' memory above what they held before, in MiB. It is told and not
    /// judged: it has settings of its own.
    pub servers_mib: f64,
    /// The need, in MiB.
    pub need_mib: f64,
    pub ordinary: Met,
    pub health: Met,
    pub view: View,
    /// Whether it still worked on it some seconds later, or served nobody.
    pub busy: bool,
}

impl Measured {
    /// The bounds that it breaks.
    pub fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        if let Some(died) = &self.died {
            broken.push(format!("the program ended: {died}"));
        }
        let most = REFUSAL_SECONDS + f64::from(self.tasks) * TASK_SECONDS;
        if self.refused && self.processor > most {
            broken.push(format!(
                "refused after {:.1} s of processor time and {} tasks",
                self.processor, self.tasks
            ));
        }
        if self.peak_mib > MEMORY_MIB + self.need_mib {
            broken.push(format!(
                "{:.0} MiB more were held; {:.0} are its need",
                self.peak_mib, self.need_mib
            ));
        }
        broken.extend(self.ordinary());
        if self.busy {
            broken.push(
                "some seconds later the program was still busy with it, or served nobody".into(),
            );
        }
        if self.view == View::Missing {
            broken.push(format!(
                "no view of a later request within {} s",
                VIEW_WITHIN.as_secs()
            ));
        }
        broken
    }

    /// The same, where `/healthz` is held to its bound too.
    pub fn broken_together(&self) -> Vec<String> {
        let mut broken = self.broken();
        if self.health.max > HEALTH_MAX {
            broken.push(format!("/healthz took up to {:.0?}", self.health.max));
        }
        broken
    }

    fn ordinary(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for (whose, met) in [("ordinary", &self.ordinary), ("/healthz", &self.health)] {
            if let Some(first) = &met.first {
                let count = met.wrong;
                broken.push(format!(
                    "{count} {whose} answers were wrong or missing: {first}"
                ));
            }
        }
        if self.ordinary.p99 > ORDINARY_P99 {
            broken.push(format!(
                "ordinary answers took up to {:.0?}",
                self.ordinary.p99
            ));
        }
        broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_holds_at_the_bound_and_is_broken_beyond_it() {
        let at = Measured {
            refused: true,
            processor: REFUSAL_SECONDS + 1_000.0 * TASK_SECONDS,
            tasks: 1_000,
            peak_mib: MEMORY_MIB + 20.0,
            need_mib: 20.0,
            ordinary: Met {
                p99: ORDINARY_P99,
                ..Met::default()
            },
            health: Met {
                max: HEALTH_MAX,
                ..Met::default()
            },
            view: View::Found,
            ..Measured::default()
        };
        assert_eq!(at.broken_together(), Vec::<String>::new());
        let beyond: [fn(&mut Measured); 8] = [
            |m| m.processor += 0.01,
            |m| m.peak_mib += 1.0,
            |m| m.ordinary.p99 += Duration::from_millis(1),
            |m| m.health.max += Duration::from_millis(1),
            |m| m.view = View::Missing,
            |m| m.died = Some("signal 6".into()),
            |m| m.busy = true,
            |m| m.ordinary.first = Some("503".into()),
        ];
        for change in beyond {
            let mut measured = at.clone();
            change(&mut measured);
            assert_eq!(measured.broken_together().len(), 1, "{measured:?}");
        }
    }

    #[test]
    fn what_is_accepted_may_take_its_time() {
        let measured = Measured {
            processor: 100.0,
            ..Measured::default()
        };
        assert!(measured.broken().is_empty());
    }
}
