use domain::request::{Event, Payload, RequestId, Sequence, Succeeded};
use harness::World;

use super::scene::{Scene, document};

#[tokio::test]
async fn replay_reads_the_log_without_redis_and_without_the_api() {
    let mut scene = Scene::in_world(World::own().await).await;
    let id = scene.request(&["ok", "boom"], "failed").await;
    scene.program.kill().await;
    scene.replay(&["verify", "--all"]).await.expect(0);
    scene.world.kill_redis().await;
    let shown = scene.replay(&["show", &id]).await.expect(0);
    assert!(shown.contains("the view is unavailable"), "{shown}");
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
async fn every_broken_invariant_of_a_log_is_reported_by_kind() {
    let mut scene = Scene::start().await;
    let late = scene.request(&["ok"], "succeeded").await;
    let missing = scene.request(&["ok", "boom"], "failed").await;
    scene.program.stop().await;
    let log = scene.log().await;
    let read = |id: &String| {
        let (log, id) = (log.clone(), id.parse().unwrap());
        async move { log.read(id, Sequence::NONE).await.unwrap() }
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
async fn an_unreadable_commit_is_a_finding_and_all_else_is_verified() {
    let mut scene = Scene::start().await;
    let id = scene.request(&["ok"], "succeeded").await;
    scene.request(&["ok", "boom"], "failed").await;
    scene.program.stop().await;
    let partition = id.parse::<RequestId>().unwrap().partition();
    let jetstream = scene.world.jetstream().await;
    let subject = format!("requests.{partition}.{id}");
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Fanfold-Events", "of-tomorrow");
    let sent = jetstream.publish_with_headers(subject, headers, "[{\"of-tomorrow\":{}}]".into());
    let sequence = sent.await.unwrap().await.unwrap().sequence;
    for (args, requests, told) in [
        (&["verify", "--all", "--documents", "--json"][..], 2, true),
        (&["verify", "--since", "1h", "--json"], 2, false),
        (&["verify", &id, "--json"], 1, false),
    ] {
        let ran = scene.replay(args).await;
        assert_eq!(ran.code, 2, "{args:?}: {}", ran.err);
        let lines = ran.lines();
        let [problem, counts] = lines.as_slice() else {
            panic!("{args:?}: {}", ran.out);
        };
        assert_eq!(
            (&problem["kind"], &problem["requestId"]),
            (&"log".into(), &(*id).into())
        );
        let message = problem["message"].as_str().unwrap();
        assert!(message.contains("cannot be read"), "{message}");
        if told {
            assert_eq!(problem["sequence"], sequence);
        }
        assert_eq!(counts["requests"], requests, "{args:?}");
    }
    let shown = scene.replay(&["show", &id]).await;
    assert!(shown.err.contains("cannot be read"), "{}", shown.err);
    assert_eq!(shown.code, 2);
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
async fn a_task_document_that_differs_from_the_sent_one_is_a_finding() {
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
