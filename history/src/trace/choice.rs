//! Which attempts and groups a trace shows. Viewers and stores of traces fail at tens of thousands of
//! spans, so that a large request shows what stands out and an even sample of the rest.

use std::cmp::Reverse;

use super::group::Group;

/// How many attempts a trace shows.
pub const ATTEMPTS_MAX: usize = 1_000;
/// How many groups a trace shows.
pub const GROUPS_MAX: usize = 200;
/// How many of the attempts may be failed ones.
const FAILED_MAX: usize = 500;
/// How many of the attempts are shown because they were the slowest.
const SLOWEST_MAX: usize = 200;

/// Places that are shown, out of some.
struct Choice {
    shown: Vec<bool>,
    left: usize,
}

impl Choice {
    fn of(places: usize, most: usize) -> Self {
        Self {
            shown: vec![places <= most; places],
            left: if places <= most { 0 } else { most },
        }
    }

    fn show(&mut self, place: usize) {
        if self.left > 0 && !self.shown[place] {
            self.shown[place] = true;
            self.left -= 1;
        }
    }

    /// Shows at most so many of these places, evenly spread over them.
    fn spread(&mut self, over: &[usize], most: usize) {
        let most = most.min(self.left).min(over.len());
        for number in 0..most {
            self.show(over[number * over.len() / most]);
        }
    }

    /// The places that are not shown and meet a condition.
    fn hidden(&self, is: impl Fn(usize) -> bool) -> Vec<usize> {
        let places = 0..self.shown.len();
        places
            .filter(|place| !self.shown[*place] && is(*place))
            .collect()
    }
}

/// Whether each of the groups is shown: those that failed, and an even sample of the others.
pub(super) fn of_groups(groups: &[Group]) -> Vec<bool> {
    let mut choice = Choice::of(groups.len(), GROUPS_MAX);
    if let Some(last) = groups.len().checked_sub(1) {
        choice.show(0);
        choice.show(last);
    }
    let failed = choice.hidden(|group| groups[group].error().is_some());
    choice.spread(&failed, GROUPS_MAX);
    let others = choice.hidden(|_| true);
    choice.spread(&others, GROUPS_MAX);
    choice.shown
}

/// Whether each attempt is shown, for each group: those that failed, the slowest, the first and the
/// last of each group, and an even sample of the others.
pub(super) fn of_attempts(groups: &[Group]) -> Vec<Vec<bool>> {
    let attempts: Vec<_> = groups.iter().flat_map(|group| &group.attempts).collect();
    let mut choice = Choice::of(attempts.len(), ATTEMPTS_MAX);
    let failed = choice.hidden(|place| attempts[place].failed.is_some());
    choice.spread(&failed, FAILED_MAX);
    let mut slowest = choice.hidden(|place| attempts[place].failed.is_none());
    slowest.sort_by_key(|place| Reverse(attempts[*place].ran_ms()));
    slowest.truncate(SLOWEST_MAX);
    for place in slowest {
        choice.show(place);
    }
    let mut end = 0;
    for group in groups.iter().filter(|group| !group.attempts.is_empty()) {
        choice.show(end);
        end += group.attempts.len();
        choice.show(end - 1);
    }
    let others = choice.hidden(|_| true);
    choice.spread(&others, ATTEMPTS_MAX);
    let mut shown = choice.shown.into_iter();
    let of_group = |group: &Group| shown.by_ref().take(group.attempts.len()).collect();
    groups.iter().map(of_group).collect()
}
