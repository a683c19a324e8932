//! The bounds that must hold while hostile work runs.

use std::time::Duration;

use crate::ordinary::Met;

/// The time limit of 99 of 100 answers to ordinary submissions.
pub const ORDINARY_P99: Duration = Duration::from_secs(1);
/// The time limit of `/healthz` while 64 of the costliest documents are processed.
pub const HEALTH_MAX: Duration = Duration::from_millis(100);
/// The processor time that a refusal may take, in seconds.
pub const REFUSAL_SECONDS: f64 = 1.0;
/// The memory that a submission may take beyond the document's own need, in MiB.
pub const MEMORY_MIB: f64 = 64.0;
/// The processor time of a task that ran, in seconds, as the bench measures it for requests of few
/// tasks. It is part of a document's own need, not of its refusal.
pub const TASK_SECONDS: f64 = 0.000_15;
/// A document's own need of memory, as a multiple of its uncompressed bytes. The tree takes 40 to
/// 60 bytes a node, and the shortest node has four bytes. The results of its tasks are included.
pub const NEED: f64 = 20.0;
/// The memory for all callers together, in MiB: the need of their submissions over many
/// connections.
pub const CALLERS_NEED_MIB: f64 = 256.0;
/// The time limit for the view of a later request. A stalled projector would never write it.
pub const VIEW_WITHIN: Duration = Duration::from_secs(5);

/// Whether the view of a later request was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    #[default]
    NotLookedFor,
    Found,
    Missing,
}

/// The measurements of a trial.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Whether the submission was refused for its cost or form, by admission or later.
    pub refused: bool,
    /// How the program ended, if it did.
    pub died: Option<String>,
    /// Processor seconds beyond those of the ordinary caller.
    pub processor: f64,
    /// How many of its tasks ended.
    pub tasks: u32,
    /// The peak memory of the program beyond its memory before, in MiB.
    pub peak_mib: f64,
    /// The peak memory of the servers beyond their memory before, in MiB. It is reported and not
    /// judged, because it has settings of its own.
    pub servers_mib: f64,
    /// The document's own need of memory, in MiB.
    pub need_mib: f64,
    pub ordinary: Met,
    pub health: Met,
    pub view: View,
    /// Whether the program was still busy some seconds later, or served nobody.
    pub busy: bool,
}

impl Measured {
    /// The bounds that the trial breaks.
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

    /// The broken bounds, including the bound of `/healthz`.
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
    fn accepted_work_may_use_any_amount_of_processor_time() {
        let measured = Measured {
            processor: 100.0,
            ..Measured::default()
        };
        assert!(measured.broken().is_empty());
    }
}
