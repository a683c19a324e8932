use domain::access::Tenant;
use domain::request::{Event, Redriven, RequestId, Run, Sequence};
use harness::World;
use jiff::Timestamp;
use projections::{Error, View, fold};

use crate::{KEEP, failure, first_commits, new_id, recorded, store, success};

#[tokio::test]
async fn a_view_is_read_back_as_it_was_written() {
    let world = World::start().await;
    let store = store(&world).await;
    for commits in [
        success(),
        failure(),
        success()[..3].to_vec(),
        success()[..1].to_vec(),
    ] {
        let id = new_id();
        let view = fold(None, recorded(id, &commits)).unwrap();
        store.put(&view, Sequence::NONE).await.unwrap();
        assert_eq!(store.get(id).await.unwrap(), Some(view));
    }
    assert_eq!(store.get(new_id()).await.unwrap(), None);
}

#[tokio::test]
async fn an_older_view_never_replaces_a_newer_one() {
    let world = World::start().await;
    let store = store(&world).await;
    let id = new_id();
    let commits = success();
    let events = recorded(id, &commits);
    let newest = fold(None, events.clone()).unwrap();
    store.put(&newest, Sequence::NONE).await.unwrap();
    for length in 1..commits.len() {
        let older = fold(None, first_commits(&events, length)).unwrap();
        store.put(&older, Sequence::NONE).await.unwrap();
        assert_eq!(
            store.get(id).await.unwrap().as_ref(),
            Some(&newest),
            "after {length} commits"
        );
    }
}

#[tokio::test]
async fn keys_of_an_ended_request_expire_and_those_of_a_running_one_do_not() {
    let world = World::start().await;
    let store = store(&world).await;
    let (running, ended, broken) = (new_id(), new_id(), new_id());
    for (id, commits) in [
        (running, &success()[..3]),
        (ended, &success()[..]),
        (broken, &failure()[..]),
    ] {
        store
            .put(&fold(None, recorded(id, commits)).unwrap(), Sequence::NONE)
            .await
            .unwrap();
    }
    let redis = &mut world.redis().await;
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("*")
        .query_async(redis)
        .await
        .unwrap();
    let mut seen = 0;
    for key in keys {
        let left: i64 = redis::cmd("TTL")
            .arg(&key)
            .query_async(redis)
            .await
            .unwrap();
        if key.contains(&running.to_string()) {
            assert_eq!(left, -1, "{key}");
        } else if key.contains(&ended.to_string()) || key.contains(&broken.to_string()) {
            assert!(
                left > 0 && left <= i64::try_from(KEEP.as_secs()).unwrap(),
                "{key}: {left}"
            );
            seen += 1;
        }
    }
    // Request, groups, metadata, and the response or the failure.
    assert_eq!(seen, 8);
}

#[tokio::test]
async fn a_view_with_a_missing_part_is_not_read() {
    let world = World::start().await;
    let store = store(&world).await;
    for part in ["state:request:{id}:groups", "cache:request:{id}:response"] {
        let id = new_id();
        store
            .put(
                &fold(None, recorded(id, &success())).unwrap(),
                Sequence::NONE,
            )
            .await
            .unwrap();
        let redis = &mut world.redis().await;
        let key = part.replace("{id}", &id.to_string());
        let gone: i64 = redis::cmd("DEL").arg(key).query_async(redis).await.unwrap();
        assert_eq!(gone, 1, "{part}");
        assert_eq!(store.get(id).await.unwrap(), None, "{part}");
    }
}

#[tokio::test]
async fn a_checkpoint_only_grows_and_only_from_its_stored_value() {
    let world = World::start().await;
    let store = store(&world).await;
    assert_eq!(
        store
            .advance(0, Sequence::NONE, Sequence::new(7))
            .await
            .unwrap(),
        Sequence::NONE
    );
    assert_eq!(
        store
            .advance(0, Sequence::new(7), Sequence::new(5))
            .await
            .unwrap(),
        Sequence::new(7)
    );
    assert_eq!(store.checkpoint(0).await.unwrap(), Sequence::new(7));
    world.flush_redis().await;
    assert_eq!(
        store
            .advance(0, Sequence::new(7), Sequence::new(9))
            .await
            .unwrap(),
        Sequence::NONE,
        "it says what is missing"
    );
    assert_eq!(
        store.checkpoint(0).await.unwrap(),
        Sequence::NONE,
        "and hides nothing"
    );
}

