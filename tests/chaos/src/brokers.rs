//! Three nats-servers. Each reaches each other one over a proxy of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use harness::Proxy;
use rustix::process::Signal;
use serde_json::Value;
use servers::{find, free_port};

use crate::disk::SmallDisk;
use crate::http;
use crate::process::{Process, Spec};
use crate::timeline::Timeline;

/// The number of servers.
pub const BROKERS: usize = 3;
/// How long a server may take until it serves.
const READY: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(100);
/// A server in lame duck mode closes a client a second, after a grace of one second.
const LAME_DUCK: Duration = Duration::from_secs(40);

pub struct Brokers {
    pub servers: Vec<Process>,
    ports: Vec<u16>,
    monitors: Vec<u16>,
    /// The link from one server to another, by both their numbers.
    routes: BTreeMap<(usize, usize), Proxy>,
    /// The disk of the last server, where this process may mount one.
    pub disk: Option<SmallDisk>,
    timeline: Timeline,
    http: reqwest::Client,
}

impl Brokers {
    /// Starts the servers and waits until each serves.
    pub async fn start(folder: &Path, timeline: &Timeline) -> anyhow::Result<Self> {
        let ports = free_ports()?;
        let monitors = free_ports()?;
        let route_ports = free_ports()?;
        let mut routes = BTreeMap::new();
        for (from, to) in pairs() {
            let upstream = format!("127.0.0.1:{}", route_ports[to]);
            routes.insert((from, to), Proxy::start(&upstream).await);
        }
        let disk = SmallDisk::mount(&folder.join("small-disk"));
        if let Err(error) = &disk {
            timeline.note(&format!("no disk can be full here: {error:#}"));
        }
        let mut brokers = Self {
            servers: Vec::new(),
            ports,
            monitors,
            routes,
            disk: disk.ok(),
            timeline: timeline.clone(),
            http: http::client()?,
        };
        let program = find(&["nats-server"]).context("nats-server is not installed")?;
        for (number, port) in route_ports.into_iter().enumerate() {
            let config = brokers.configure(number, folder, port)?;
            let spec = Spec {
                name: format!("nats-{number}"),
                program: program.clone(),
                args: vec!["-c".into(), config.display().to_string()],
                settings: BTreeMap::new(),
            };
            brokers.servers.push(Process::new(spec, folder, timeline));
        }
        for server in &brokers.servers {
            server.start().await?;
        }
        brokers.until_all_serve().await?;
        Ok(brokers)
    }

