//! Commits that get no answer over a connection that stands: the sign of a broker that cannot write.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the sign counts after the last commit without an answer. Then the next commits show
/// whether the broker writes again.
const COUNTS_FOR: Duration = Duration::from_secs(30);

/// The commits without an answer since the last answer.
#[derive(Clone, Debug, Default)]
pub struct Unanswered(Arc<Mutex<Option<Streak>>>);

#[derive(Clone, Copy, Debug)]
struct Streak {
    commits: u64,
    last: Instant,
}

impl Unanswered {
    /// Notes that the broker answered.
    pub fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Notes a commit without an answer.
    pub fn note(&self) {
        let mut streak = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let commits = streak.map_or(0, |streak| streak.commits) + 1;
        let last = Instant::now();
        *streak = Some(Streak { commits, last });
    }

    /// How many commits in a row had no answer; 0 where the last ones are too long ago.
    pub fn commits(&self) -> u64 {
        let streak = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = streak.filter(|streak| streak.last.elapsed() < COUNTS_FOR);
        recent.map_or(0, |streak| streak.commits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_answer_ends_the_count_of_commits_without_any() {
        let unanswered = Unanswered::default();
        unanswered.note();
        unanswered.note();
        assert_eq!(unanswered.commits(), 2);
        unanswered.end();
        assert_eq!(unanswered.commits(), 0);
    }
}
