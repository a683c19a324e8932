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

/// Lets every node name a port at which nobody listens, or the right one again.
async fn misname_the_nodes(cluster: &RedisCluster, misname: bool) {
    for node in 0..3 {
        let mut announce = redis::cmd("CONFIG");
        announce
            .arg("SET")
            .arg("cluster-announce-port")
            .arg(u16::from(misname));
        let mut server = cluster.node(node).await;
        let () = announce.query_async(&mut server).await.unwrap();
    }
}

/// A node: its host, its port, its id and what else it tells.
type Node = (String, u16, String, Vec<String>);
/// A range of slots: its first slot, its last slot and its node.
type Slots = (u16, u16, Node);

/// The ports that a node names.
async fn named(cluster: &RedisCluster, node: usize) -> Vec<u16> {
    let mut slots = redis::cmd("CLUSTER");
    slots.arg("SLOTS");
    let mut server = cluster.node(node).await;
    let slots: Vec<Slots> = slots.query_async(&mut server).await.unwrap();
    slots.into_iter().map(|(.., node)| node.1).collect()
}

#[tokio::test]
async fn a_connection_that_has_lost_every_node_connects_again_once_they_are_back() {
    let cluster = RedisCluster::start().await;
    let connection = Connection::open(cluster.url().as_str()).await.unwrap();
    let store = Store::new(connection, KEEP);
    let view = fold(None, recorded(new_id(), &success())).unwrap();
    assert!(store.differences(std::slice::from_ref(&view)).await.is_ok());
    // The last node that answers names nodes that do not, as in a moment of a broken network. After
    // that, the client has no node left, and looks for none.
    misname_the_nodes(&cluster, true).await;
    for node in 0..3 {
        harness::until("the node names dead ports", || async {
            named(&cluster, node).await.iter().all(|port| *port == 1)
        })
        .await;
    }
    for node in 0..3 {
        let mut kill = redis::cmd("CLIENT");
        kill.arg("KILL").arg("TYPE").arg("normal");
        let _: i64 = kill
            .query_async(&mut cluster.node(node).await)
            .await
            .unwrap();
    }
    harness::until("the client has lost the cluster", || async {
        let away = store.differences(std::slice::from_ref(&view)).await;
        away.is_err()
    })
    .await;
    misname_the_nodes(&cluster, false).await;
    harness::until("the store answers again", || async {
        store.differences(std::slice::from_ref(&view)).await.is_ok()
    })
    .await;
}
