//! Tasks that will not be tried again and messages that cannot be read, with their history.

mod aside;
mod earlier_life;
mod letter;
mod page;

use async_nats::HeaderMap;
use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use domain::access::Tenant;
use domain::request::{Attempt, Payload, Run, Sequence, TaskId};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::error::Refusal;
use crate::tenant::{self, TENANT};
use crate::topology::DEAD_LETTERS;
use crate::{ByWhom, Connection, Delivery, Error, Operation, Payloads, packed, subject};
pub(crate) use aside::Unsent;
pub use letter::{DeadLetter, Kept, Letter, Summary, Unread};
pub(crate) use page::id_of;
pub use page::{Filter, Page};

/// The most bytes of a letter, compressed: the broker takes no message over 1 MiB.
const LETTER_MAX_BYTES: usize = 900 * 1024;

/// The name of the operation that discards a letter.
pub(crate) const DISCARDED: &str = "dead-letter-discarded";
/// The name of the operation that puts back a message from its dead letter.
pub(crate) const PUT_BACK: &str = "dead-letter-put-back";
/// The detail of such a record that names the bulk operation.
pub(crate) const OF_OPERATION: &str = "operation";

/// The dead letters.
#[derive(Clone)]
pub struct DeadLetters {
    connection: Connection,
}

impl DeadLetters {
    /// Accesses the dead letters over this connection.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// The sequence of the last letter that was stored.
    pub async fn last_sequence(&self) -> Result<u64, Error> {
        let stream = self.connection.described(DEAD_LETTERS).await?;
        Ok(stream.cached_info().state.last_sequence)
    }

    async fn stream(&self) -> Result<Stream<()>, Error> {
        let stream = self.connection.jetstream.get_stream_no_info(DEAD_LETTERS);
        stream.await.map_err(Error::unavailable)
    }

    /// Stores the dead letter of a task, and waits until the broker has it. A task has one letter
    /// for each run. A letter that is already there stands and is returned, unless it is from an
    /// earlier life of the request's id.
    pub async fn keep(&self, letter: DeadLetter) -> Result<DeadLetter, Error> {
        let subject = subject::dead_letter(&letter.task_type, letter.task, letter.run);
        let letter = self.inlined(letter).await;
        match self.store(&subject, &letter, 0).await {
            Ok(()) => Ok(letter),
            Err(Error::Conflict) => Box::pin(self.keep_over(&subject, letter)).await,
            Err(error) => Err(error),
        }
    }

    async fn keep_over(&self, subject: &str, letter: DeadLetter) -> Result<DeadLetter, Error> {
        let Some(found) = self.last(subject).await? else {
            return Err(Error::Conflict);
        };
        if self.is_of_earlier_life(letter.task.request, &found).await? {
            self.store(subject, &letter, found.sequence).await?;
            return Ok(letter);
        }
        match found.letter {
            Letter::GivenUp(kept) => Ok(*kept),
            Letter::Unread(_) => Err(Error::Conflict),
        }
    }

    /// Finds the dead letter of a task in a run.
    pub async fn find(
        &self,
        task_type: &str,
        task: TaskId,
        run: Run,
    ) -> Result<Option<DeadLetter>, Error> {
        let subject = subject::dead_letter(task_type, task, run);
        let Some(kept) = self.last(&subject).await? else {
            return Ok(None);
        };
        if self.is_of_earlier_life(task.request, &kept).await? {
            return Ok(None);
        }
        Ok(match kept.letter {
            Letter::GivenUp(letter) => Some(*letter),
            Letter::Unread(_) => None,
        })
    }

    /// Takes back the letter of a task that was given up too early.
    pub async fn withdraw(&self, id: &str) -> Result<bool, Error> {
        self.take_away(id).await
    }

