//! The views in a Redis Cluster.

use domain::request::RequestId;
use harness::{RedisCluster, Valuer, World};

use super::scene::{Scene, document, value};

#[tokio::test]
async fn on_a_redis_cluster_the_views_are_written_verified_and_rebuilt_as_on_one_server() {
    let cluster = RedisCluster::start().await;
    let url = cluster.url();
    let (world, valuer) = (World::start().await, Valuer::start(value).await);
    let settings = [("WORKER_NAME", "worker-1"), ("REDIS_URL", url.as_str())];
    let program = crate::up(&world, &valuer, &settings).await;
    let mut scene = Scene {
        world,
        valuer,
        program,
    };
    let there = [settings[1]];
    scene.request(&["boom"], "failed").await;
    let client = scene.program.client();
    for number in 0..10 {
        let call = client
            .call(reqwest::Method::POST, "/valuation")
            .header("content-type", "application/xml")
            .header("idempotency-key", number.to_string())
            .body(document(&["ok", "ok"]));
        let id = client.send(call).await.id();
        client.until_status(&id, "succeeded").await;
    }
    let verify = ["verify", "--all", "--json"];
    let counts = scene.replay_with(&verify, &there).await;
    assert_eq!(
        counts.lines()[0]["views"],
        11,
        "{}{}",
        counts.out,
        counts.err
    );
    counts.expect(0);

    // A running projector would eventually rebuild the views by itself.
    scene.program.kill().await;
    for node in 0..3 {
        let redis = &mut cluster.node(node).await;
        let keys: usize = redis::cmd("DBSIZE").query_async(redis).await.unwrap();
        assert!(keys > 0, "each has its share");
        let () = redis::cmd("FLUSHALL").query_async(redis).await.unwrap();
        scene.replay_with(&verify, &there).await.expect(2);
        let rebuild = ["rebuild", "--reason", "lost", "--yes"];
        scene.replay_with(&rebuild, &there).await.expect(0);
        scene.replay_with(&verify, &there).await.expect(0);
    }

    // One on every server: the scan of the keys reaches all of them.
    let ghosts: Vec<RequestId> = (0..12)
        .map(|n| RequestId::of_key("nobody", &n.to_string()))
        .collect();
    let client = redis::cluster::ClusterClient::new(url.split(',')).unwrap();
    let redis = &mut client.get_async_connection().await.unwrap();
    for ghost in &ghosts {
        let key = format!("state:request:{ghost}");
        let () = redis::Cmd::hset(key, "status", "running")
            .query_async(redis)
            .await
            .unwrap();
    }
    let ran = scene.replay_with(&verify, &there).await;
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert_eq!(ran.lines().len(), ghosts.len() + 1, "{}", ran.out);
}
