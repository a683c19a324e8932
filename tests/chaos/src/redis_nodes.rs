//! A Redis Cluster of three masters, each with a replica. Clients reach each node over a proxy.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use harness::Proxy;
use redis::FromRedisValue;
use rustix::process::Signal;
use servers::{find, free_port};

use crate::process::{Process, Spec};
use crate::timeline::Timeline;

/// The masters at the start; as many replicas follow.
pub const MASTERS: usize = 3;
pub const NODES: usize = 2 * MASTERS;
/// The slots of the cluster.
const SLOTS: usize = 16_384;
/// How long a master may be silent before its replica takes over.
const NODE_TIMEOUT: &str = "3000";
/// How long a command of the run itself may take.
const COMMAND: Duration = Duration::from_secs(3);
const READY: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(100);

pub struct RedisNodes {
    pub servers: Vec<Process>,
    pub links: Vec<Proxy>,
    ports: Vec<u16>,
    folders: Vec<PathBuf>,
}

impl RedisNodes {
    pub async fn start(folder: &Path, timeline: &Timeline) -> anyhow::Result<Self> {
        let program = find(&["redis-server"]).context("redis-server is not installed")?;
        let mut nodes = Self {
            servers: Vec::new(),
            links: Vec::new(),
            ports: Vec::new(),
            folders: Vec::new(),
        };
        let mut buses = Vec::new();
        for number in 0..NODES {
            let (port, bus) = (free_port()?, free_port()?);
            let link = Proxy::start(&format!("127.0.0.1:{port}")).await;
            let data = folder.join(format!("redis-{number}"));
            std::fs::create_dir_all(&data)?;
            let spec = Spec {
                name: format!("redis-{number}"),
                program: program.clone(),
                args: arguments(port, bus, link.port(), &data),
                settings: BTreeMap::new(),
            };
            let server = Process::new(spec, folder, timeline);
            server.start().await?;
            nodes.servers.push(server);
            nodes.links.push(link);
            nodes.ports.push(port);
            nodes.folders.push(data);
            buses.push(bus);
        }
        for number in 0..NODES {
            nodes.until_answers(number).await?;
        }
        nodes.join(&buses).await?;
        Ok(nodes)
    }

    async fn join(&self, buses: &[u16]) -> anyhow::Result<()> {
        for (number, bus) in buses.iter().enumerate() {
            if number < MASTERS {
                let (from, to) = (SLOTS * number / MASTERS, SLOTS * (number + 1) / MASTERS - 1);
                let (from, to) = (from.to_string(), to.to_string());
                let own = ["CLUSTER", "ADDSLOTSRANGE", &from, &to];
                self.ask::<()>(number, &own).await?;
            }
            let port = self.links[number].port().to_string();
            let bus = bus.to_string();
            let meet = ["CLUSTER", "MEET", "127.0.0.1", &port, &bus];
            self.ask::<()>(0, &meet).await?;
        }
        self.until_whole().await?;
        for replica in MASTERS..NODES {
            let of: String = self.ask(replica - MASTERS, &["CLUSTER", "MYID"]).await?;
            // The master is not known to each node at once.
            let follow = ["CLUSTER", "REPLICATE", &of];
            let followed = async {
                while self.ask::<()>(replica, &follow).await.is_err() {
                    tokio::time::sleep(LOOK).await;
                }
            };
            tokio::time::timeout(READY, followed).await?;
        }
        self.until_whole().await
    }

