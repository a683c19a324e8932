use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::jetstream::context::{ContextBuilder, PublishError, PublishErrorKind};
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::{self, message::PublishMessage};
use async_nats::{Client, ConnectOptions, Event, HeaderMap, ServerAddr};
use bytes::Bytes;
use secrecy::{ExposeSecret as _, SecretString};

use crate::access::Access;
use crate::denied::Denied;
use crate::error::{Refusal, refusal};
use crate::permissions::Needs;
use crate::shown_url::shown_urls;
use crate::unanswered::Unanswered;
use crate::watch::Skew;
use crate::{Error, account, size};

/// The oldest server that has everything the topology needs: message schedules, atomic
/// and fast batches, and pinned consumers that work.
pub const MINIMUM_SERVER: (i64, i64, i64) = (2, 14, 0);

/// How long one server may take to connect. The client then tries the next one, so a server that
/// says nothing keeps it from the others for this long at most.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a waiting caller checks whether a lost connection is back, or was replaced.
const CONNECTED_LOOK: Duration = Duration::from_millis(20);
/// How long the client may take to send buffered messages.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// The address of the broker, and the limits of the connection.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the broker is: one or more URLs, separated by commas. They may have credentials.
    pub url: SecretString,
    /// How the client proves who it is, and how it knows the broker.
    pub access: Access,
    /// The name of the connection, for the broker's own listings.
    pub name: String,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long the broker may take to answer.
    pub request_timeout: Duration,
    /// How often the client pings the broker. After three pings without an answer the client
    /// considers the connection lost.
    pub ping_interval: Duration,
    /// How many publishes may wait for their acks.
    pub max_in_flight: usize,
    /// What this process may create at the broker.
    pub creates: Creates,
}

/// What a process creates at the broker where it is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Creates {
    /// Every stream and consumer.
    #[default]
    All,
    /// The queues, which are in memory, with their consumers. It checks all else.
    Queues,
    /// Nothing. It checks that everything is there.
    Nothing,
}

impl Options {
    /// The defaults for a role that connects to `url` under `name`.
    #[must_use]
    pub fn new(url: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            url: url.into().into(),
            access: Access::default(),
            name: name.into(),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(5),
            max_in_flight: 10_000,
            creates: Creates::All,
        }
    }
}

/// A connection to a broker that can serve Fanfold.
#[derive(Clone, Debug)]
pub struct Connection {
    pub(crate) client: Client,
    pub(crate) jetstream: jetstream::Context,
    /// The prefix of the subjects of JetStream's API.
    pub(crate) api: String,
    /// How long the broker may take to answer.
    pub(crate) request_timeout: Duration,
    pub(crate) denied: Denied,
    pub(crate) needs: Needs,
    pub(crate) creates: Creates,
    /// The domain of JetStream that the server of this connection has, where no domain is named.
    pub(crate) unnamed_domain: Option<String>,
    /// How many servers were named.
    pub(crate) servers: usize,
    pub(crate) skew: Skew,
    pub(crate) unanswered: Unanswered,
    /// The most unacked messages that a consumer may have, where the account has a limit.
    ack_pending: Option<i64>,
}

impl Connection {
    /// Connects, and checks that the server is new enough and has JetStream.
    pub async fn open(options: &Options) -> Result<Self, Error> {
        let urls = options.url.expose_secret();
        let unreachable = |reason: String| {
            Error::Unavailable(format!(
                "no server answers at {} ({reason}): start one, or set NATS_URL",
                shown_urls(urls)
            ))
        };
        let all = || urls.split(',').map(str::trim);
        let wrong = |error: std::io::Error| unreachable(error.to_string());
        let servers = parsed(all().map(str::to_owned)).map_err(wrong)?;
        // The client logs its servers, so their URLs must not have the credentials any more.
        let bare = parsed(all().map(without_login)).map_err(wrong)?;
        let named = servers.len();
        let denied = Denied::default();
        let said = denied.clone();
        let connect = ConnectOptions::new()
            .name(&options.name)
            .connection_timeout(options.connect_timeout.min(HANDSHAKE_TIMEOUT))
            .request_timeout(Some(options.request_timeout))
            .ping_interval(options.ping_interval)
            .subscription_capacity(65_536)
            .event_callback(move |event| {
                let said = said.clone();
                async move {
                    if let Event::ServerError(error) = &event {
                        said.note(&error.to_string());
                    }
                    log_event(&event);
                }
            });
        let connecting = options.access.apply(connect, &servers)?.connect(bare);
        let client = tokio::time::timeout(options.connect_timeout, connecting)
            .await
            .map_err(|_| unreachable(format!("waited {:?}", options.connect_timeout)))?
            .map_err(|error| unreachable(error.to_string()))?;
        check_version(&client, urls)?;
        let api = options.access.api();
        let jetstream = ContextBuilder::new()
            .api_prefix(&api)
            .timeout(options.request_timeout)
            .ack_timeout(options.request_timeout)
            .max_ack_inflight(options.max_in_flight)
            .build(client.clone());
        let account = jetstream.query_account().await.map_err(|error| {
            if let Some(said) = denied.lately(options.request_timeout * 2).pop() {
                return Error::Denied(said);
            }
            Error::Unsuitable(format!(
                "the NATS server at {} has no JetStream at {api} ({error}): start it with -js, or \
                 set NATS_DOMAIN to the domain of a server that has it",
                shown_urls(urls)
            ))
        })?;
        Ok(Self {
            client,
            jetstream,
            api,
            request_timeout: options.request_timeout,
            denied,
            needs: Needs::default(),
            creates: options.creates,
            unnamed_domain: account
                .domain
                .clone()
                .filter(|domain| options.access.domain.is_none() && !domain.is_empty()),
            servers: named,
            skew: Skew::default(),
            unanswered: Unanswered::default(),
            ack_pending: account::ack_pending(&account),
        })
    }

