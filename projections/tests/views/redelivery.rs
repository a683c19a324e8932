use domain::request::Recorded;
use projections::{View, fold};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::history::{Commit, history};

fn orderly(commits: &[Commit]) -> Option<View> {
    fold(None, commits.iter().flat_map(Commit::recorded))
}

/// Ranges of a history as a consumer may receive them. Each begins at or before the first
/// undelivered commit, and the last ones reach the end.
fn stretches(commits: &[Commit], cuts: &[(u8, u8)]) -> Vec<Vec<Commit>> {
    let mut delivered = 0;
    let mut stretches = Vec::new();
    for (back, length) in cuts {
        let from = delivered - usize::from(*back) % (delivered + 1);
        let to = (from + usize::from(*length) % 8).min(commits.len());
        stretches.push(commits[from..to].to_vec());
        delivered = delivered.max(to);
    }
    stretches.push(commits[delivered..].to_vec());
    stretches
}

proptest! {
    #[test]
    fn redelivered_ranges_fold_to_the_same_view_as_one_orderly_fold(
        commits in history(),
        cuts in vec(any::<(u8, u8)>(), 0..12),
    ) {
        let view = stretches(&commits, &cuts)
            .iter()
            .fold(None, |view, stretch| {
                fold(view, stretch.iter().flat_map(Commit::recorded))
            });
        prop_assert_eq!(view, orderly(&commits));
    }

    #[test]
    fn ranges_redelivered_within_one_fold_are_folded_once(
        commits in history(),
        cuts in vec(any::<(u8, u8)>(), 0..12),
    ) {
        let all = stretches(&commits, &cuts).concat();
        prop_assert_eq!(orderly(&all), orderly(&commits));
    }

    #[test]
    fn a_commit_delivered_twice_event_by_event_is_folded_once(commits in history()) {
        let twice = |commit: &Commit| {
            let events: Vec<Recorded<_>> = commit.recorded().collect();
            [events.clone(), events].concat()
        };
        let view = fold(None, commits.iter().flat_map(twice));
        prop_assert_eq!(view, orderly(&commits));
    }

    #[test]
    fn everything_delivered_again_changes_nothing(commits in history()) {
        let view = orderly(&commits);
        let again = fold(view.clone(), commits.iter().flat_map(Commit::recorded));
        prop_assert_eq!(again, view);
    }

    #[test]
    fn a_history_without_its_first_commit_gives_no_view(commits in history()) {
        prop_assert_eq!(orderly(&commits[1..]), None);
    }

    #[test]
    fn a_view_survives_the_way_through_json(commits in history()) {
        let view = orderly(&commits);
        let json = serde_json::to_string(&view).unwrap();
        prop_assert_eq!(serde_json::from_str::<Option<View>>(&json).unwrap(), view);
    }
}
