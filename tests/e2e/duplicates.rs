use std::collections::HashSet;

use futures::StreamExt;
use harness::{Valuer, World, until};
use tokio::task::JoinSet;

use crate::{document, history, nothing_is_stuck, up};

/// Publishes every report and every task a second time as it passes.
async fn double(world: &World) -> JoinSet<()> {
    let mut doubling = JoinSet::new();
    for subjects in ["reports.>", "tasks.>"] {
        let client = async_nats::connect(world.nats_url()).await.unwrap();
        let mut seen = client.subscribe(subjects).await.unwrap();
        doubling.spawn(async move {
            let mut known = HashSet::new();
            while let Some(message) = seen.next().await {
                if known.insert((message.subject.to_string(), message.payload.clone())) {
                    let subject = message.subject.clone();
                    client.publish(subject, message.payload).await.unwrap();
                }
            }
        });
    }
    doubling
}

#[tokio::test]
async fn every_message_delivered_twice_makes_no_difference() {
    let world = World::start().await;
    let valuer = Valuer::busy_at_first(|task| task == 3).await;
    let mut program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let _doubling = double(&world).await;
    let mut ids = Vec::new();
    for _ in 0..10 {
        ids.push(client.submit(&document(2, 10), "").await.id());
    }
    for id in &ids {
        client.until_status(id, "succeeded").await;
    }
    let mut histories = Vec::new();
    for id in &ids {
        let history = history(&world, id).await;
        for (event, times) in [
            ("group-started", 2),
            ("group-completed", 2),
            ("succeeded", 1),
        ] {
            let count = history.iter().filter(|name| *name == event).count();
            assert_eq!(count, times, "{event}: {history:?}");
        }
        histories.push(history);
    }

    // A new orchestrator and a new projector receive every commit again.
    program.kill().await;
    let log = world
        .jetstream()
        .await
        .get_stream("REQUESTS_0")
        .await
        .unwrap();
    for consumer in ["orchestrator", "projector"] {
        log.delete_consumer(consumer).await.unwrap();
    }
    let called = valuer.calls().len();
    program.restart().await;
    for consumer in ["orchestrator", "projector"] {
        until("the log is worked through again", || async {
            let info = log.consumer_info(consumer).await.unwrap();
            info.num_pending == 0 && info.num_ack_pending == 0
        })
        .await;
    }
    for (id, before) in ids.iter().zip(&histories) {
        assert_eq!(history(&world, id).await, *before);
        assert_eq!(client.status(id).await.json()["status"], "succeeded");
    }
    assert_eq!(valuer.calls().len(), called, "no task is executed again");
    nothing_is_stuck(&world).await;
}
