//! The servers of one test.

use std::fs::File;
use std::path::Path;

use futures::{StreamExt, TryStreamExt};
use rustix::process::Signal;
use servers::{Group, NatsServer, Port, RedisServer, Server};
use tempfile::TempDir;

use crate::backend::Backend;
use crate::cluster::NatsCluster;
use crate::process;

/// An empty NATS and an empty Redis, for one test.
pub struct World {
    nats_url: String,
    redis_url: String,
    folder: TempDir,
    kept: Kept,
}

/// The guard that keeps the servers alive.
enum Kept {
    /// The holder of the lock has the given servers to itself.
    Given(#[allow(dead_code)] File),
    #[cfg(feature = "containers")]
    Containers(#[allow(dead_code)] Box<crate::backend::containers::Containers>),
    Own(Box<Own>),
    Clustered(Box<Clustered>),
}

struct Own {
    nats: Server,
    redis: Server,
}

struct Clustered {
    nats: NatsCluster,
    #[allow(dead_code)]
    redis: Server,
}

impl World {
    /// Starts servers as the environment chooses them.
    pub async fn start() -> Self {
        match Backend::chosen() {
            Backend::Given { nats, redis } => Self::given(nats, redis).await,
            Backend::Containers => Self::containers().await,
            Backend::Own => Self::own().await,
        }
    }

    /// Starts servers as processes of this test, whatever the environment chooses, for tests that
    /// kill them.
    pub async fn own() -> Self {
        Self::own_that_syncs("always").await
    }

    /// Starts own servers, with a NATS that syncs to disk at this interval.
    pub async fn own_that_syncs(interval: &str) -> Self {
        Self::own_with(interval, "").await
    }

    /// Starts own servers, with further lines in the configuration of NATS.
    pub async fn own_configured(further: &str) -> Self {
        Self::own_with("always", further).await
    }

    async fn own_with(interval: &str, further: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut nats = nats(folder.path(), interval);
        further.clone_into(&mut nats.further);
        let nats = nats.start().await.unwrap();
        let redis = redis(folder.path()).await;
        Self {
            nats_url: nats.url().to_owned(),
            redis_url: redis.url().to_owned(),
            folder,
            kept: Kept::Own(Box::new(Own { nats, redis })),
        }
    }

    /// Starts three own nats-servers, for streams with three replicas (`REPLICAS`), and one Redis.
    pub async fn clustered() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (nats, redis) = (NatsCluster::start().await, redis(folder.path()).await);
        Self {
            nats_url: nats.url(),
            redis_url: redis.url().to_owned(),
            folder,
            kept: Kept::Clustered(Box::new(Clustered { nats, redis })),
        }
    }

    /// The nats-servers of [`World::clustered`].
    pub fn cluster(&mut self) -> &mut NatsCluster {
        let Kept::Clustered(clustered) = &mut self.kept else {
            panic!("only `World::clustered` has several servers");
        };
        &mut clustered.nats
    }

    async fn given(nats_url: String, redis_url: String) -> Self {
        let place = std::env::temp_dir().join("fanfold-tests.lock");
        let lock = File::create(place).unwrap();
        let lock = tokio::task::spawn_blocking(move || {
            rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
            lock
        });
        let lock = lock.await.unwrap();
        let world = Self {
            nats_url,
            redis_url,
            folder: tempfile::tempdir().unwrap(),
            kept: Kept::Given(lock),
        };
        world.empty_nats().await;
        world.flush_redis().await;
        world
    }

    #[cfg(feature = "containers")]
    async fn containers() -> Self {
        let containers = crate::backend::containers::Containers::start().await;
        let (nats_url, redis_url) = containers.urls().await;
        Self {
            nats_url,
            redis_url,
            folder: tempfile::tempdir().unwrap(),
            kept: Kept::Containers(Box::new(containers)),
        }
    }

    #[cfg(not(feature = "containers"))]
    async fn containers() -> Self {
        std::future::ready(()).await;
        panic!(
            "TEST_BACKEND=containers wants `--features harness/containers`, as `make test` has it"
        )
    }

    pub fn nats_url(&self) -> &str {
        &self.nats_url
    }

    pub fn redis_url(&self) -> &str {
        &self.redis_url
    }

    /// A folder for the files of this test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A plain client of the broker, for inspection.
    pub async fn jetstream(&self) -> async_nats::jetstream::Context {
        let urls: Vec<&str> = self.nats_url.split(',').collect();
        async_nats::jetstream::new(async_nats::connect(urls.as_slice()).await.unwrap())
    }

    /// A plain client of Redis, for inspection.
    pub async fn redis(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.redis_url.as_str()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    pub async fn flush_redis(&self) {
        let mut connection = self.redis().await;
        let _: String = redis::cmd("FLUSHALL")
            .query_async(&mut connection)
            .await
            .unwrap();
    }

    async fn empty_nats(&self) {
        let jetstream = self.jetstream().await;
        let names: Vec<String> = jetstream.stream_names().try_collect().await.unwrap();
        futures::stream::iter(names)
            .for_each(|name| {
                let jetstream = &jetstream;
                async move {
                    jetstream.delete_stream(name).await.unwrap();
                }
            })
            .await;
    }

    fn servers(&mut self) -> &mut Own {
        let Kept::Own(own) = &mut self.kept else {
            panic!("only the servers of `World::own` can be killed");
        };
        own
    }

    /// Makes NATS stage batches in memory, as under `up`, once its streams exist.
    pub fn stage_in_memory(&mut self) {
        if let Some(staging) = self.servers().nats.staging() {
            staging.link();
        }
    }

    /// The processes of the servers.
    pub fn pids(&mut self) -> (u32, u32) {
        let own = self.servers();
        (own.nats.pid().unwrap(), own.redis.pid().unwrap())
    }

    /// Kills nats-server as a crash would.
    pub async fn kill_nats(&mut self) {
        self.servers().nats.kill().await;
    }

    /// Signals nats-server, to suspend it like a hung process or to resume it.
    pub fn signal_nats(&mut self, signal: Signal) {
        process::signal(self.pids().0, signal);
    }

    /// Kills nats-server if it runs, and restarts it on its data.
    pub async fn restart_nats(&mut self) {
        self.servers().nats.restart().await.unwrap();
    }

    /// Kills redis-server as a crash would.
    pub async fn kill_redis(&mut self) {
        self.servers().redis.kill().await;
    }

    /// Kills redis-server and restarts it empty.
    pub async fn restart_redis_empty(&mut self) {
        self.servers().redis.kill().await;
        let dump = self.folder.path().join("redis/dump.rdb");
        if dump.exists() {
            std::fs::remove_file(dump).unwrap();
        }
        self.servers().redis.restart().await.unwrap();
    }
}

pub(crate) fn nats(folder: &Path, sync_interval: &str) -> NatsServer {
    NatsServer {
        folder: folder.join("nats"),
        port: Port::Usual(0),
        sync_interval: sync_interval.to_owned(),
        cluster: None,
        group: Group::Shared,
        further: String::new(),
    }
}

async fn redis(folder: &Path) -> Server {
    let redis = RedisServer {
        folder: folder.join("redis"),
        port: Port::Usual(0),
        cluster_port: None,
        group: Group::Shared,
        password: None,
    };
    redis.start().await.unwrap()
}
