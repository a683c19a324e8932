//! A Redis Cluster whose nodes do not answer for a while.

use harness::RedisCluster;
use projections::{Connection, Store, fold};

use crate::{KEEP, new_id, recorded, success};

#[tokio::test]
async fn a_pipeline_with_several_commands_for_one_key_passes_once_a_cluster_is_back() {
    let cluster = RedisCluster::start().await;
    let connection = Connection::open(cluster.url().as_str()).await.unwrap();
    let store = Store::new(connection, KEEP);
    let view = fold(None, recorded(new_id(), &success())).unwrap();
    assert!(store.differences(std::slice::from_ref(&view)).await.is_ok());
    // Longer than a call waits for an answer.
    for node in 0..3 {
        let mut pause = redis::cmd("CLIENT");
        pause.arg("PAUSE").arg(3_000).arg("ALL");
        let () = pause
            .query_async(&mut cluster.node(node).await)
            .await
            .unwrap();
    }
    let away = store.differences(std::slice::from_ref(&view)).await;
    assert!(away.is_err(), "nobody answers");
    harness::until("the pipeline passes again", || async {
        store.differences(std::slice::from_ref(&view)).await.is_ok()
    })
    .await;
}
