//! Views and decisions are folds of the same events, so they agree.

use domain::request::{Event, Sequence, Status};
use projections::{GroupStatus, View, fold};
use proptest::prelude::*;

use crate::history::{Commit, history};
use crate::words::at;

/// Every intermediate view, each with its commit.
fn views(commits: &[Commit]) -> Vec<(&Commit, View)> {
    let mut view = None;
    let mut views = Vec::new();
    for commit in commits {
        view = fold(view, commit.recorded());
        views.push((commit, view.clone().expect("it was received")));
    }
    views
}

proptest! {
    #[test]
    fn the_status_is_that_of_the_state(commits in history()) {
        for (commit, view) in views(&commits) {
            let request = commit.state.request().unwrap();
            prop_assert_eq!(view.status.plain(), request.status());
            prop_assert_eq!(view.seq, Sequence::new(commit.sequence));
            prop_assert_eq!(view.completed_at.is_some(), view.status.is_terminal());
            prop_assert_eq!(view.failure().is_some(), request.status() == Status::Failed);
            prop_assert_eq!(view.response().is_some(), request.status() == Status::Succeeded);
        }
    }

    #[test]
    fn the_group_and_the_state_have_equal_counts(commits in history()) {
        for (commit, view) in views(&commits) {
            let request = commit.state.request().unwrap();
            let Some(group) = request.group() else {
                prop_assert_eq!(view.failed_tasks, 0);
                continue;
            };
            prop_assert_eq!(view.current_group, Some(group.index));
            let read = &view.groups[group.index.index()];
            prop_assert_eq!(read.expected, group.size());
            prop_assert_eq!(read.completed, group.succeeded);
            prop_assert_eq!(read.failed, group.failed);
            prop_assert_eq!(view.failed_tasks, u64::from(group.failed));
            let status = match request.status() {
                Status::Running => GroupStatus::Running,
                Status::Failed => GroupStatus::Failed,
                _ => GroupStatus::Cancelled,
            };
            prop_assert_eq!(read.status, status);
            prop_assert_eq!(read.completed_at.is_some(), request.status().is_terminal());
        }
    }

    #[test]
    fn the_groups_before_are_complete_and_those_after_wait(commits in history()) {
        for (commit, view) in views(&commits) {
            let request = commit.state.request().unwrap();
            let completed = request.completed.len();
            for (index, group) in view.groups.iter().enumerate() {
                let complete = group.status == GroupStatus::Completed;
                prop_assert_eq!(complete, index < completed);
                let current = request.group().is_some_and(|g| g.index.index() == index);
                prop_assert_eq!(group.status == GroupStatus::Waiting, index >= completed && !current);
                prop_assert!(group.seq <= view.seq);
            }
        }
    }

    #[test]
    fn the_attempts_are_those_that_were_recorded(commits in history()) {
        let ended = |e: &&Event| matches!(e, Event::TaskSucceeded(_) | Event::TaskFailed(_));
        let mut attempts = 0;
        for (commit, view) in views(&commits) {
            attempts += commit.events.iter().filter(ended).count() as u64;
            prop_assert_eq!(view.attempts, attempts);
            prop_assert_eq!(view.received_at, at(commits[0].sequence));
        }
    }
}