    /// Writes a task's whole history into its dead letter: the attempts that are in the log, and
    /// the commit that gave the task up. A letter that was discarded meanwhile stays discarded.
    pub async fn complete(
        &self,
        id: &str,
        attempts: Vec<Attempt>,
        sequence: Sequence,
    ) -> Result<(), Error> {
        let Some(kept) = self.get(id).await? else {
            return Ok(());
        };
        let Letter::GivenUp(mut letter) = kept.letter else {
            return Ok(());
        };
        if letter.sequence.is_some() {
            return Ok(());
        }
        letter.attempts = attempts;
        letter.sequence = Some(sequence);
        let subject = subject::dead_letter(&letter.task_type, letter.task, letter.run);
        match self.store(&subject, &letter, kept.sequence).await {
            // The letter was completed or discarded meanwhile.
            Err(Error::Conflict) => Ok(()),
            stored => stored,
        }
    }

    /// Gets the dead letter with this id, where there is one.
    pub async fn get(&self, id: &str) -> Result<Option<Kept>, Error> {
        match page::subject_of(id) {
            Some(subject) => self.last(&subject).await,
            None => Ok(None),
        }
    }

    /// Discards a dead letter, and returns whether it was there. The operation is on record before
    /// the letter is gone, so a letter that is missing without a record was lost.
    pub async fn discard(&self, id: &str, whom: &ByWhom<'_>) -> Result<bool, Error> {
        if self.get(id).await?.is_none() {
            return Ok(false);
        }
        self.record(DISCARDED, id, whom).await?;
        self.take_away(id).await
    }

    async fn record(&self, done: &str, id: &str, whom: &ByWhom<'_>) -> Result<(), Error> {
        let operation = Operation {
            name: done.to_owned(),
            to: Some(id.to_owned()),
            by: whom.by.to_owned(),
            on_behalf_of: whom.on_behalf_of.map(str::to_owned),
            reason: whom.reason.to_owned(),
            at: Timestamp::now(),
            details: whom
                .operation
                .map_or(Value::Null, |operation| json!({ OF_OPERATION: operation })),
        };
        self.connection.record(&operation).await.map(|_| ())
    }

    async fn take_away(&self, id: &str) -> Result<bool, Error> {
        let Some(subject) = page::subject_of(id) else {
            return Ok(false);
        };
        let purged = self.stream().await?.purge().filter(subject).await;
        let call = format_args!("STREAM.PURGE.{DEAD_LETTERS}");
        let purged = purged.map_err(|error| self.connection.failed(call, error))?;
        Ok(purged.purged > 0)
    }

