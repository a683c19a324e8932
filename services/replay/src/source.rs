//! Where commits and payloads are read from: the log, or a bundle.

use std::path::Path;

use domain::request::{Payload, RequestId};
use jiff::Timestamp;
use nats::Commit;
use runtime::Settings;

use crate::Error;
use crate::bundle::Bundle;
use crate::log::{Live, absent};

/// Where to read from.
pub enum Source {
    Live(Box<Live>),
    Bundle(Box<Bundle>),
}

impl Source {
    /// The bundle, where one is named; else the log.
    pub async fn open(bundle: Option<&Path>, settings: &Settings) -> Result<Self, Error> {
        match bundle {
            Some(path) => Ok(Self::Bundle(Box::new(Bundle::read(path)?))),
            None => Ok(Self::Live(Box::new(Live::open(settings).await?))),
        }
    }

    /// The log, where it is what is read.
    pub fn live(&self) -> Option<&Live> {
        match self {
            Self::Live(live) => Some(live),
            Self::Bundle(_) => None,
        }
    }

    /// Whether the text of its documents is masked.
    pub fn is_redacted(&self) -> bool {
        matches!(self, Self::Bundle(bundle) if bundle.header.redacted)
    }

    /// The commits of a request; an error where there are none.
    pub async fn commits(&self, id: RequestId) -> Result<Vec<Commit>, Error> {
        match self {
            Self::Live(live) => live.commits(id).await,
            Self::Bundle(bundle) => match bundle.commits_of(id) {
                commits if commits.is_empty() => Err(absent(id)),
                commits => Ok(commits),
            },
        }
    }

    /// Calls `take` with every commit since a time, in order; `take` says whether to go on.
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
