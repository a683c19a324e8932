//! The queues are in memory: their recovery after a loss.

use async_nats::jetstream::stream::{Config, RetentionPolicy, StorageType};
use domain::request::{GroupIndex, Payload, TaskId, TaskNumber};
use harness::{NatsCluster, World};
use nats::{
    Attempts, Connection, Deliveries, Pull, PullOptions, Queues, QueuesState, Stored, TaskMessage,
    Tasks, Topology,
};

use crate::{ORIGIN, connect, new_id};

fn queues(connection: &Connection) -> Queues {
    Queues::new(connection.clone(), Topology::default())
}

/// Looks at the queues, which must have lost their content since `before`.
async fn begun_anew(queues: &Queues, before: &QueuesState) -> QueuesState {
    let state = queues.look().await.unwrap();
    assert_ne!(&state, before, "they are lost");
    assert_eq!(queues.look().await.unwrap(), state, "once");
    state
}

async fn delete(world: &World, queue: &str) {
    let jetstream = world.jetstream().await;
    jetstream.delete_stream(queue).await.unwrap();
}

async fn send(tasks: &Tasks, document: &str) -> TaskId {
    let id = TaskId {
        request: new_id(),
        group: GroupIndex::FIRST,
        task: TaskNumber::FIRST,
    };
    let payload = Payload::from(document);
    let sent = tasks.send("default", id, Attempts::default(), &payload, &ORIGIN);
    assert_eq!(sent.await.unwrap(), Stored::Now);
    id
}

async fn pull(connection: &Connection) -> Pull {
    let options = PullOptions {
        concurrency: 1,
        lease: std::time::Duration::from_secs(30),
    };
    Pull::open(connection, "default", options).await.unwrap()
}

async fn next(pull: &mut Pull) -> TaskMessage {
    pull.ask().await.unwrap();
    match pull.next().await {
        Some(Ok(task)) => task,
        _ => panic!("no task"),
    }
}

#[tokio::test]
async fn new_emptied_and_deleted_queues_begin_anew_once() {
    let world = World::start().await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let queues = queues(&connection);
    let mut state = begun_anew(&queues, &QueuesState::default()).await;
    let jetstream = world.jetstream().await;
    for name in ["TASKS", "REPORTS"] {
        let stream = jetstream.get_stream(name).await.unwrap();
        stream.purge().await.unwrap();
        state = begun_anew(&queues, &state).await;
        delete(&world, name).await;
        state = begun_anew(&queues, &state).await;
    }
}

#[tokio::test]
async fn instances_that_look_at_once_see_the_same_loss() {
    let world = World::start().await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let queues = queues(&connection);
    queues.look().await.unwrap();
    delete(&world, "TASKS").await;
    let looks = futures::future::join_all((0..8).map(|_| queues.look())).await;
    let last = queues.look().await.unwrap();
    assert!(
        looks
            .iter()
            .any(|look| look.as_ref().is_ok_and(|look| *look == last))
    );
}

#[tokio::test]
async fn a_queue_under_a_new_leader_shows_it_and_keeps_its_messages_and_its_mark() {
    let cluster = NatsCluster::start().await;
    let topology = Topology {
        replicas: 3,
        ..Topology::default()
    };
    let connection = connect(&cluster.url(), &topology).await;
    let queues = Queues::new(connection.clone(), topology);
    let before = queues.look().await.unwrap();
    let tasks = Tasks::new(connection.clone());
    let id = send(&tasks, "of before").await;
    let servers: Vec<String> = cluster.url().split(',').map(str::to_owned).collect();
    let client = async_nats::connect(servers).await.unwrap();
    let step_down = "$JS.API.STREAM.LEADER.STEPDOWN.TASKS";
    client.request(step_down, "".into()).await.unwrap();
    harness::until("another leads", || async {
        queues.look().await.is_ok_and(|state| state != before)
    })
    .await;
    assert_eq!(next(&mut pull(&connection).await).await.id, id);
}

#[tokio::test]
async fn the_ack_of_a_lost_task_removes_no_other_task() {
    let world = World::start().await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let (queues, tasks) = (queues(&connection), Tasks::new(connection.clone()));
    queues.look().await.unwrap();
    send(&tasks, "lost").await;
    let mut pulling = pull(&connection).await;
    let lost = next(&mut pulling).await;
    delete(&world, "TASKS").await;
    queues.look().await.unwrap();
    let id = send(&tasks, "of after").await;
    pulling.release(1);
    let after = next(&mut pulling).await;
    assert_eq!(after.id, id);
    lost.delivery.ack().await.unwrap();
    let payload = Payload::from("of after");
    let again = tasks.send("default", id, Attempts::default(), &payload, &ORIGIN);
    assert_eq!(again.await.unwrap(), Stored::Already);
}

#[tokio::test]
async fn a_reader_continues_with_the_queue_that_replaced_its_own() {
    let world = World::start().await;
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let queues = queues(&connection);
    let mut reports = Deliveries::of_reports(&connection, 0).await.unwrap();
    let reading = tokio::spawn(async move { reports.next().await.map(|chunk| chunk.len()) });
    harness::until("it is being read", || async {
        connection.report_position(0).await.unwrap().waiting_pulls > 0
    })
    .await;
    delete(&world, "REPORTS").await;
    queues.look().await.unwrap();
    let jetstream = world.jetstream().await;
    let subject = format!("reports.0.{}.0.1", new_id());
    jetstream
        .publish(subject, "x".into())
        .await
        .unwrap()
        .await
        .unwrap();
    assert_eq!(reading.await.unwrap(), Some(1));
}

#[tokio::test]
async fn queues_that_an_earlier_version_stored_on_disk_are_replaced_by_recovery() {
    let world = World::start().await;
    let jetstream = world.jetstream().await;
    let before = Config {
        name: "TASKS".into(),
        subjects: vec!["tasks.>".into()],
        retention: RetentionPolicy::WorkQueue,
        storage: StorageType::File,
        ..Config::default()
    };
    jetstream.create_stream(before).await.unwrap();
    // An API or a worker that starts first leaves the old queue alone.
    let connection = connect(world.nats_url(), &Topology::default()).await;
    let storage = || async {
        let stream = jetstream.get_stream("TASKS").await.unwrap();
        stream.cached_info().config.storage
    };
    assert_eq!(storage().await, StorageType::File);
    queues(&connection).look().await.unwrap();
    assert_eq!(storage().await, StorageType::Memory);
}

#[tokio::test]
async fn a_task_without_room_in_the_queue_is_refused_and_does_not_count_as_sent() {
    let world = World::start().await;
    let topology = Topology {
        tasks_max_bytes: 4_000,
        ..Topology::default()
    };
    let connection = connect(world.nats_url(), &topology).await;
    let tasks = Tasks::new(connection.clone());
    let large = "x".repeat(3_000);
    send(&tasks, &large).await;
    let id = TaskId {
        request: new_id(),
        group: GroupIndex::FIRST,
        task: TaskNumber::FIRST,
    };
    let payload = Payload::from(large.as_str());
    let refused = tasks.send("default", id, Attempts::default(), &payload, &ORIGIN);
    let reason = refused.await.unwrap_err();
    assert!(reason.is_transient(), "{reason}");
    assert!(reason.to_string().contains("maximum bytes"), "{reason}");
    let first = next(&mut pull(&connection).await).await;
    first.delivery.ack_sync().await.unwrap();
    let sent = tasks.send("default", id, Attempts::default(), &payload, &ORIGIN);
    assert_eq!(sent.await.unwrap(), Stored::Now);
}
