//! Which fault comes when. The seed decides all of it before the run begins.

use std::fmt::Write as _;
use std::time::Duration;

use crate::faults::{KINDS, Kind, Lane};
use crate::random::Random;

/// The part of a lane's time that faults may take by plan.
const BUSY: f64 = 0.7;
/// A kind that may take longer than this part of the run has no place in it.
const LONGEST: f64 = 1.0 / 3.0;

/// One planned fault.
#[derive(Clone)]
pub struct Planned {
    pub kind: &'static Kind,
    pub at: Duration,
    pub lasting: Duration,
    /// The seed of what the fault chooses when it comes: the process, the link.
    pub seed: u64,
}

/// The faults of each lane. Lanes run side by side, and the faults of a lane one after the other.
pub struct Schedule(pub Vec<Vec<Planned>>);

impl Schedule {
    pub fn new(seed: u64, faults: usize, seconds: f64, only: &[String]) -> Self {
        let lanes = Lane::ALL.map(|lane| {
            let kinds: Vec<&'static Kind> = KINDS
                .iter()
                .filter(|kind| kind.lane == lane && kind.seconds.0 <= seconds * LONGEST)
                .filter(|kind| only.is_empty() || only.iter().any(|o| kind.name.contains(&**o)))
                .collect();
            (lane, kinds)
        });
        let shares: usize = lanes
            .iter()
            .filter(|(_, kinds)| !kinds.is_empty())
            .map(|(lane, _)| lane.share())
            .sum();
        let mut left = faults;
        let mut left_shares = shares;
        let mut planned = Vec::new();
        for (lane, kinds) in lanes {
            if kinds.is_empty() {
                continue;
            }
            // The last lane gets what rounding has left.
            let count = (left * lane.share()).div_ceil(left_shares).min(left);
            left -= count;
            left_shares -= lane.share();
            let random = Random::of(seed, lane.name());
            planned.push(lane_of(random, &kinds, count, seconds));
        }
        Self(planned)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// The schedule as a text, in the order of time.
    pub fn text(&self) -> String {
        let mut all: Vec<&Planned> = self.0.iter().flatten().collect();
        all.sort_by_key(|planned| planned.at);
        let mut text = String::new();
        for Planned {
            kind, at, lasting, ..
        } in all
        {
            let (at, lasting) = (at.as_secs_f64(), lasting.as_secs_f64());
            let lane = kind.lane.name();
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{at:8.1} s  {lane:8} {:22} for {lasting:.1} s",
                kind.name
            );
        }
        text
    }
}

fn lane_of(
    mut random: Random,
    kinds: &[&'static Kind],
    count: usize,
    seconds: f64,
) -> Vec<Planned> {
    let mut bag: Vec<&'static Kind> = Vec::new();
    let mut drawn: Vec<(&'static Kind, f64)> = Vec::new();
    for _ in 0..count {
        if bag.is_empty() {
            bag = kinds.to_vec();
            random.shuffle(&mut bag);
        }
        // Every kind comes once before one comes again.
        let Some(kind) = bag.pop() else { break };
        let (low, high) = kind.seconds;
        drawn.push((kind, random.between(low, high)));
    }
    let total: f64 = drawn.iter().map(|(_, lasting)| lasting).sum();
    let scale = (seconds * BUSY / total).min(1.0);
    #[allow(clippy::cast_precision_loss)] // There are some hundreds.
    let gap = (seconds - total * scale) / (drawn.len() + 1) as f64;
    let mut time = 0.0;
    let mut planned = Vec::new();
    for (kind, lasting) in drawn {
        let lasting = lasting * scale;
        time += gap * random.between(0.5, 1.5);
        planned.push(Planned {
            kind,
            at: Duration::from_secs_f64(time.clamp(0.0, (seconds - lasting).max(0.0))),
            lasting: Duration::from_secs_f64(lasting),
            seed: random.next(),
        });
        time += lasting;
    }
    planned
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_gives_the_same_schedule_each_time_and_another_seed_another() {
        let text = |seed| Schedule::new(seed, 300, 3_600.0, &[]).text();
        assert_eq!(text(1), text(1));
        assert_ne!(text(1), text(2));
    }

    #[test]
    fn ten_faults_are_of_ten_kinds_and_all_begin_within_the_run() {
        for seed in 0..50 {
            let schedule = Schedule::new(seed, 10, 45.0, &[]);
            assert_eq!(schedule.len(), 10);
            let all: Vec<&Planned> = schedule.0.iter().flatten().collect();
            let kinds: BTreeSet<&str> = all.iter().map(|planned| planned.kind.name).collect();
            assert_eq!(kinds.len(), 10);
            assert!(
                all.iter()
                    .all(|p| p.at + p.lasting <= Duration::from_secs(46))
            );
        }
    }

    #[test]
    fn a_long_run_has_every_kind() {
        let schedule = Schedule::new(7, 300, 3_600.0, &[]);
        assert_eq!(schedule.len(), 300);
        let kinds: BTreeSet<&str> = schedule.0.iter().flatten().map(|p| p.kind.name).collect();
        assert_eq!(kinds.len(), KINDS.len());
    }
}
