use domain::request::{Event, GroupOutline, Payload, Received, RequestId, Sequence};
use harness::until;
use redis::AsyncCommands as _;

use super::scene::{Scene, command, document};

#[tokio::test]
async fn every_write_needs_a_reason_and_a_confirmation_and_is_recorded() {
    let scene = Scene::start().await;
    scene.request(&["ok"], "succeeded").await;
    scene.world.flush_redis().await;
    let refused = scene.replay(&["rebuild", "--yes"]).await;
    assert!(refused.err.contains("--reason"), "{}", refused.err);
    assert_eq!(refused.code, 1);
    let refused = scene.replay(&["rebuild", "--reason", "lost"]).await;
    assert!(refused.err.contains("nothing was done"), "{}", refused.err);
    scene
        .replay(&["rebuild", "--reason", "lost", "--yes"])
        .await
        .expect(0);
    let stream = scene
        .world
        .jetstream()
        .await
        .get_stream("OPERATIONS")
        .await
        .unwrap();
    let record = stream
        .get_last_raw_message_by_subject("operations.views-rebuilt")
        .await
        .unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record.payload).unwrap();
    assert_eq!(
        (&record["by"], &record["reason"]),
        (&"tester".into(), &"lost".into())
    );
    scene.replay(&["verify", "--all"]).await.expect(0);
}

#[tokio::test]
async fn a_fork_takes_over_unchanged_results_and_runs_only_the_rest() {
    let scene = Scene::start().await;
    let id = scene.request(&["ok", "boom", "ok"], "failed").await;
    let file = scene.world.folder().join("fixed.xml");
    std::fs::write(&file, document(&["ok", "fine", "ok"])).unwrap();
    let fork = [
        "fork",
        &id,
        "--at",
        "-0s",
        "--document",
        file.to_str().unwrap(),
        "--reason",
        "mended",
        "--yes",
        "--json",
    ];
    let forked = scene.replay(&fork).await.lines().remove(0);
    assert_eq!(forked["results"], 2);
    let new = forked["requestId"].as_str().unwrap();
    scene.program.client().until_status(new, "succeeded").await;
    let mut calls: Vec<_> = scene.valuer.calls();
    calls.retain(|call| call.request == new);
    let mut calls: Vec<_> = calls.iter().map(|call| (call.group, call.task)).collect();
    calls.sort_unstable();
    assert_eq!(
        calls,
        [(0, 2), (1, 1)],
        "only what is not taken over is executed"
    );
    let shown = scene.replay(&["show", new]).await.expect(0);
    assert!(shown.contains("by tester: mended"), "{shown}");
    let status = scene.program.client().status(&id).await.json();
    assert_eq!(status["status"], "failed", "the original stays as it is");
    scene.replay(&["verify", "--all"]).await.expect(0);
    scene.replay(&["verify", new]).await.expect(0);
}

/// Submits requests while no orchestrator runs.
async fn fill(scene: &Scene, requests: usize) {
    let log = scene.log().await;
    let received = |number: usize| {
        Event::Received(Box::new(Received {
            document: Payload::from("<vnml><project/></vnml>"),
            fingerprint: number.to_string(),
            groups: vec![GroupOutline {
                name: None,
                valuations: 1,
            }],
            metadata: std::collections::BTreeMap::default(),
            tenant: domain::access::Tenant::default(),
            traceparent: None,
            tracestate: None,
            submitter: "test".into(),
            idempotency_key: None,
        }))
    };
    for chunk in (0..requests).collect::<Vec<_>>().chunks(500) {
        let writes = chunk.iter().map(|number| {
            let id = RequestId::of_key("fill", &number.to_string());
            let (log, event) = (log.clone(), received(*number));
            async move { log.append(id, Sequence::NONE, &[event]).await.unwrap() }
        });
        futures::future::join_all(writes).await;
    }
}

#[tokio::test]
async fn a_rebuild_that_is_killed_half_way_resumes_where_it_was() {
    let mut scene = Scene::start().await;
    scene.request(&["ok"], "succeeded").await;
    scene.program.stop().await;
    fill(&scene, 4_000).await;
    scene.world.flush_redis().await;
    let args = [
        "rebuild",
        "--reason",
        "lost",
        "--yes",
        "--keep-every",
        "500",
    ];
    let mut killed = command(&scene.world, &args).spawn().unwrap();
    let redis = &mut scene.world.redis().await;
    until("some of it is kept", || {
        let mut redis = redis.clone();
        async move { redis.exists("rebuild:all:progress").await.unwrap() }
    })
    .await;
    killed.kill().await.unwrap();
    let kept: bool = redis.exists("rebuild:all:progress").await.unwrap();
    assert!(kept, "it was killed before its end");
    let ran = scene.replay(&args).await;
    assert!(ran.err.contains("It continues after"), "{}", ran.err);
    ran.expect(0);
    scene.replay(&["verify", "--all"]).await.expect(0);
}
