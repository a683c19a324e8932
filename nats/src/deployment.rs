//! The facts of a deployment: what every role must share. They are one message beside the log,
//! written with the sequence that it replaces, so that two writers agree.

use std::collections::BTreeMap;

use async_nats::HeaderMap;
use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use futures::TryStreamExt as _;

use crate::declare::{create_stream, is_missing};
use crate::error::Refusal;
use crate::topology::{DEPLOYMENT, TASKS};
use crate::{Connection, Error, Topology, account, subject};

/// The stored facts of a deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredFacts {
    /// The facts by name; none where nobody has stored any.
    pub facts: BTreeMap<String, String>,
    /// The sequence of their message; 0 where there is none.
    pub sequence: u64,
}

impl Topology {
    /// Creates the stream of the deployment's facts where it is missing, so that they can be stored
    /// before everything that follows from them. Like [`Topology::declare`], it checks the account
    /// first.
    pub async fn declare_facts(&self, connection: &Connection) -> Result<(), Error> {
        let mut streams = self.streams();
        streams.extend(self.queues());
        let mut payloads = self.payloads();
        account::suit(connection, self, &mut streams, Some(&mut payloads)).await?;
        for config in streams.into_iter().filter(|s| s.name == DEPLOYMENT) {
            create_stream(connection, config).await?;
        }
        Ok(())
    }
}

impl Connection {
    /// Reads the facts from the leader of their stream, so that they are the latest.
    pub async fn facts(&self) -> Result<StoredFacts, Error> {
        let stream = match self.jetstream.get_stream(DEPLOYMENT).await {
            Ok(stream) => stream,
            Err(error) if is_missing(&error) => return Ok(StoredFacts::default()),
            Err(error) => return Err(self.failed(format_args!("STREAM.INFO.{DEPLOYMENT}"), error)),
        };
        let last = stream.get_last_raw_message_by_subject(subject::DEPLOYMENT);
        match last.await {
            Ok(message) => Ok(StoredFacts {
                facts: serde_json::from_slice(&message.payload)
                    .map_err(|error| Error::corrupt("the facts of the deployment", error))?,
                sequence: message.sequence,
            }),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
                Ok(StoredFacts::default())
            }
            Err(error) => Err(self.failed(format_args!("STREAM.MSG.GET.{DEPLOYMENT}"), error)),
        }
    }

    /// Stores facts in the place of those at sequence `replaced`. Where others came first, the
    /// error is [`Error::Conflict`]: the caller reads again.
    pub async fn store_facts(
        &self,
        facts: &BTreeMap<String, String>,
        replaced: u64,
    ) -> Result<u64, Error> {
        let body = serde_json::to_vec(facts)
            .map_err(|error| Error::corrupt("the facts of the deployment", error))?;
        let mut headers = HeaderMap::new();
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, replaced.to_string());
        let subject = subject::DEPLOYMENT.to_owned();
        match self.publish(subject, headers, body.into()).await {
            Ok(stored) => Ok(stored.sequence),
            Err(Refusal::WrongSequence | Refusal::SequenceUnsure) => Err(Error::Conflict),
            Err(refusal) => Err(Error::of_refusal(refusal)),
        }
    }

    /// Removes the facts at a sequence, unless others have replaced them.
    pub async fn remove_facts(&self, sequence: u64) -> Result<(), Error> {
        let stream = self.described(DEPLOYMENT).await?;
        match stream.delete_message(sequence).await {
            Ok(_) => Ok(()),
            Err(_) if self.facts().await?.sequence != sequence => Ok(()),
            Err(error) => Err(self.failed(format_args!("STREAM.MSG.DELETE.{DEPLOYMENT}"), error)),
        }
    }

    /// How many tasks of a type are in the work queue, waiting or running.
    pub async fn tasks_of(&self, task_type: &str) -> Result<usize, Error> {
        let stream = match self.jetstream.get_stream(TASKS).await {
            Ok(stream) => stream,
            Err(error) if is_missing(&error) => return Ok(0),
            Err(error) => return Err(self.failed(format_args!("STREAM.INFO.{TASKS}"), error)),
        };
        let subjects = stream.info_with_subjects(format!("tasks.{task_type}.>"));
        let subjects = subjects.await.map_err(Error::unavailable)?;
        let counts = subjects.map_ok(|(_, count)| count);
        let counts: Vec<usize> = counts.try_collect().await.map_err(Error::unavailable)?;
        Ok(counts.iter().sum())
    }

    /// Whether there is a log, with or without commits.
    pub async fn has_log(&self) -> Result<bool, Error> {
        match self.extent(0).await {
            Ok(_) => Ok(true),
            Err(Error::Missing(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
