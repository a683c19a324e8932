//! Attempts whose payloads are on a separate broker that is away for a while.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::request::{
    AttemptNumber, GroupIndex, Next, Payload, Report, RequestId, RetryPolicy, TaskId, TaskNumber,
    Verdict,
};
use harness::{World, until};
use nats::{
    Attempts, Connection, DeadLetters, Deliveries, First, Options, Origin, Payloads, Pull,
    PullOptions, Quarantine, Reports, StoredReport, TaskMessage, Tasks, Topology,
};
use runtime::{Shutdown, TaskType};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::executor::Executor;
use crate::{WorkerContext, attempt};

const LEASE: Duration = Duration::from_millis(600);

/// A worker with its context.
struct Site {
    world: World,
    /// The broker that stores the payloads.
    store: World,
    connection: Connection,
    context: Arc<WorkerContext>,
    pull: Pull,
}

async fn connect(world: &World, topology: &Topology) -> Connection {
    let options = Options::new(world.nats_url(), "tests");
    let connection = Connection::open(&options).await.unwrap();
    topology.declare(&connection).await.unwrap();
    connection
}

impl Site {
    async fn new(executor: Executor) -> Self {
        let (world, store) = (World::start().await, World::own().await);
        let topology = Topology {
            task_lease: LEASE,
            ..Topology::default()
        };
        let connection = connect(&world, &topology).await;
        let payloads = Payloads::new(connect(&store, &topology).await);
        let context = WorkerContext {
            task_type: TaskType {
                name: "default".into(),
                matches: Vec::new(),
                executor: toml::Table::new(),
                retry: RetryPolicy::default(),
                time_limit: Duration::from_mins(1),
                concurrency: 1,
                result_max_bytes: 10 * 1024 * 1024,
            },
            executor,
            worker: "w".into(),
            reports: Reports::new(connection.clone()),
            payloads,
            dead_letters: DeadLetters::new(connection.clone()),
            quarantine: Quarantine::open(&connection, "worker-default", First::InCompany)
                .await
                .unwrap(),
            lease: LEASE,
            long_delay: Duration::from_secs(30),
            broker_patience: Duration::from_mins(5),
            shutdown: Shutdown::new(),
        };
        let options = PullOptions {
            concurrency: 1,
            lease: LEASE,
        };
        let pull = Pull::open(&connection, "default", options).await.unwrap();
        Self {
            world,
            store,
            connection,
            context: Arc::new(context),
            pull,
        }
    }

    async fn send(&self, document: &Payload) {
        let id = TaskId {
            request: RequestId::new(uuid::Uuid::now_v7()),
            group: GroupIndex::FIRST,
            task: TaskNumber::FIRST,
        };
        let tasks = Tasks::new(self.connection.clone());
        let origin = Origin::default();
        let sending = tasks.send("default", id, Attempts::default(), document, &origin);
        sending.await.unwrap();
    }

    async fn take(&mut self) -> TaskMessage {
        self.pull.ask().await.unwrap();
        let task = self.pull.next().await.unwrap();
        task.unwrap_or_else(|_| panic!("a task that cannot be read"))
    }

    fn attempt(&self, task: TaskMessage) -> JoinHandle<()> {
        let context = self.context.clone();
        let cancelled = CancellationToken::new();
        tokio::spawn(async move { attempt::run(&context, task, &cancelled).await })
    }

    /// The attempt number and the verdict of the first report.
    async fn reported(&self) -> (u32, Verdict) {
        let mut reports = Deliveries::of_reports(&self.connection, 0).await.unwrap();
        let delivery = reports.next().await.unwrap().swap_remove(0);
        let stored = StoredReport::parse(delivery).ok().unwrap();
        match stored.reports.as_slice() {
            [Report::Outcome(outcome)] => (outcome.attempt.get(), outcome.verdict.clone()),
            other => panic!("{other:?}"),
        }
    }