#[tokio::test]
async fn scripts_that_redis_has_forgotten_are_loaded_in_the_middle_of_many_writes() {
    let world = World::start().await;
    let store = store(&world).await;
    let view_of = |commits: &[_]| fold(None, recorded(new_id(), commits)).unwrap();
    let (before, after): (Vec<_>, Vec<_>) = (0..100)
        .map(|_| (view_of(&success()[..3]), view_of(&success())))
        .unzip();
    let redis = &mut world.redis().await;
    for views in [&before, &after] {
        let written: Vec<_> = views.iter().map(|view| (view, Sequence::NONE)).collect();
        store.put_all(&written).await.unwrap();
        let () = redis::cmd("SCRIPT")
            .arg("FLUSH")
            .query_async(redis)
            .await
            .unwrap();
    }
    for view in before.iter().chain(&after) {
        let id = view.request_id;
        assert_eq!(store.get(id).await.unwrap().as_ref(), Some(view));
    }
}

#[tokio::test]
async fn a_key_of_another_type_is_replaced_and_a_redis_that_refuses_every_write_is_not_blamed_on_a_key()
 {
    let world = World::own().await;
    let store = store(&world).await;
    let redis = &mut world.redis().await;
    let view = || fold(None, recorded(new_id(), &success())).unwrap();
    for key in ["state:request:{id}", "state:request:{id}:groups"] {
        let (foreign, other) = (view(), view());
        let id = foreign.request_id.to_string();
        let mut set = redis::cmd("SET");
        set.arg(key.replace("{id}", &id)).arg("no hash");
        let () = set.query_async(redis).await.unwrap();
        let views = [foreign.clone()];
        let compared = store.differences(&views).await.unwrap();
        assert_eq!(compared[0].1[0].field, "type", "{key}");
        // Only a part of the view is to be written; the whole of it is.
        let both = [(&foreign, foreign.seq.before()), (&other, Sequence::NONE)];
        store.put_all(&both).await.unwrap();
        for view in [foreign, other] {
            let found = store.get(view.request_id).await.unwrap();
            assert_eq!(found, Some(view), "{key}");
        }
    }
    let mut full = redis::cmd("CONFIG");
    full.arg("SET").arg("maxmemory").arg(1);
    let () = full.query_async(redis).await.unwrap();
    let error = store.put(&view(), Sequence::NONE).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
    assert!(store.check().await.is_err(), "a check writes");
}

#[tokio::test]
async fn the_next_call_to_a_redis_that_is_away_does_not_ask_it() {
    let mut world = World::own().await;
    let store = store(&world).await;
    world.kill_redis().await;
    let error = store.get(new_id()).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
    let next = store.get(new_id()).await.unwrap_err().to_string();
    assert!(next.contains("it is away"), "{next}");
    world.restart_redis_empty().await;
    harness::until("it is asked again", || async {
        store.check().await.is_ok()
    })
    .await;
}

/// The views of a request that has failed, runs again, and has failed again.
fn around_a_redrive(id: RequestId) -> [View; 3] {
    let mut commits = failure();
    let view = |commits: &[Vec<Event>]| fold(None, recorded(id, commits)).unwrap();
    let failed = view(&commits);
    commits.push(vec![redriven()]);
    let runs = view(&commits);
    commits.push(failure().pop().unwrap());
    [failed, runs, view(&commits)]
}

