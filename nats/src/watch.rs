//! The watch of a connection: it notices a server that keeps the connection open and says nothing,
//! and a clock that differs from the broker's.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use async_nats::client::RequestErrorKind;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::{Connection, Topology, clock};

/// How often the watch asks the server something.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long a server may say nothing at all before the client goes to another one. With one
/// interval and the handshake elsewhere, this is less than the limit of a request.
const SILENT_MAX: Duration = Duration::from_secs(3);
/// How long an answer that has arrived may take to be read, in a process that was suspended.
const READ_GRACE: Duration = Duration::from_millis(100);
/// How often the clocks are compared, in questions.
const COMPARE_EVERY: u32 = 10;
/// The most that the clocks may differ without being told of.
const SKEW_MAX: SignedDuration = SignedDuration::from_secs(1);

/// By how many milliseconds this machine's clock is certainly ahead of the broker's. Negative if it
/// is behind, and 0 if the clocks may agree.
#[derive(Clone, Debug, Default)]
pub(crate) struct Skew(Arc<AtomicI64>);

/// By how much this machine's clock differs from the broker's: positive if it is ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockSkew(SignedDuration);

impl fmt::Display for ClockSkew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(skew) = self;
        let side = if skew.is_negative() {
            "behind"
        } else {
            "ahead of"
        };
        write!(
            f,
            "this machine's clock is {:#} {side} the broker's",
            skew.abs()
        )
    }
}

/// The part of a stream's state that tells the broker's time.
#[derive(Deserialize)]
struct Told {
    ts: Timestamp,
}

impl Connection {
    /// By how much this machine's clock differs from the broker's, if it is over a second.
    #[must_use]
    pub fn clock_skew(&self) -> Option<ClockSkew> {
        let skew = SignedDuration::from_millis(self.skew.0.load(Ordering::Relaxed));
        (skew.abs() > SKEW_MAX).then_some(ClockSkew(skew))
    }

    /// The broker's time, as far as this process knows it.
    pub(crate) fn broker_now(&self) -> Timestamp {
        let skew = SignedDuration::from_millis(self.skew.0.load(Ordering::Relaxed));
        clock::now().checked_sub(skew).unwrap_or(Timestamp::MIN)
    }

    /// Watches the connection, and what its user may do, for as long as it is polled.
    pub async fn watch(&self) -> Infallible {
        let (never, _) = tokio::join!(self.watch_server(), self.watch_permissions());
        never
    }

    async fn watch_server(&self) -> Infallible {
        let mut asked = 0_u32;
        loop {
            if asked.is_multiple_of(COMPARE_EVERY) {
                self.compare_clocks().await;
            }
            asked = asked.wrapping_add(1);
            if self.is_silent().await {
                tracing::warn!(
                    silent_for = ?SILENT_MAX,
                    "the NATS server says nothing; connecting to another one"
                );
                if let Err(error) = self.client.force_reconnect().await {
                    tracing::debug!(%error, "the client does not reconnect");
                }
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Asks the server something, and returns whether nothing at all came back in time. Any message
    /// counts, because a loaded server may be slow to answer.
    async fn is_silent(&self) -> bool {
        let (heard, asked) = (self.heard(), Instant::now());
        let log = Topology::log_stream(0);
        // A direct get of a message that no log has. A server that cannot answer it says so itself.
        let subject = format!("{}.DIRECT.GET.{log}.requests.0.none", self.api);
        let asking = self.client.request(subject.clone(), Bytes::new());
        let answer = tokio::time::timeout(SILENT_MAX, asking).await;
        let server = &self.metrics.server;
        server.answered(matches!(answer, Ok(Ok(_))));
        server.connected(self.connects());
        if let Ok(Ok(_)) = answer {
            server.took(asked.elapsed());
        }
        match answer {
            Ok(Err(error)) if error.kind() == RequestErrorKind::TimedOut => {}
            Ok(_) => return false,
            Err(_) => {}
        }
        tokio::time::sleep(READ_GRACE).await;
        // The server says nothing to a question that it denies.
        let is_denied = self.denied.publishing_to(&subject).is_some();
        self.is_connected() && self.heard() == heard && self.has_other_servers() && !is_denied
    }

    /// How many messages and connections there were.
    fn heard(&self) -> (u64, u64) {
        let statistics = self.client.statistics();
        let messages = statistics.in_messages.load(Ordering::Relaxed);
        (messages, self.connects())
    }

    fn has_other_servers(&self) -> bool {
        self.servers
            .max(self.client.server_info().connect_urls.len())
            > 1
    }

    async fn compare_clocks(&self) {
        let subject = format!("{}.STREAM.INFO.{}", self.api, Topology::log_stream(0));
        let sent = clock::now();
        let asking = self.client.request(subject, Bytes::new());
        let Ok(Ok(answer)) = tokio::time::timeout(SILENT_MAX, asking).await else {
            return;
        };
        let Ok(told) = serde_json::from_slice::<Told>(&answer.payload) else {
            return;
        };
        let skew = skew(sent, told.ts, clock::now());
        let was = self.clock_skew().is_some();
        let millis = i64::try_from(skew.as_millis()).unwrap_or(i64::MAX);
        self.skew.0.store(millis, Ordering::Relaxed);
        self.metrics.server.skew.set(skew.as_secs_f64());
        match self.clock_skew() {
            Some(skew) if !was => {
                tracing::warn!("{skew}");
            }
            None if was => tracing::info!("this machine's clock agrees with the broker's again"),
            _ => {}
        }
    }
}

/// Returns how far this clock is certainly ahead of the broker's. The broker said `told` after this
/// clock said `sent` and before it said `received`. The result is negative if this clock is behind,
/// and zero if the two may agree.
fn skew(sent: Timestamp, told: Timestamp, received: Timestamp) -> SignedDuration {
    if told < sent {
        sent.duration_since(told)
    } else if told > received {
        received.duration_since(told)
    } else {
        SignedDuration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_differs_only_by_more_than_the_answer_took() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let seconds = SignedDuration::from_secs;
        assert_eq!(skew(at(100), at(100), at(100)), seconds(0));
        assert_eq!(skew(at(100), at(104), at(105)), seconds(0));
        assert_eq!(skew(at(100), at(97), at(105)), seconds(3), "ahead");
        assert_eq!(skew(at(100), at(109), at(105)), seconds(-4), "behind");
    }

    #[test]
    fn a_difference_is_said_as_a_distance_and_a_direction() {
        let said = |seconds| ClockSkew(SignedDuration::from_secs(seconds)).to_string();
        assert_eq!(said(3), "this machine's clock is 3s ahead of the broker's");
        assert_eq!(said(-4), "this machine's clock is 4s behind the broker's");
    }
}
