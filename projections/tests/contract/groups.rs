//! The groups of a request: one key, for any number of groups and any writers.

use std::collections::BTreeMap;

use domain::request::{
    Event, GroupIndex, GroupOutline, Payload, Received, Recorded, Redriven, RequestId, Run,
    Sequence, TaskNumber,
};
use harness::World;
use jiff::Timestamp;
use projections::{Store, View, fold};
use redis::AsyncCommands as _;
use redis::aio::MultiplexedConnection;

use crate::{done, failure, first_commits, new_id, recorded, started, store, success};

/// The most groups that a document may have.
const MANY: usize = 10_000;

fn received(groups: usize) -> Event {
    Event::Received(Box::new(Received {
        document: Payload::from("<vnml/>"),
        fingerprint: "f".into(),
        groups: vec![
            GroupOutline {
                name: Some("g".into()),
                valuations: 2
            };
            groups
        ],
        metadata: BTreeMap::new(),
        tenant: domain::access::Tenant::default(),
        traceparent: None,
        tracestate: None,
        submitter: "tests".into(),
        idempotency_key: None,
    }))
}

fn view_of(events: &[Recorded<Event>], commits: usize) -> View {
    fold(None, first_commits(events, commits)).unwrap()
}

/// How often Redis ran each command since the last call, including commands within scripts.
async fn commands(redis: &mut MultiplexedConnection) -> BTreeMap<String, u64> {
    let text: String = redis::cmd("INFO")
        .arg("commandstats")
        .query_async(redis)
        .await
        .unwrap();
    let () = redis::cmd("CONFIG")
        .arg("RESETSTAT")
        .query_async(redis)
        .await
        .unwrap();
    let count = |line: &str| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), rest.split_once(',')?.0.parse().ok()?))
    };
    let mut counts: BTreeMap<String, u64> = text.lines().filter_map(count).collect();
    counts.retain(|name, _| name != "info" && !name.starts_with("config"));
    counts
}

fn counts(expected: &[(&str, u64)]) -> BTreeMap<String, u64> {
    let owned = expected.iter().map(|(name, n)| ((*name).to_owned(), *n));
    owned.collect()
}

/// A store whose scripts Redis has loaded.
async fn warm(world: &World) -> Store {
    let store = store(world).await;
    for commits in [success(), failure()] {
        let view = fold(None, recorded(new_id(), &commits)).unwrap();
        store.put(&view, Sequence::NONE).await.unwrap();
    }
    store
}

#[tokio::test]
async fn of_many_groups_only_those_that_changed_are_written_and_all_are_read_at_once() {
    let world = World::start().await;
    let store = warm(&world).await;
    let redis = &mut world.redis().await;
    let id = new_id();
    let commits = [
        vec![received(MANY)],
        vec![started(7_000)],
        vec![done(7_000, 1)],
    ];
    let events = recorded(id, &commits);
    let first = view_of(&events, 1);
    commands(redis).await;
    store.put(&first, Sequence::NONE).await.unwrap();
    // The request, and the groups a thousand at a time.
    assert_eq!(
        commands(redis).await,
        counts(&[
            ("evalsha", 11),
            ("hget", 1),
            ("del", 1),
            ("hmget", 10),
            ("hset", 11),
            ("persist", 9)
        ])
    );
    assert_eq!(store.get(id).await.unwrap().as_ref(), Some(&first));
    // One round trip, with the same number of commands for any number of groups.
    let read = counts(&[("hgetall", 3), ("get", 2)]);
    assert_eq!(commands(redis).await, read);
    let key = format!("state:request:{id}:groups");
    let others: Vec<String> = redis.hmget(&key, &["0", "9999"]).await.unwrap();
    for length in 2..=3 {
        let view = view_of(&events, length);
        commands(redis).await;
        store.put(&view, view.seq.minus(10)).await.unwrap();
        assert_eq!(
            commands(redis).await,
            counts(&[
                ("evalsha", 2),
                ("hget", 1),
                ("del", 1),
                ("hmget", 1),
                ("hset", 2),
                ("persist", 1)
            ])
        );
        assert_eq!(store.get(id).await.unwrap().as_ref(), Some(&view));
    }
    let same: Vec<String> = redis.hmget(&key, &["0", "9999"]).await.unwrap();
    assert_eq!(same, others);
    let keys: Vec<String> = redis.keys(format!("*{id}*")).await.unwrap();
    assert_eq!(keys.len(), 2);
}

#[tokio::test]
async fn a_usual_group_is_packed_and_takes_no_more_memory_than_a_hash_of_its_own_did() {
    let world = World::own().await;
    let store = warm(&world).await;
    let redis = &mut world.redis().await;
    let id = new_id();
    let events = recorded(id, &[vec![received(1)], vec![started(0)], vec![done(0, 1)]]);
    store
        .put(&view_of(&events, 3), Sequence::NONE)
        .await
        .unwrap();
    let key = format!("state:request:{id}:groups");
    let encoding: String = redis::cmd("OBJECT")
        .arg("ENCODING")
        .arg(&key)
        .query_async(redis)
        .await
        .unwrap();
    assert_eq!(encoding, "listpack");
    let before = format!("state:request:{id}:group:0");
    let fields = [
        ("seq", "30"),
        ("expected", "2"),
        ("completed", "1"),
        ("failed", "0"),
        ("status", "running"),
        ("name", "g"),
        ("startedAt", "2026-11-27T10:11:12.123456789Z"),
    ];
    let () = redis.hset_multiple(&before, &fields).await.unwrap();
    let mut bytes = async |key: &str| {
        let bytes: u64 = redis::cmd("MEMORY")
            .arg("USAGE")
            .arg(key)
            .query_async(redis)
            .await
            .unwrap();
        bytes
    };
    let (now, before) = (bytes(&key).await, bytes(&before).await);
    assert!(now <= before, "{now} bytes, {before} before");
}

