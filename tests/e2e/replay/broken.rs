use domain::request::{Event, Payload, Succeeded};
use harness::World;
use redis::AsyncCommands as _;

use super::scene::{Scene, document};

#[tokio::test]
async fn without_redis_and_without_the_api_the_log_still_speaks() {
    let mut scene = Scene::in_world(World::own().await).await;
    let id = scene.request(&["ok", "boom"], "failed").await;
    scene.program.kill().await;
    scene.replay(&["verify", "--all"]).await.expect(0);
    scene.world.kill_redis().await;
    let shown = scene.replay(&["show", &id]).await.expect(0);
    assert!(shown.contains("the view is not to be had"), "{shown}");
    assert!(shown.contains("no market for it"), "{shown}");
    scene.replay(&["why", &id]).await.expect(0);
    scene.replay(&["state", &id]).await.expect(0);
    scene.replay(&["task", &id, "0", "2"]).await.expect(0);
    scene
        .replay(&["search", "--status", "failed"])
        .await
        .expect(0);
    scene.replay(&["summary"]).await.expect(0);
    scene.replay(&["verify", "--all"]).await.expect(5);
    scene
        .replay(&["verify", "--all", "--no-views"])
        .await
        .expect(0);
    scene
        .replay(&["rebuild", "--reason", "x", "--yes"])
        .await
        .expect(5);
}

#[tokio::test]
async fn each_kind_of_corruption_of_a_view_is_found_and_a_rebuild_repairs_it() {
    let scene = Scene::start().await;
    let failed = scene.request(&["ok", "boom"], "failed").await;
    let fine = scene.request(&["ok"], "succeeded").await;
    scene.replay(&["verify", "--all"]).await.expect(0);
    let redis = &mut scene.world.redis().await;
    let key = |id: &str| format!("state:request:{id}");
    let corruptions: Vec<(String, redis::Cmd)> = vec![
        (
            key(&fine),
            redis::Cmd::hset(key(&fine), "status", "running"),
        ),
        (key(&fine), redis::Cmd::hset(key(&fine), "seq", "999999")),
        (key(&fine), redis::Cmd::hset(key(&fine), "surplus", "1")),
        (key(&fine), redis::Cmd::hdel(key(&fine), "completedAt")),
        (key(&fine), redis::Cmd::persist(key(&fine))),
        (key(&fine), redis::Cmd::del(key(&fine))),
        (
            format!("{}:group:0", key(&fine)),
            redis::Cmd::hset(format!("{}:group:0", key(&fine)), "completed", "7"),
        ),
        (
            format!("{}:group:1", key(&fine)),
            redis::Cmd::hset(format!("{}:group:1", key(&fine)), "seq", "999999"),
        ),
        (
            format!("{}:group:1", key(&fine)),
            redis::Cmd::del(format!("{}:group:1", key(&fine))),
        ),
        (
            format!("cache:request:{fine}:response"),
            redis::Cmd::set(format!("cache:request:{fine}:response"), "<other/>"),
        ),
        (
            format!("cache:request:{fine}:failure"),
            redis::Cmd::set(format!("cache:request:{fine}:failure"), "{}"),
        ),
        (
            format!("cache:request:{failed}:failure"),
            redis::Cmd::del(format!("cache:request:{failed}:failure")),
        ),
        (
            format!("cache:request:{failed}:response"),
            redis::Cmd::set(format!("cache:request:{failed}:response"), "<r/>"),
        ),
        (
            format!("cache:request:{fine}:metadata"),
            redis::Cmd::hset(format!("cache:request:{fine}:metadata"), "x-desk", "fx"),
        ),
        (
            format!("cache:request:{fine}:metadata"),
            redis::Cmd::del(format!("cache:request:{fine}:metadata")),
        ),
    ];
    let args = ["verify", "--all", "--json"];
    for (key, corruption) in corruptions {
        let () = corruption.exec_async(redis).await.unwrap();
        let found = scene.replay(&args).await;
        assert_eq!(found.code, 2, "{key}: {}", found.out);
        let lines = found.lines();
        let (counts, problems) = lines.split_last().unwrap();
        assert!(counts["findings"].as_u64().unwrap() > 0);
        assert!(
            problems.iter().all(|problem| problem["key"] == key),
            "{key}: {}",
            found.out
        );
        let mended = scene
            .replay(&["rebuild", "--reason", "a test", "--yes"])
            .await;
        mended.expect(0);
    }
    scene.replay(&args).await.expect(0);
    let left: Vec<String> = redis.keys("rebuild:*").await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_log_that_breaks_its_invariants_is_found_by_kind() {
    let mut scene = Scene::start().await;
    let late = scene.request(&["ok"], "succeeded").await;
    let missing = scene.request(&["ok", "boom"], "failed").await;
    scene.program.stop().await;
    let log = scene.log().await;
    let read = |id: &String| {
        let (log, id) = (log.clone(), id.parse().unwrap());
        async move { log.read(id, 0).await.unwrap() }
    };
    let last = read(&late).await.last().unwrap().sequence;
    let stored = Payload::Stored {
        sha256: "0".repeat(64),
        size: 7,
    };
    let again = [Event::Succeeded(Succeeded { response: stored })];
    log.append(late.parse().unwrap(), last, &again)
        .await
        .unwrap();
    let letters = scene
        .world
        .jetstream()
        .await
        .get_stream("DEAD_LETTERS")
        .await
        .unwrap();
    letters.purge().await.unwrap();
    let ran = scene
        .replay(&["verify", "--all", "--no-views", "--json"])
        .await;
    assert_eq!(ran.code, 2, "{}", ran.out);
    let mut found: Vec<(String, String)> = ran
        .lines()
        .iter()
        .filter_map(|line| {
            Some((
                line["kind"].as_str()?.into(),
                line["requestId"].as_str()?.into(),
            ))
        })
        .collect();
    found.sort();
    let expected = [
        ("dead-letter", &missing),
        ("log", &late),
        ("payload", &late),
    ];
    assert_eq!(
        found,
        expected.map(|(kind, id)| (kind.to_owned(), id.clone()))
    );
}

#[tokio::test]
async fn reading_leaves_no_consumer_behind() {
    let scene = Scene::start().await;
    let id = scene.request(&["ok"], "succeeded").await;
    let before = scene.consumers().await;
    for args in [
        &["verify", "--all"][..],
        &["verify", "--since", "1h"],
        &["search"],
        &["summary"],
        &["why", &id],
        &["tail", "--no-follow"],
    ] {
        scene.replay(args).await.expect(0);
        assert_eq!(scene.consumers().await, before, "{args:?}");
    }
}

#[tokio::test]
async fn a_task_document_that_is_not_what_was_sent_is_a_finding() {
    let scene = Scene::start().await;
    let id = scene.request(&["boom"], "failed").await;
    scene.replay(&["task", &id, "0", "1"]).await.expect(0);
    let jetstream = scene.world.jetstream().await;
    let subject = format!("dead-letters.default.{id}.0.1.0");
    let letters = jetstream.get_stream("DEAD_LETTERS").await.unwrap();
    let letter = letters
        .get_last_raw_message_by_subject(&subject)
        .await
        .unwrap();
    let changed = String::from_utf8(letter.payload.to_vec())
        .unwrap()
        .replace("0.03", "0.04");
    let sent = jetstream.publish(subject, changed.into()).await.unwrap();
    sent.await.unwrap();
    let told = scene.replay(&["task", &id, "0", "1"]).await.expect(2);
    assert!(told.contains("NOT the same"), "{told}");
    assert!(document(&["boom"]).contains("0.03"));
}
