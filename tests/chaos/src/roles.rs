//! Two processes of every role. Each reaches each broker over a link of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use harness::Proxy;
use rustix::process::Signal;
use servers::free_port;

use crate::brokers::{BROKERS, Brokers};
use crate::http;
use crate::process::{Process, Spec};
use crate::timeline::Timeline;

/// The roles, in the order of a rolling restart.
pub const ROLES: [&str; 5] = ["orchestrator", "projector", "worker", "webhooks", "api"];
/// The instances of each role.
pub const SIDES: [&str; 2] = ["a", "b"];
/// How long a role may take until it is ready where the servers are well.
const READY: Duration = Duration::from_mins(1);
/// How long a role may take to end after SIGTERM: its grace, and what its drain takes.
const END: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(50);

pub struct Role {
    pub process: Process,
    /// The links to the brokers.
    pub links: Vec<Proxy>,
    http: u16,
    admin: u16,
}

pub struct Roles {
    /// The first of each role, then the second of each.
    pub all: Vec<Role>,
    client: reqwest::Client,
    timeline: Timeline,
}

impl Roles {
    /// Starts every role. The first API creates what all of them need.
    pub async fn start(
        binary: &Path,
        settings: &BTreeMap<String, String>,
        brokers: &Brokers,
        folder: &Path,
        timeline: &Timeline,
    ) -> anyhow::Result<Self> {
        let mut roles = Self {
            all: Vec::new(),
            client: http::client()?,
            timeline: timeline.clone(),
        };
        for side in SIDES {
            for role in ROLES {
                let role = Role::new(role, side, binary, settings, brokers, folder, timeline);
                roles.all.push(role.await?);
            }
        }
        let first = ROLES.len() - 1;
        roles.start_role(first).await?;
        for number in 0..roles.all.len() {
            roles.start_role(number).await?;
        }
        Ok(roles)
    }

    async fn start_role(&self, number: usize) -> anyhow::Result<()> {
        self.all[number].process.start().await?;
        self.until_ready(number).await
    }

    /// The numbers of both instances of a role.
    pub fn both(role: usize) -> [usize; 2] {
        [role, role + ROLES.len()]
    }

    /// The addresses of the APIs.
    pub fn apis(&self) -> Vec<String> {
        let apis = Self::both(ROLES.len() - 1);
        let apis = apis.map(|number| format!("http://127.0.0.1:{}", self.all[number].http));
        apis.to_vec()
    }

    async fn until_ready(&self, number: usize) -> anyhow::Result<()> {
        let role = &self.all[number];
        let url = format!("http://127.0.0.1:{}/readyz", role.admin);
        let ready = async {
            loop {
                let call = self.client.get(&url).timeout(Duration::from_secs(3));
                if call.send().await.is_ok_and(|a| a.status().is_success()) {
                    return;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(READY, ready)
            .await
            .with_context(|| format!("{} is not ready within {READY:?}", role.process.name()))
    }

    /// Restarts a role in order, as an operator would, and waits until it is ready.
    pub async fn roll(&self, number: usize) -> anyhow::Result<()> {
        let process = &self.all[number].process;
        let name = process.name();
        let took = process.end(Signal::TERM, END).await;
        if took.is_none() {
            self.timeline
                .note(&format!("{name} DID NOT END within {END:?} of SIGTERM"));
        }
        let begun = Instant::now();
        self.start_role(number).await?;
        let back = begun.elapsed();
        self.timeline.note(&format!(
            "{name} restarted: ended in {took:?}, ready in {back:?}"
        ));
        Ok(())
    }

    /// Heals every link, and has every role run.
    pub async fn heal(&self) -> anyhow::Result<()> {
        for role in &self.all {
            role.links.iter().for_each(Proxy::heal);
            role.process.signal(Signal::CONT).await;
            role.process.start().await?;
        }
        Ok(())
    }
}

impl Role {
    async fn new(
        role: &str,
        side: &str,
        binary: &Path,
        settings: &BTreeMap<String, String>,
        brokers: &Brokers,
        folder: &Path,
        timeline: &Timeline,
    ) -> anyhow::Result<Self> {
        let mut links = Vec::new();
        for broker in 0..BROKERS {
            links.push(Proxy::start(&brokers.address(broker)).await);
        }
        let urls: Vec<String> = links
            .iter()
            .map(|link| format!("nats://{}", link.address()))
            .collect();
        let (http, admin) = (free_port()?, free_port()?);
        let name = format!("{role}-{side}");
        let mut settings = settings.clone();
        for (setting, value) in [
            ("NATS_URL", urls.join(",")),
            ("HTTP_PORT", http.to_string()),
            ("ADMIN_PORT", admin.to_string()),
            ("WORKER_NAME", name.clone()),
            ("NO_COLOR", "1".into()),
        ] {
            settings.insert(setting.to_owned(), value);
        }
        let spec = Spec {
            name,
            program: binary.to_owned(),
            args: vec![role.to_owned()],
            settings,
        };
        Ok(Self {
            process: Process::new(spec, folder, timeline),
            links,
            http,
            admin,
        })
    }
}