    /// Sends a command to one node, without the proxy.
    pub async fn ask<T: FromRedisValue>(&self, node: usize, words: &[&str]) -> anyhow::Result<T> {
        let asked = async {
            let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.ports[node]))?;
            let mut connection = client.get_multiplexed_async_connection().await?;
            let mut command = redis::cmd(words[0]);
            words[1..].iter().for_each(|word| {
                command.arg(word);
            });
            command.query_async::<T>(&mut connection).await
        };
        let answer = tokio::time::timeout(COMMAND, asked).await;
        let answer = answer.with_context(|| format!("redis-{node} does not answer"))?;
        answer.with_context(|| format!("redis-{node}: {}", words.join(" ")))
    }

    async fn until_answers(&self, node: usize) -> anyhow::Result<()> {
        let answers = async {
            while self.ask::<()>(node, &["PING"]).await.is_err() {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(READY, answers)
            .await
            .with_context(|| format!("redis-{node} does not answer within {READY:?}"))
    }

    /// Waits until every node says that the cluster serves and has all nodes.
    pub async fn until_whole(&self) -> anyhow::Result<()> {
        let whole = async {
            for node in 0..NODES {
                loop {
                    let info = self.ask::<String>(node, &["CLUSTER", "INFO"]).await;
                    let known = format!("cluster_known_nodes:{NODES}");
                    if info.is_ok_and(|i| i.contains("cluster_state:ok") && i.contains(&known)) {
                        break;
                    }
                    tokio::time::sleep(LOOK).await;
                }
            }
        };
        tokio::time::timeout(READY, whole)
            .await
            .context("the Redis Cluster is not whole")
    }

    /// The nodes that say they are masters now.
    pub async fn masters(&self) -> Vec<usize> {
        let mut masters = Vec::new();
        for node in 0..NODES {
            let role = self.ask::<Vec<redis::Value>>(node, &["ROLE"]).await;
            let first = role.ok().and_then(|role| role.into_iter().next());
            let first = first.and_then(|value| String::from_redis_value(value).ok());
            if first.is_some_and(|role| role == "master") {
                masters.push(node);
            }
        }
        masters
    }

    /// Sends a command to each master. Fails where there is none.
    pub async fn ask_masters(&self, words: &[&str]) -> anyhow::Result<()> {
        let masters = self.masters().await;
        if masters.is_empty() {
            bail!("no Redis node is a master now");
        }
        for master in masters {
            self.ask::<()>(master, words).await?;
        }
        Ok(())
    }

    /// Forgets what a node that does not run has on its disk.
    pub fn wipe(&self, node: usize) {
        // It may have none.
        let _ = std::fs::remove_file(self.folders[node].join("dump.rdb"));
    }

    /// The URL of the first three nodes, over their proxies.
    pub fn url(&self) -> String {
        let urls = self.links.iter().take(MASTERS);
        let urls = urls.map(|link| format!("redis://{}", link.address()));
        urls.collect::<Vec<_>>().join(",")
    }

    /// Heals every link, and has every node run and answer.
    pub async fn heal(&self) -> anyhow::Result<()> {
        self.links.iter().for_each(Proxy::heal);
        for server in &self.servers {
            server.signal(Signal::CONT).await;
            server.start().await?;
        }
        for node in 0..NODES {
            self.until_answers(node).await?;
            self.ask::<()>(node, &["CONFIG", "SET", "maxmemory", "0"])
                .await?;
        }
        self.until_whole().await
    }
}

fn arguments(port: u16, bus: u16, announced: u16, data: &Path) -> Vec<String> {
    let settings = [
        ("--port", port.to_string()),
        ("--bind", "127.0.0.1".into()),
        ("--dir", data.display().to_string()),
        ("--save", String::new()),
        ("--appendonly", "no".into()),
        ("--maxmemory-policy", "noeviction".into()),
        ("--cluster-enabled", "yes".into()),
        ("--cluster-port", bus.to_string()),
        ("--cluster-node-timeout", NODE_TIMEOUT.into()),
        // Clients come over the proxy; so do replicas.
        ("--cluster-announce-ip", "127.0.0.1".into()),
        ("--cluster-announce-port", announced.to_string()),
        ("--cluster-announce-bus-port", bus.to_string()),
    ];
    let settings = settings.into_iter();
    settings
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect()
}
