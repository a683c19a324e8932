//! The two outputs of the projector: the feed goes on without Redis, and what is missing or wrong in
//! either is mended.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::StreamExt;
use harness::{Program, Valuer, World, until};
use redis::AsyncCommands;
use reqwest::StatusCode;
use rustix::process::Signal;
use tokio::task::JoinSet;

use crate::{document, feed_event, up};

/// No sampling: what a test breaks is mended for the reason that the test names.
const NO_SAMPLES: (&str, &str) = ("FANFOLD_TEST_VERIFY_REQUESTS_PER_HOUR", "0");
/// A sample every 18 ms.
const MANY_SAMPLES: (&str, &str) = ("FANFOLD_TEST_VERIFY_REQUESTS_PER_HOUR", "200000");

/// Whether the feed has this event of a request.
async fn feed_has(world: &World, event: &str, id: &str) -> bool {
    feed_event(world, event, id).await.is_some()
}

async fn field(world: &World, id: &str, field: &str) -> Option<String> {
    let mut redis = world.redis().await;
    let key = format!("state:request:{id}");
    redis.hget(key, field).await.unwrap()
}

#[tokio::test]
async fn without_redis_everything_but_the_views_goes_on_and_the_views_follow_when_it_is_back() {
    let mut world = World::own().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let (client, admin) = (program.client(), program.admin());
    let before = client.submit(&document(1, 1), "").await.id();
    client.until_status(&before, "succeeded").await;
    world.kill_redis().await;
    let waited = client.submit(&document(1, 1), "sync=Y").await;
    assert_eq!(waited.status, StatusCode::OK);
    let id = waited.header("x-request-id").to_owned();
    until("the feed has the end", || {
        feed_has(&world, "succeeded", &id)
    })
    .await;
    for health in [&client, &admin] {
        let said = health.get("/readyz").await;
        assert_eq!(said.status, StatusCode::OK, "{}", said.body);
        assert_eq!(said.json()["status"], "degraded");
        assert_ne!(said.json()["dependencies"]["redis"], "ok");
    }
    let begun = Instant::now();
    for _ in 0..10 {
        assert_eq!(client.status(&id).await.json()["status"], "succeeded");
    }
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(4), "ten reads took {took:?}");
    world.restart_redis_empty().await;
    for id in [&before, &id] {
        until("the views are back", async || {
            field(&world, id, "status").await.as_deref() == Some("succeeded")
        })
        .await;
    }
    until("both say so", async || {
        let said = [client.get("/readyz").await, admin.get("/readyz").await];
        said.iter().all(|said| said.json()["status"] == "ready")
    })
    .await;
}

#[tokio::test]
async fn a_redis_that_hangs_or_refuses_writes_does_not_hold_up_the_feed() {
    let mut world = World::own().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let redis = &mut world.redis().await;
    let configure = |name: &str, value: &str| {
        let mut set = redis::cmd("CONFIG");
        set.arg("SET").arg(name).arg(value);
        set
    };
    let mut ids = Vec::new();
    for (name, bad, good) in [("maxmemory", "1", "0"), ("min-replicas-to-write", "1", "0")] {
        let () = configure(name, bad).query_async(redis).await.unwrap();
        let id = client.submit(&document(1, 1), "").await.id();
        until("the feed has the end", || {
            feed_has(&world, "succeeded", &id)
        })
        .await;
        let said = client.get("/readyz").await;
        assert_eq!(said.status, StatusCode::OK);
        assert_eq!(said.json()["status"], "degraded", "{name}");
        let () = configure(name, good).query_async(redis).await.unwrap();
        ids.push(id);
    }
    let (_, pid) = world.pids();
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::STOP).unwrap();
    let id = client.submit(&document(1, 1), "").await.id();
    until("the feed has the end", || {
        feed_has(&world, "succeeded", &id)
    })
    .await;
    rustix::process::kill_process(pid, Signal::CONT).unwrap();
    ids.push(id);
    for id in &ids {
        until("the views follow", async || {
            field(&world, id, "status").await.as_deref() == Some("succeeded")
        })
        .await;
    }
}

#[tokio::test]
async fn a_key_of_another_type_is_deleted_and_written_anew() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[NO_SAMPLES]).await;
    let client = program.client();
    let first = client.submit(&document(1, 1), "").await.id();
    client.until_status(&first, "succeeded").await;
    let redis = &mut world.redis().await;
    for key in [
        "index:requests:0",
        "index:expiring:0",
        "state:projector:stopped",
        "state:projector:0",
    ] {
        let mut replace = redis::pipe();
        replace
            .del(key)
            .ignore()
            .lpush(key, "of another type")
            .ignore();
        let () = replace.query_async(redis).await.unwrap();
        let id = client.submit(&document(1, 1), "").await.id();
        until("the feed goes on", || feed_has(&world, "succeeded", &id)).await;
        for id in [&first, &id] {
            until("all requests are listed again", async || {
                let mut redis = world.redis().await;
                let score: redis::RedisResult<Option<i64>> =
                    redis.zscore("index:requests:0", id).await;
                score.is_ok_and(|score| score.is_some())
            })
            .await;
        }
        until("the key is none of another type", async || {
            let mut redis = world.redis().await;
            let kind: String = redis::cmd("TYPE")
                .arg(key)
                .query_async(&mut redis)
                .await
                .unwrap();
            kind != "list"
        })
        .await;
    }
}

