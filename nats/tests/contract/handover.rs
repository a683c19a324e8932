use std::collections::BTreeSet;
use std::time::Instant;

use domain::request::Sequence;
use nats::{Deliveries, LogReader, Topology};

use crate::{connect, log, new_id, received};
use harness::World;

const COMMITS: usize = 1_200;

#[tokio::test]
async fn what_an_instance_hands_back_comes_to_another_at_once() {
    for reader in LogReader::ALL {
        let world = World::start().await;
        let topology = Topology::default();
        let log = log(world.nats_url(), &topology).await;
        let first = connect(world.nats_url(), &topology).await;
        let mut pinned = Deliveries::of_log(&first, 0, reader).await.unwrap();
        log.append(new_id(), Sequence::NONE, &[received("first")])
            .await
            .unwrap();
        let mut begun = 0;
        while begun == 0 {
            for delivery in pinned.next().await.unwrap() {
                delivery.ack_sync().await.unwrap();
                begun = delivery.place().unwrap().sequence;
            }
        }
        let second = connect(world.nats_url(), &topology).await;
        let mut standby = Deliveries::of_log(&second, 0, reader).await.unwrap();
        let others = tokio::spawn(async move {
            let mut sequences = BTreeSet::new();
            while sequences.len() < COMMITS {
                for delivery in standby.next().await.unwrap() {
                    sequences.insert(delivery.place().unwrap().sequence);
                }
            }
            sequences
        });
        let appending = (0..COMMITS).map(|_| {
            let log = &log;
            async move { log.append(new_id(), Sequence::NONE, &[received("x")]).await }
        });
        for appended in futures::future::join_all(appending).await {
            appended.unwrap();
        }
        // The pinned instance has begun none of these, and has not even seen most of them.
        let chunk = pinned.next().await.unwrap();
        assert!(!others.is_finished());
        let asked = Instant::now();
        pinned.hand_back(chunk).await;
        let sequences = others.await.unwrap();
        assert_eq!(*sequences.first().unwrap(), begun + 1);
        assert_eq!(*sequences.last().unwrap(), begun + COMMITS as u64);
        // A pin times out after 5 s, and an unanswered message comes again after 10 s.
        assert!(asked.elapsed() < topology.takeover_after / 2);
    }
}
