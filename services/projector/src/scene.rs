//! What the tests of this crate begin with: a log, a Redis, and a request with commits.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use domain::request::{
    AttemptNumber, Event, GroupIndex, GroupOutline, GroupStarted, Payload, Received, RequestId,
    Sequence, TaskNumber, TaskSucceeded,
};
use harness::World;
use jiff::Timestamp;
use nats::{Commit, Connection, Log, Options, Topology};
use projections::Store;

/// How long an ended request is kept in Redis.
const KEEP: Duration = Duration::from_hours(1);

pub struct Scene {
    pub world: World,
    pub connection: Connection,
    pub log: Log,
    pub store: Store,
}

impl Scene {
    pub async fn start() -> Self {
        let world = World::start().await;
        let options = Options::new(world.nats_url(), "projector");
        let connection = Connection::open(&options).await.unwrap();
        Topology::default().declare(&connection).await.unwrap();
        let redis = projections::Connection::open(world.redis_url()).await;
        Self {
            log: Log::new(connection.clone(), 1),
            store: Store::new(redis.unwrap(), KEEP),
            connection,
            world,
        }
    }

    /// Appends the first commits of a new request, and returns as many as it has then: it is
    /// received, its group starts, and two tasks succeed.
    pub async fn request(&self, commits: usize) -> Vec<Commit> {
        let request = new_id();
        let mut last = Sequence::NONE;
        for event in [received(), started(), done(1), done(2)]
            .into_iter()
            .take(commits)
        {
            last = self.log.append(request, last, &[event]).await.unwrap();
        }
        self.log.read(request, Sequence::NONE).await.unwrap()
    }

    /// Lets age remove all that the log has now.
    pub async fn age_removes_all(&self) {
        let jetstream = self.world.jetstream().await;
        let log = jetstream.get_stream("REQUESTS_0").await.unwrap();
        let before = log.cached_info().config.clone();
        let mut short = before.clone();
        short.max_age = Duration::from_millis(100);
        short.duplicate_window = short.max_age;
        jetstream.update_stream(short).await.unwrap();
        harness::until("age has removed all", || async {
            self.connection.extent(0).await.unwrap().commits == 0
        })
        .await;
        jetstream.update_stream(before).await.unwrap();
    }
}

pub fn new_id() -> RequestId {
    RequestId::new(uuid::Uuid::now_v7())
}

fn received() -> Event {
    Event::Received(Box::new(Received {
        document: Payload::from("<vnml/>"),
        fingerprint: "f".into(),
        groups: vec![GroupOutline {
            name: None,
            valuations: 2,
        }],
        metadata: BTreeMap::new(),
        tenant: domain::access::Tenant::default(),
        traceparent: None,
        tracestate: None,
        submitter: "tests".into(),
        idempotency_key: None,
    }))
}

fn started() -> Event {
    Event::GroupStarted(GroupStarted {
        group: GroupIndex::FIRST,
        name: None,
        tasks: 2,
        deadline: Timestamp::now(),
    })
}

fn done(task: u32) -> Event {
    Event::TaskSucceeded(TaskSucceeded {
        group: GroupIndex::FIRST,
        task: TaskNumber::new(task),
        attempt: AttemptNumber::FIRST,
        worker: "w".into(),
        started_at: Timestamp::UNIX_EPOCH,
        duration_ms: 1,
        given: None,
        result: Payload::from("<r/>"),
    })
}