    /// Puts a message that was set aside back to where it was, in its original form, and discards
    /// its letter. Returns whether that is possible. A commit is still in the log, and must not be
    /// there twice. A message that was cut has lost its end.
    pub async fn put_back(
        &self,
        id: &str,
        unread: &Unread,
        whom: &ByWhom<'_>,
    ) -> Result<bool, Error> {
        if !unread.can_be_put_back() {
            return Ok(false);
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &unread.headers {
            // The broker would take its own headers for instructions.
            if !name.starts_with("Nats-") {
                headers.insert(name.as_str(), value.as_str());
            }
        }
        let body = unread.body.clone().into();
        self.publish(&unread.subject, headers, body, None).await?;
        self.record(PUT_BACK, id, whom).await?;
        self.take_away(id).await?;
        Ok(true)
    }

    /// Sets aside a message that cannot be read: as it is, with its subject and the reason in its
    /// headers. Waits until the broker has it. The same message set aside twice is stored once.
    pub async fn set_aside(&self, delivery: &Delivery, reason: &Error) -> Result<String, Error> {
        self.set_aside_of(&delivery.tenant(), delivery, reason)
            .await
    }

    /// As `set_aside`, for a tenant that the message itself does not name.
    pub async fn set_aside_of(
        &self,
        tenant: &Tenant,
        delivery: &Delivery,
        reason: &Error,
    ) -> Result<String, Error> {
        let sequence = delivery.place()?.sequence;
        let subject = subject::unreadable(delivery.subject(), delivery.request(), sequence);
        let message = delivery.message();
        let mut own = message.headers.clone().unwrap_or_default();
        tenant::insert(&mut own, TENANT, tenant);
        let (headers, body) = aside::letter(
            delivery.subject(),
            Some(&own),
            &reason.to_string(),
            &message.payload,
        );
        self.publish(&subject, headers, body, None).await?;
        Ok(page::id_of(&subject).to_owned())
    }

    /// Stores a message that the broker refuses as a dead letter.
    pub(crate) async fn keep_unsent(&self, unsent: Unsent, reason: &str) -> Result<(), Error> {
        let subject = subject::unreadable(&unsent.of, None, unsent.sequence.get());
        let own = Some(&unsent.headers);
        let (headers, body) = aside::letter(&unsent.subject, own, reason, &unsent.body);
        self.publish(&subject, headers, body, None).await
    }

    /// Puts the task document into the letter, where it fits, because the object store forgets the
    /// document earlier.
    async fn inlined(&self, letter: DeadLetter) -> DeadLetter {
        if letter.document.inline().is_some() {
            return letter;
        }
        let payloads = Payloads::new(self.connection.clone());
        let Ok(bytes) = payloads.fetch(&letter.document).await else {
            return letter;
        };
        let Ok(text) = String::from_utf8(bytes) else {
            return letter;
        };
        let inlined = DeadLetter {
            document: Payload::from(text.as_str()),
            ..letter.clone()
        };
        let fits = encode(&inlined).is_ok_and(|(_, body)| body.len() <= LETTER_MAX_BYTES);
        if fits { inlined } else { letter }
    }

    async fn store(&self, subject: &str, letter: &DeadLetter, over: u64) -> Result<(), Error> {
        let (headers, body) = match encode(letter) {
            Err(Error::TooLarge { .. }) => encode(&Box::pin(self.fitted(letter)).await?)?,
            encoded => encoded?,
        };
        self.publish(subject, headers, body, Some(over)).await
    }

    /// Makes a letter that is too large fit into a message. The letter keeps only its last
    /// attempts. Its document goes to the object store where the letter is still too large.
    async fn fitted(&self, letter: &DeadLetter) -> Result<DeadLetter, Error> {
        let mut fitted = letter.clone().with_last_attempts();
        if encode(&fitted).is_err()
            && let Payload::Inline(text) = &letter.document
        {
            let payloads = Payloads::new(self.connection.clone());
            let bytes = text.as_bytes().to_vec().into();
            fitted.document = payloads.place_stored(bytes).await?;
        }
        Ok(fitted)
    }

    async fn publish(
        &self,
        subject: &str,
        mut headers: HeaderMap,
        body: bytes::Bytes,
        over: Option<u64>,
    ) -> Result<(), Error> {
        if let Some(over) = over {
            headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, over.to_string());
        }
        let published = self.connection.publish(subject.to_owned(), headers, body);
        match published.await {
            Ok(_) => Ok(()),
            Err(Refusal::WrongSequence | Refusal::SequenceUnsure) => Err(Error::Conflict),
            Err(refused) => Err(Error::of_refusal(refused)),
        }
    }

    /// Reads from the stream's leader, which has a letter that was just stored.
    async fn last(&self, subject: &str) -> Result<Option<Kept>, Error> {
        let stream = self.stream().await?;
        match stream.get_last_raw_message_by_subject(subject).await {
            Ok(message) => {
                let place = letter::Place {
                    subject: &message.subject,
                    sequence: message.sequence,
                    at: letter::time(message.time.unix_timestamp_nanos())?,
                };
                letter::read(&place, &message.headers, &message.payload).map(Some)
            }
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => {
                let call = format_args!("STREAM.MSG.GET.{DEAD_LETTERS}");
                Err(self.connection.failed(call, error))
            }
        }
    }
}

pub(crate) fn encode(letter: &DeadLetter) -> Result<(HeaderMap, bytes::Bytes), Error> {
    const WHAT: &str = "a new dead letter";
    let json = serde_json::to_vec(letter).map_err(|error| Error::corrupt(WHAT, error))?;
    let mut headers = HeaderMap::new();
    let body = packed::pack(WHAT, json, &mut headers)?;
    Ok((headers, body))
}