#[tokio::test]
async fn a_projector_that_takes_over_publishes_only_what_was_not_acked() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let settings = [("EXECUTOR", valuer.url())];
    let binary = env!("CARGO_BIN_EXE_fanfold");
    let start = |role| Program::start(binary, role, &world, &settings);
    let api = start("api").await;
    let _rest = (start("orchestrator").await, start("worker").await);
    let mut projectors = [start("projector").await, start("projector").await];
    let nats = async_nats::connect(world.nats_url()).await.unwrap();
    // What is published, before the broker leaves out what it knows.
    let mut published = nats.subscribe("lifecycle.>").await.unwrap();
    let client = api.client();
    let mut ids = Vec::new();
    for round in 0..4 {
        let mut submitting = JoinSet::new();
        for _ in 0..40 {
            submitting.spawn(client.submit(&document(1, 2), ""));
        }
        while let Some(submitted) = submitting.join_next().await {
            ids.push(submitted.unwrap().id());
        }
        for id in &ids {
            client.until_status(id, "succeeded").await;
        }
        for id in &ids {
            until("the feed has the end", || feed_has(&world, "succeeded", id)).await;
        }
        let log = world.jetstream().await.get_stream("REQUESTS_0").await;
        let log = log.unwrap();
        until("all is acked", || async {
            let position = log.consumer_info("projector").await.unwrap();
            position.num_pending == 0 && position.num_ack_pending == 0
        })
        .await;
        // Either one may be the active one. The other goes on.
        projectors[round % 2].kill().await;
        projectors[round % 2].restart().await;
    }
    let mut seen: HashMap<String, usize> = HashMap::new();
    let quiet = Duration::from_millis(500);
    while let Ok(Some(message)) = tokio::time::timeout(quiet, published.next()).await {
        let id = message.headers.unwrap().get("ce-id").unwrap().to_string();
        *seen.entry(id).or_default() += 1;
    }
    let twice = seen.values().map(|times| times - 1).sum::<usize>();
    assert!(seen.len() >= 160 * 4, "{} events", seen.len());
    assert_eq!(twice, 0, "of {} events", seen.len());
}

#[tokio::test]
async fn a_view_that_was_set_back_alone_is_noticed_by_its_reader_and_mended() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[NO_SAMPLES]).await;
    let client = program.client();
    let id = client.submit(&document(1, 1), "").await.id();
    client.until_status(&id, "succeeded").await;
    let was = || async { field(&world, &id, "status").await.as_deref() == Some("succeeded") };
    until("the view is written", was).await;
    let (mut redis, key) = (world.redis().await, format!("state:request:{id}"));
    let fields = [
        ("status", "running"),
        ("seq", "1"),
        ("receivedAt", "2026-01-01T00:00:00Z"),
    ];
    let () = redis.hset_multiple(&key, &fields).await.unwrap();
    let _: i64 = redis.hdel(&key, "completedAt").await.unwrap();
    // Another instance, which has not answered about the request yet.
    let api = Program::start(env!("CARGO_BIN_EXE_fanfold"), "api", &world, &[]).await;
    assert_eq!(api.client().status(&id).await.json()["status"], "succeeded");
    until("the projector has mended it", was).await;
    until("all of it", async || {
        field(&world, &id, "completedAt").await.is_some()
    })
    .await;
}

#[tokio::test]
async fn the_verifier_mends_views_and_the_feed_by_itself() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[MANY_SAMPLES]).await;
    let jetstream = world.jetstream().await;
    let feed = jetstream.get_stream("LIFECYCLE").await.unwrap();
    // An event that a test deletes is still remembered as published for this long.
    let mut config = feed.cached_info().config.clone();
    config.duplicate_window = Duration::from_millis(100);
    jetstream.update_stream(config).await.unwrap();
    let client = program.client();
    // The feed begins with another request, so that the events of the next are due in it.
    client.submit(&document(1, 1), "sync=Y").await;
    let id = client.submit(&document(1, 1), "").await.id();
    client.until_status(&id, "succeeded").await;
    for event in ["received", "group-started", "succeeded"] {
        until("the event is there", || feed_has(&world, event, &id)).await;
        let message = feed_event(&world, event, &id).await.unwrap();
        assert!(feed.delete_message(message.sequence).await.unwrap());
    }
    let (mut redis, key) = (world.redis().await, format!("state:request:{id}"));
    let () = redis.hset(&key, "status", "cancelled").await.unwrap();
    let _: i64 = redis.del(format!("{key}:groups")).await.unwrap();
    let () = redis
        .set(format!("{key}:groups"), "of another type")
        .await
        .unwrap();
    until("the view is mended", async || {
        field(&world, &id, "status").await.as_deref() == Some("succeeded")
    })
    .await;
    until("all of it", async || {
        let mut redis = world.redis().await;
        let groups: redis::RedisResult<Option<String>> =
            redis.hget(format!("{key}:groups"), "0").await;
        groups.is_ok_and(|group| group.is_some())
    })
    .await;
    for event in ["received", "group-started", "succeeded"] {
        until("the event is back in the feed", || {
            feed_has(&world, event, &id)
        })
        .await;
    }
}
