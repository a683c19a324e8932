#![allow(clippy::unwrap_used)]

use metrics::Metrics;
use nats::Feed;

use super::*;
use crate::scene::Scene;
use crate::stops::Stops;
use crate::suspects::Suspects;
use crate::views::Views;

async fn shard(scene: &Scene) -> Shard {
    let (connection, log) = (scene.connection.clone(), scene.log.clone());
    Shard {
        number: 0,
        views: Views::new(connection.clone(), log.clone(), scene.store.clone()),
        standing: Standing::unknown(scene.store.clone()),
        log,
        stops: Stops::new(scene.store.clone()),
        feed: Feed::new(connection.clone()),
        published: None,
        noted: (Sequence::NONE, Instant::now()),
        topology: nats::Topology::default(),
        singly: false,
        suspects: Suspects::open(&connection, 0).await.unwrap(),
        counted: Metrics::default().projector,
        pulse: Metrics::default().pulses.begin("projector", "shard-0"),
        connection,
    }
}

#[tokio::test]
async fn a_catch_up_whose_log_ends_early_is_not_noted_as_done_and_is_finished_later() {
    let scene = Scene::start().await;
    let first = scene.request(3).await;
    let published = first[2].sequence.plus(2);
    let mut shard = shard(&scene).await;
    // A server that lags answers like one that has less.
    shard.tend_views(published).await;
    assert!(!shard.standing.is_level());
    let noted = scene.store.checkpoint(0).await.unwrap();
    assert!(noted <= first[2].sequence, "noted up to {noted}");
    let second = scene.request(2).await;
    let catching_up = async {
        while !shard.standing.is_level() {
            shard.tend_views(published).await;
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(harness::LIMIT, catching_up)
        .await
        .unwrap();
    assert_eq!(scene.store.checkpoint(0).await.unwrap(), published);
    for commits in [first, second] {
        let last = commits.last().unwrap();
        let view = scene.store.get(last.request).await.unwrap().unwrap();
        assert_eq!(view.seq, last.sequence);
    }
}
