//! The source of commits and payloads: the log, or a bundle.

use domain::request::{Payload, RequestId};
use jiff::Timestamp;
use nats::Commit;

use crate::Error;
use crate::bundle::Bundle;
use crate::live::{Live, absent};

/// The source to read from.
pub enum Source {
    /// The log.
    Live(Box<Live>),
    /// A bundle.
    Bundle(Box<Bundle>),
}

impl Source {
    /// The log, if it is the source.
    #[must_use]
    pub fn live(&self) -> Option<&Live> {
        match self {
            Self::Live(live) => Some(live),
            Self::Bundle(_) => None,
        }
    }

    /// Whether the documents of the source are masked.
    #[must_use]
    pub fn is_redacted(&self) -> bool {
        matches!(self, Self::Bundle(bundle) if bundle.header.redacted)
    }

    /// The commits of a request; an error if it has none.
    pub async fn commits(&self, id: RequestId) -> Result<Vec<Commit>, Error> {
        match self {
            Self::Live(live) => live.commits(id).await,
            Self::Bundle(bundle) => match bundle.commits_of(id) {
                commits if commits.is_empty() => Err(absent(id)),
                commits => Ok(commits),
            },
        }
    }

    /// Calls `take` with every commit since a time, in order. `take` returns whether to continue.
    pub async fn each(
        &self,
        since: Option<Timestamp>,
        mut take: impl FnMut(Commit) -> bool,
    ) -> Result<(), Error> {
        match self {
            Self::Live(live) => live.each(since, take).await,
            Self::Bundle(bundle) => {
                let recent = |commit: &&Commit| since.is_none_or(|since| commit.at >= since);
                for commit in bundle.commits.iter().filter(recent) {
                    if !take(commit.clone()) {
                        break;
                    }
                }
                Ok(())
            }
        }
    }

    /// The bytes of a payload, checked against its hash.
    pub async fn payload(&self, payload: &Payload) -> Result<Vec<u8>, Error> {
        match (self, payload) {
            (_, Payload::Inline(text)) => Ok(text.as_bytes().to_vec()),
            (Self::Live(live), payload) => Ok(live.payloads.fetch(payload).await?),
            (Self::Bundle(bundle), Payload::Stored { sha256, .. }) => bundle.payload(sha256),
        }
    }
}