    /// The number of delivered tasks, and how many of them were redeliveries.
    async fn deliveries(&self) -> (u64, usize) {
        let jetstream = self.world.jetstream().await;
        let tasks = jetstream.get_stream("TASKS").await.unwrap();
        let consumer = tasks.consumer_info("worker-default").await.unwrap();
        (
            consumer.delivered.consumer_sequence,
            consumer.num_redelivered,
        )
    }
}

/// A task document that is too large to travel inline. The echo executor returns it as its result.
fn large() -> String {
    let note = "x".repeat(100_000);
    format!(
        "<vnml><project><group><valuation><note>{note}</note></valuation></group></project></vnml>"
    )
}

async fn until_its_lease_would_be_over_twice() {
    let begun = Instant::now();
    until("two leases are over", || async {
        begun.elapsed() > 2 * LEASE
    })
    .await;
}

#[tokio::test]
async fn an_unavailable_document_is_waited_for_and_costs_no_attempt() {
    let mut site = Box::pin(Site::new(Executor::Noop)).await;
    let document = site.context.payloads.place(large().into()).await.unwrap();
    site.send(&document).await;
    let task = site.take().await;
    site.store.kill_nats().await;
    let attempt = site.attempt(task);
    until_its_lease_would_be_over_twice().await;
    assert!(!attempt.is_finished());
    site.store.restart_nats().await;
    attempt.await.unwrap();
    let (attempt, verdict) = site.reported().await;
    assert!(
        matches!((attempt, &verdict), (1, Verdict::Succeeded(_))),
        "{verdict:?}"
    );
    assert_eq!(site.deliveries().await, (1, 0));
}

#[tokio::test]
async fn a_result_that_cannot_be_stored_is_stored_once_the_store_is_back() {
    let mut site = Box::pin(Site::new(Executor::Echo)).await;
    // A document inside the message needs no object store.
    site.send(&Payload::from(large().as_str())).await;
    let task = site.take().await;
    site.store.kill_nats().await;
    let attempt = site.attempt(task);
    until_its_lease_would_be_over_twice().await;
    assert!(!attempt.is_finished());
    site.store.restart_nats().await;
    attempt.await.unwrap();
    let (attempt, verdict) = site.reported().await;
    let Verdict::Succeeded(result) = verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!(attempt, 1);
    let kept = site.context.payloads.fetch(&result).await.unwrap();
    assert_eq!(kept, large().as_bytes());
    assert_eq!(site.deliveries().await, (1, 0));
}

#[tokio::test]
async fn a_worker_that_stops_returns_a_task_that_waits_for_its_document() {
    let mut site = Box::pin(Site::new(Executor::Noop)).await;
    let document = site.context.payloads.place(large().into()).await.unwrap();
    site.send(&document).await;
    let task = site.take().await;
    site.store.kill_nats().await;
    let attempt = site.attempt(task);
    site.context.shutdown.soft();
    attempt.await.unwrap();
    site.pull.release(1);
    assert_eq!(
        site.take().await.attempt,
        AttemptNumber::new(2),
        "it comes again"
    );
    let jetstream = site.world.jetstream().await;
    let reports = jetstream.get_stream("REPORTS").await.unwrap();
    assert_eq!(reports.cached_info().state.messages, 0);
}

#[tokio::test]
async fn a_document_that_does_not_exist_fails_its_task_for_good() {
    let mut site = Box::pin(Site::new(Executor::Noop)).await;
    site.send(&Payload::Stored {
        sha256: "0".repeat(64),
        size: 7,
    })
    .await;
    let task = site.take().await;
    site.attempt(task).await.unwrap();
    let (attempt, verdict) = site.reported().await;
    let Verdict::Failed { fault, next } = verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!((attempt, fault.code.as_str()), (1, "payload-missing"));
    assert!(matches!(next, Next::DeadLetter(_)), "{next:?}");
}
