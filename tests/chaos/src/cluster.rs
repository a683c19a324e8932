//! The whole of it: three brokers, a Redis Cluster, two of every role, and an executor.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use async_nats::jetstream::{self, Context};
use futures::TryStreamExt as _;
use harness::Receiver;
use serde_json::Value;

use crate::Plan;
use crate::brokers::{BROKERS, Brokers};
use crate::redis_nodes::RedisNodes;
use crate::roles::Roles;
use crate::timeline::Timeline;
use crate::valuer::Valuer;

/// How often the supervisor looks for processes that ended by themselves.
const SUPERVISION: Duration = Duration::from_millis(200);
/// How long the broker may take to answer the run itself.
const REQUEST: Duration = Duration::from_secs(5);
const PING: Duration = Duration::from_secs(2);
const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

pub struct Cluster {
    // The roles end before what they use.
    pub roles: Roles,
    pub brokers: Brokers,
    pub redis: RedisNodes,
    pub valuer: Valuer,
    pub receiver: Receiver,
    pub nats: async_nats::Client,
    pub timeline: Timeline,
    pub binary: PathBuf,
    settings: BTreeMap<String, String>,
}

impl Cluster {
    pub async fn start(plan: &Plan, folder: &Path, timeline: &Timeline) -> anyhow::Result<Self> {
        let (brokers, redis) = futures::try_join!(
            Brokers::start(folder, timeline),
            RedisNodes::start(folder, timeline)
        )?;
        timeline.note("three brokers and a Redis Cluster of six serve");
        let nats = async_nats::ConnectOptions::new()
            .name("chaos")
            .ping_interval(PING)
            .request_timeout(Some(REQUEST))
            .connect(brokers.url().split(',').collect::<Vec<_>>())
            .await?;
        until_streams_have_replicas(&nats).await?;
        let valuer = Valuer::start().await?;
        let receiver = Receiver::start(&[]).await;
        let settings = settings(plan, &redis, &valuer, &receiver);
        let roles = Roles::start(&plan.binary, &settings, &brokers, folder, timeline).await?;
        timeline.note("two of every role are ready");
        Ok(Self {
            roles,
            brokers,
            redis,
            valuer,
            receiver,
            nats,
            timeline: timeline.clone(),
            binary: plan.binary.clone(),
            settings,
        })
    }

    pub fn jetstream(&self) -> Context {
        jetstream::new(self.nats.clone())
    }

    pub async fn streams(&self) -> anyhow::Result<Vec<String>> {
        let mut names: Vec<String> = self.jetstream().stream_names().try_collect().await?;
        names.sort();
        Ok(names)
    }

    /// Asks the broker something of its own, such as a step of a leader.
    pub async fn ask_broker(&self, subject: &str) -> anyhow::Result<Value> {
        let answer = self.nats.request(subject.to_owned(), "".into()).await?;
        Ok(serde_json::from_slice(&answer.payload)?)
    }

    /// The settings of the tools, which reach the servers without a proxy.
    pub fn tool_settings(&self) -> BTreeMap<String, String> {
        let mut settings = self.settings.clone();
        settings.insert("NATS_URL".into(), self.brokers.url());
        settings.insert("NO_COLOR".into(), "1".into());
        settings.insert("PAGER".into(), "cat".into());
        settings
    }

    /// Restarts what ends by itself, for as long as this is awaited.
    pub async fn supervise(&self) -> anyhow::Result<()> {
        loop {
            let roles = self.roles.all.iter().map(|role| &role.process);
            let servers = self.brokers.servers.iter().chain(&self.redis.servers);
            for process in roles.chain(servers) {
                process.supervise().await?;
            }
            tokio::time::sleep(SUPERVISION).await;
        }
    }

    /// Ends every fault.
    pub async fn heal(&self) -> anyhow::Result<()> {
        if let Some(disk) = &self.brokers.disk {
            disk.empty()?;
        }
        self.roles.heal().await?;
        self.brokers.heal().await?;
        self.redis.heal().await
    }
}

fn settings(
    plan: &Plan,
    redis: &RedisNodes,
    valuer: &Valuer,
    receiver: &Receiver,
) -> BTreeMap<String, String> {
    let mut settings = vec![
        ("REDIS_URL", redis.url()),
        ("REPLICAS", BROKERS.to_string()),
        ("SHARDS", plan.shards.to_string()),
        ("EXECUTOR", valuer.url().to_owned()),
        ("WEBHOOK_SECRET", SECRET.to_owned()),
        ("WEBHOOK_URL", receiver.url().to_owned()),
        ("WEBHOOK_ALLOW_PRIVATE", "true".to_owned()),
    ];
    if plan.short_leases {
        let short = [
            ("TASK_LEASE_MS", "6s"),
            ("ACK_WAIT_MS", "5s"),
            ("TAKEOVER_AFTER_MS", "2s"),
        ];
        settings.extend(short.map(|(name, value)| (name, value.to_owned())));
    }
    let settings = settings.into_iter();
    settings
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Waits until the brokers can place a stream on all of them.
async fn until_streams_have_replicas(nats: &async_nats::Client) -> anyhow::Result<()> {
    let jetstream = jetstream::new(nats.clone());
    let config = jetstream::stream::Config {
        name: "PROBE".into(),
        num_replicas: BROKERS,
        ..Default::default()
    };
    let made = async {
        while jetstream
            .get_or_create_stream(config.clone())
            .await
            .is_err()
        {
            tokio::time::sleep(SUPERVISION).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), made)
        .await
        .context("the brokers make no stream with three replicas")?;
    if !jetstream.delete_stream("PROBE").await?.success {
        bail!("the brokers do not delete a stream");
    }
    Ok(())
}