/// A replaced projector continues for a while, in any order with its successor. The test makes
/// every two writes of a history, each with the sequence that its writer believes to be stored.
#[tokio::test]
async fn writes_in_any_order_leave_the_newest_state_of_each_group() {
    let world = World::start().await;
    let store = store(&world).await;
    let commits = success();
    for late in 1..commits.len() {
        for from in 0..late {
            let id = new_id();
            let events = recorded(id, &commits);
            let newest = view_of(&events, commits.len());
            store.put(&newest, Sequence::NONE).await.unwrap();
            let written = from as u64 * 10;
            let view = view_of(&events, late);
            store.put(&view, Sequence::new(written)).await.unwrap();
            assert_eq!(
                store.get(id).await.unwrap(),
                Some(newest),
                "the commits from {from} to {late} come last"
            );
        }
    }
}

/// Redis is set back to its last snapshot. A projector that does not know this writes new commits.
/// Then every commit since the snapshot is projected again, in ranges.
#[tokio::test]
async fn a_view_projected_again_after_redis_was_set_back_is_complete_despite_writes_in_between() {
    let world = World::start().await;
    let store = store(&world).await;
    let id = new_id();
    let commits = [
        vec![received(3)],
        vec![started(0)],
        vec![done(0, 1)],
        vec![started(1)],
        vec![started(2)],
    ];
    let events = recorded(id, &commits);
    store
        .put(&view_of(&events, 1), Sequence::NONE)
        .await
        .unwrap();
    store
        .put(&view_of(&events, 5), Sequence::new(40))
        .await
        .unwrap();
    for (from, to) in [(1, 2), (2, 4), (4, 5)] {
        let written = view_of(&events, from).seq;
        store.put(&view_of(&events, to), written).await.unwrap();
    }
    let newest = view_of(&events, 5);
    assert_eq!(store.get(id).await.unwrap(), Some(newest));
}

fn redriven(group: Option<u32>) -> Event {
    Event::Redriven(Redriven {
        by: "tests".into(),
        on_behalf_of: None,
        reason: "tests".into(),
        run: Run::new(1),
        group: group.map(GroupIndex::new),
        tasks: vec![TaskNumber::new(2)],
        task_count: None,
        deadline: Timestamp::now(),
    })
}

async fn expires(redis: &mut MultiplexedConnection, id: RequestId) -> bool {
    let key = format!("state:request:{id}:groups");
    let left: i64 = redis.ttl(key).await.unwrap();
    assert_ne!(left, -2, "it is there");
    left != -1
}

#[tokio::test]
async fn a_late_write_of_the_end_does_not_let_the_groups_of_a_redriven_request_expire() {
    let world = World::start().await;
    let store = store(&world).await;
    let redis = &mut world.redis().await;
    for group in [Some(0), None] {
        let id = new_id();
        let mut commits = failure();
        commits.push(vec![redriven(group)]);
        let events = recorded(id, &commits);
        let ended = view_of(&events, 4);
        store.put(&ended, Sequence::new(30)).await.unwrap();
        assert!(expires(redis, id).await);
        let again = view_of(&events, 5);
        store.put(&again, Sequence::new(40)).await.unwrap();
        assert!(!expires(redis, id).await);
        store.put(&ended, Sequence::NONE).await.unwrap();
        assert!(!expires(redis, id).await, "it has ended before");
    }
}

#[tokio::test]
async fn the_keys_of_an_earlier_version_are_no_view_and_are_removed() {
    let world = World::start().await;
    let store = store(&world).await;
    let redis = &mut world.redis().await;
    let id = new_id();
    let view = fold(None, recorded(id, &success())).unwrap();
    store.put(&view, Sequence::NONE).await.unwrap();
    let groups = format!("state:request:{id}:groups");
    let () = redis.del(&groups).await.unwrap();
    for group in 0..2 {
        let key = format!("state:request:{id}:group:{group}");
        let () = redis.hset(&key, "status", "completed").await.unwrap();
    }
    assert_eq!(store.get(id).await.unwrap(), None, "the log is folded");
    let mut walk = store.view_keys().await.unwrap();
    let mut superseded = 0;
    while let Some(keys) = walk.next().await.unwrap() {
        superseded += keys.iter().filter(|key| key.superseded).count();
    }
    assert_eq!(superseded, 2);
    assert_eq!(store.remove_superseded().await.unwrap(), 2);
    assert_eq!(store.remove_superseded().await.unwrap(), 0);
    store.put(&view, Sequence::NONE).await.unwrap();
    assert_eq!(store.get(id).await.unwrap(), Some(view));
}