    /// The largest message that this broker takes, headers included, in bytes.
    #[must_use]
    pub fn max_payload(&self) -> usize {
        self.client.max_payload()
    }

    /// What this process creates where it is missing.
    #[must_use]
    pub fn creates(&self) -> Creates {
        self.creates
    }

    /// How many unacked messages a consumer gets: the wanted number, or the account's limit where
    /// that is lower.
    pub(crate) fn ack_pending(&self, wanted: i64) -> i64 {
        self.ack_pending.map_or(wanted, |most| wanted.min(most))
    }

    /// Why the broker did not take a publish to this subject.
    pub(crate) fn refusal(&self, subject: &str, error: &PublishError) -> Refusal {
        let silent = error.kind() == PublishErrorKind::TimedOut;
        match silent.then(|| self.denied.publishing_to(subject)).flatten() {
            Some(said) => Refusal::Denied(said),
            None => refusal(error),
        }
    }

    /// How often the client has connected.
    pub(crate) fn connects(&self) -> u64 {
        self.client.statistics().connects.load(Ordering::Relaxed)
    }

    /// Waits until the client has connected again since it had connected this often.
    pub(crate) async fn renewed(&self, connects: u64) {
        while self.connects() == connects {
            tokio::time::sleep(CONNECTED_LOOK).await;
        }
    }

    /// Whether a publish goes out now, rather than into the client's reconnect buffer.
    pub(crate) fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    /// Waits until there is a connection, for as long as the broker may take to answer. Without a
    /// connection, the client would keep a message and send it later, after its publisher was told
    /// that the publish failed. (Only pings notice a silent loss, such as that of a network. A
    /// message that is on its way at that time may or may not be stored.)
    pub(crate) async fn connected(&self) -> Result<(), Error> {
        let connecting = async {
            while !self.is_connected() {
                tokio::time::sleep(CONNECTED_LOOK).await;
            }
        };
        let connected = tokio::time::timeout(self.request_timeout, connecting).await;
        connected.map_err(|_| Error::Unavailable("not connected".into()))
    }

    /// Publishes a message to a stream once there is a connection, and waits until it is stored.
    pub(crate) async fn publish(
        &self,
        subject: String,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<PublishAck, Refusal> {
        if let Some(bytes) = size::beyond(&headers, &body) {
            let limit = size::BODY_MAX_BYTES;
            return Err(Refusal::TooLarge { bytes, limit });
        }
        if self.connected().await.is_err() {
            return Err(Refusal::NotSent);
        }
        let message = PublishMessage::build().headers(headers).payload(body);
        let published = async {
            let ack = self.jetstream.send_publish(subject.clone(), message);
            ack.await?.await
        };
        published
            .await
            .map_err(|error| self.refusal(&subject, &error))
    }

    /// Whether the broker answers now.
    pub async fn ping(&self) -> Result<(), Error> {
        if !self.is_connected() {
            return Err(Error::Unavailable("not connected".into()));
        }
        let account = self.jetstream.query_account().await;
        account
            .map(|_| ())
            .map_err(|error| self.failed("INFO", error))
    }

    /// Sends the messages that are still buffered, such as the last acks. The broker redelivers a
    /// message whose ack cannot be sent soon.
    pub async fn flush(&self) {
        let flushed = tokio::time::timeout(FLUSH_TIMEOUT, self.client.flush()).await;
        tracing::debug!(?flushed, "flushed");
    }
}

fn check_version(client: &Client, url: &str) -> Result<(), Error> {
    let (major, minor, patch) = MINIMUM_SERVER;
    if client.is_server_compatible(major, minor, patch) {
        return Ok(());
    }
    Err(Error::Unsuitable(format!(
        "the NATS server at {} is {}, but Fanfold needs {major}.{minor} or newer: upgrade it, or \
         unset NATS_URL to have `fanfold up` start its own",
        shown_urls(url),
        client.server_info().version
    )))
}

/// Logs an event of the connection. Denied publishes and lost connections are not errors of a call,
/// so without a log line they would stay unseen.
fn log_event(event: &Event) {
    match event {
        Event::Connected => tracing::info!("connected to NATS"),
        Event::Disconnected => tracing::warn!("disconnected from NATS; reconnecting"),
        Event::SlowConsumer(subscription) => {
            tracing::error!(
                subscription,
                "this process reads a subscription slower than NATS delivers"
            );
        }
        Event::ServerError(error) => tracing::error!(%error, "NATS reported an error"),
        Event::ClientError(error) => tracing::warn!(%error, "NATS client"),
        other => tracing::info!(event = %other, "NATS"),
    }
}

fn parsed(urls: impl Iterator<Item = String>) -> Result<Vec<ServerAddr>, std::io::Error> {
    urls.map(|url| url.parse()).collect()
}

/// A URL without its user and password.
fn without_login(url: &str) -> String {
    let address = url.find("://").map_or(0, |scheme| scheme + 3);
    match url.rfind('@') {
        Some(at) if at >= address => format!("{}{}", &url[..address], &url[at + 1..]),
        _ => url.to_owned(),
    }
}