#[tokio::test]
async fn a_request_that_runs_again_stays_in_the_index_and_leaves_it_after_its_later_end() {
    let world = World::start().await;
    let store = store(&world).await;
    let id = new_id();
    let [failed, runs, again] = around_a_redrive(id);
    let later = Timestamp::now() + 2 * KEEP;
    let listed = async |expected: bool| {
        store.trim(0, later).await.unwrap();
        assert_eq!(
            store.is_indexed(&Tenant::default(), 0, id).await.unwrap(),
            expected
        );
    };
    for view in [&failed, &runs] {
        store.put(view, Sequence::NONE).await.unwrap();
        store.index(0, [view]).await.unwrap();
    }
    // A projector that was replaced writes its older view late.
    store.index(0, [&failed]).await.unwrap();
    listed(true).await;
    store.put(&again, runs.seq).await.unwrap();
    store.index(0, [&again]).await.unwrap();
    store.index(0, [&runs]).await.unwrap();
    listed(false).await;
}

#[tokio::test]
async fn a_request_that_is_removed_leaves_no_key() {
    let world = World::start().await;
    let store = store(&world).await;
    let view = fold(None, recorded(new_id(), &success()[..3])).unwrap();
    store.put(&view, Sequence::NONE).await.unwrap();
    store.index(0, [&view]).await.unwrap();
    store.remove_request(0, view.request_id).await.unwrap();
    let redis = &mut world.redis().await;
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("*")
        .query_async(redis)
        .await
        .unwrap();
    assert_eq!(keys, [""; 0]);
}

#[tokio::test]
async fn a_redrive_takes_the_expiry_back_from_every_key() {
    let world = World::start().await;
    let store = store(&world).await;
    let [failed, runs, _] = around_a_redrive(new_id());
    store.put(&failed, Sequence::NONE).await.unwrap();
    store.put(&runs, failed.seq).await.unwrap();
    let redis = &mut world.redis().await;
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("*")
        .query_async(redis)
        .await
        .unwrap();
    assert!(
        keys.iter().any(|key| key.ends_with(":metadata")),
        "{keys:?}"
    );
    for key in keys {
        let left: i64 = redis::cmd("TTL")
            .arg(&key)
            .query_async(redis)
            .await
            .unwrap();
        assert_eq!(left, -1, "{key}");
    }
}

fn redriven() -> Event {
    Event::Redriven(Redriven {
        by: "tests".into(),
        on_behalf_of: None,
        reason: "tests".into(),
        run: Run::new(1),
        group: None,
        tasks: Vec::new(),
        task_count: None,
        deadline: Timestamp::now(),
    })
}

#[tokio::test]
async fn the_failure_of_a_request_goes_when_it_is_redriven() {
    let world = World::start().await;
    let store = store(&world).await;
    let id = new_id();
    let mut commits = failure();
    let failed = fold(None, recorded(id, &commits)).unwrap();
    store.put(&failed, Sequence::NONE).await.unwrap();
    let redis = &mut world.redis().await;
    let key = format!("cache:request:{id}:failure");
    let mut there = async || {
        let there: bool = redis::cmd("EXISTS")
            .arg(&key)
            .query_async(redis)
            .await
            .unwrap();
        there
    };
    assert!(there().await);
    commits.push(vec![redriven()]);
    let again = fold(None, recorded(id, &commits)).unwrap();
    store.put(&again, failed.seq).await.unwrap();
    assert!(!there().await);
}

#[tokio::test]
async fn expired_requests_of_any_number_leave_the_index_and_no_others_do() {
    let world = World::start().await;
    let store = store(&world).await;
    let all = |commits: Vec<Vec<Event>>, many: usize| {
        let view = move |_| fold(None, recorded(new_id(), &commits)).unwrap();
        (0..many).map(view).collect::<Vec<_>>()
    };
    let running = all(success()[..2].to_vec(), 1);
    // More requests than one trim removes.
    let ended = all(success(), 20_500);
    store.index(0, running.iter().chain(&ended)).await.unwrap();
    let later = Timestamp::now() + 2 * KEEP;
    for left in [501, 1] {
        store.trim(0, later).await.unwrap();
        let found = store
            .newest((&Tenant::default(), 0), None, 0, 30_000)
            .await
            .unwrap();
        assert_eq!(found.len(), left);
    }
    let found = store
        .newest((&Tenant::default(), 0), None, 0, 30_000)
        .await
        .unwrap();
    assert_eq!(found[0].request, running[0].request_id);
}
