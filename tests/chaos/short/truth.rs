//! The conditions that every request must meet in the end.

use domain::request::{Event, RequestId, Sequence};
use futures::StreamExt;
use harness::{World, canonical, until};
use nats::{Commit, Connection, Log, Options, Payloads};
use projections::{Store, fold};
use std::time::{Duration, Instant};

/// How often to check whether messages are left.
const LOOK: Duration = Duration::from_millis(50);

/// Checks that each request has one terminal event, every task's result in its place, and a view
/// that equals the fold of its events.
pub async fn check(world: &World, ids: &[String], groups: usize, tasks: usize) {
    let connection = Connection::open(&Options::new(world.nats_url(), "truth"))
        .await
        .unwrap();
    let log = Log::new(connection.clone(), 1);
    let payloads = Payloads::new(connection);
    let redis = projections::Connection::open(world.redis_url())
        .await
        .unwrap();
    let store = Store::new(redis, Duration::from_hours(24));
    let expected = canonical(&response(groups, tasks));
    for id in ids {
        let id: RequestId = id.parse().unwrap();
        let commits = log.read(id, Sequence::NONE).await.unwrap();
        let events: Vec<Event> = commits
            .iter()
            .flat_map(|commit| commit.events.clone())
            .collect();
        let ends = events.iter().filter(|event| event.is_terminal()).count();
        assert_eq!(ends, 1, "{id}: {events:?}");
        let succeeded = events
            .iter()
            .filter(|e| matches!(e, Event::TaskSucceeded(_)))
            .count();
        assert_eq!(succeeded, groups * tasks, "{id}");
        let Some(Event::Succeeded(end)) = events.last() else {
            panic!("{id} ends with {:?}", events.last());
        };
        let found = payloads.fetch(&end.response).await.unwrap();
        assert_eq!(
            canonical(std::str::from_utf8(&found).unwrap()),
            expected,
            "{id}"
        );

        let view = fold(None, commits.iter().flat_map(Commit::recorded));
        until(
            &format!("the view of {id} is the fold of its events"),
            || async { store.get(id).await.unwrap() == view },
        )
        .await;
    }
}

fn response(groups: usize, tasks: usize) -> String {
    let valuation = |group: usize, task: usize| {
        format!(
            "<valuation name=\"v\"><market name=\"m\"><rate>0.03</rate></market>\
             <analytics><price><amount>{}.00</amount></price></analytics>\
             <vndb externalId=\"{task}\"/></valuation>",
            (group + 1) * 100 + task
        )
    };
    let mut all = String::new();
    for group in 0..groups {
        all.push_str("<group>");
        all.extend((1..=tasks).map(|task| valuation(group, task)));
        all.push_str("</group>");
    }
    format!("<vnml><project>{all}</project></vnml>")
}

/// Waits until no task, report or timer is left.
pub async fn nothing_waits(world: &World) {
    let jetstream = world.jetstream().await;
    for name in ["TASKS", "REPORTS"] {
        let left = || async {
            let stream = jetstream.get_stream(name).await.unwrap();
            let subjects = stream.info_with_subjects(">").await.unwrap();
            subjects
                .map(|subject| subject.unwrap().0)
                .filter(|subject| std::future::ready(!subject.starts_with("fill")))
                .collect::<Vec<_>>()
                .await
        };
        let begun = Instant::now();
        while !left().await.is_empty() {
            let left = left().await;
            assert!(begun.elapsed() < harness::LIMIT, "left in {name}: {left:?}");
            tokio::time::sleep(LOOK).await;
        }
    }
}