    fn configure(&self, number: usize, folder: &Path, route: u16) -> anyhow::Result<PathBuf> {
        let store = match &self.disk {
            Some(disk) if number == BROKERS - 1 => disk.folder().to_owned(),
            _ => folder.join(format!("nats-{number}")),
        };
        let urls: Vec<String> = self
            .routes
            .iter()
            .filter(|((from, _), _)| *from == number)
            .map(|(_, proxy)| format!("\"nats://{}\"", proxy.address()))
            .collect();
        // The servers tell each other a place where nobody listens, and tell clients nothing: so
        // every connection goes over a proxy.
        let text = format!(
            "listen: \"127.0.0.1:{}\"\nhttp: \"127.0.0.1:{}\"\nserver_name: \"nats-{number}\"\n\
             lame_duck_duration: \"30s\"\nlame_duck_grace_period: \"1s\"\n\
             jetstream {{\n  store_dir: \"{}\"\n  sync_interval: always\n  max_mem: 2GB\n  \
             max_file: 20GB\n}}\n\
             cluster {{\n  name: chaos\n  listen: \"127.0.0.1:{route}\"\n  \
             advertise: \"127.0.0.1:1\"\n  no_advertise: true\n  routes: [{}]\n}}\n",
            self.ports[number],
            self.monitors[number],
            store.display(),
            urls.join(", ")
        );
        let path = folder.join(format!("nats-{number}.conf"));
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// The address of a server itself, for a proxy.
    pub fn address(&self, number: usize) -> String {
        format!("127.0.0.1:{}", self.ports[number])
    }

    /// The URL of all servers, without a proxy.
    pub fn url(&self) -> String {
        let urls = (0..BROKERS).map(|number| format!("nats://{}", self.address(number)));
        urls.collect::<Vec<_>>().join(",")
    }

    /// The links between a server and the others, in both directions.
    pub fn routes_of(&self, number: usize) -> Vec<&Proxy> {
        let all = self.routes.iter();
        let its = all.filter(|((from, to), _)| [*from, *to].contains(&number));
        its.map(|(_, proxy)| proxy).collect()
    }

    /// All links between servers.
    pub fn routes(&self) -> impl Iterator<Item = &Proxy> {
        self.routes.values()
    }

    /// Waits until every server serves, and its streams are current.
    pub async fn until_all_serve(&self) -> anyhow::Result<()> {
        for number in 0..BROKERS {
            self.until_serves(number).await?;
        }
        Ok(())
    }

    /// Waits until a server serves, and its streams are current.
    pub async fn until_serves(&self, number: usize) -> anyhow::Result<()> {
        let ready = async {
            while !self.serves(number).await {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(READY, ready)
            .await
            .with_context(|| format!("nats-{number} does not serve within {READY:?}"))
    }

    async fn serves(&self, number: usize) -> bool {
        let url = format!("http://127.0.0.1:{}/healthz", self.monitors[number]);
        let answer = self.http.get(url).timeout(Duration::from_secs(2)).send();
        answer
            .await
            .is_ok_and(|answer| answer.status().is_success())
    }

    /// The server that leads a stream, as any server sees it.
    pub async fn leader(&self, stream: &str) -> Option<usize> {
        for monitor in &self.monitors {
            let url = format!("http://127.0.0.1:{monitor}/jsz?streams=true");
            let answer = self.http.get(url).timeout(Duration::from_secs(2)).send();
            let Ok(answer) = answer.await else { continue };
            let Ok(text) = answer.text().await else {
                continue;
            };
            let Ok(all) = serde_json::from_str::<Value>(&text) else {
                continue;
            };
            let leader = all["account_details"]
                .as_array()
                .into_iter()
                .flatten()
                .flat_map(|account| account["stream_detail"].as_array().into_iter().flatten())
                .find(|found| found["name"] == stream)
                .and_then(|found| found["cluster"]["leader"].as_str());
            let number = leader.and_then(|name| name.strip_prefix("nats-")?.parse().ok());
            if number.is_some() {
                return number;
            }
        }
        None
    }

    /// Restarts a killed server and waits until it serves.
    pub async fn restart(&self, number: usize) -> anyhow::Result<()> {
        self.servers[number].start().await?;
        self.until_serves(number).await
    }

    /// Restarts a server in lame duck mode, as an operator would.
    pub async fn roll(&self, number: usize) -> anyhow::Result<()> {
        let server = &self.servers[number];
        let took = server.end(Signal::USR2, LAME_DUCK).await;
        self.timeline.note(&format!(
            "{} ended its lame duck mode: {took:?}",
            server.name()
        ));
        self.restart(number).await
    }

    /// Heals every link between servers, and has every server run.
    pub async fn heal(&self) -> anyhow::Result<()> {
        self.routes().for_each(Proxy::heal);
        for server in &self.servers {
            server.signal(Signal::CONT).await;
            server.start().await?;
        }
        self.until_all_serve().await
    }
}

fn free_ports() -> anyhow::Result<Vec<u16>> {
    let ports = (0..BROKERS).map(|_| Ok(free_port()?));
    ports.collect()
}

fn pairs() -> impl Iterator<Item = (usize, usize)> {
    let all = (0..BROKERS).flat_map(|from| (0..BROKERS).map(move |to| (from, to)));
    all.filter(|(from, to)| from != to)
}
