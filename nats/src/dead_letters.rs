//! Tasks that will not be tried again, with their history.

use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::message::PublishMessage;
use domain::request::{Attempt, Payload, TaskId};
use serde::{Deserialize, Serialize};

use crate::{Connection, Delivery, Error, subject};

/// A task given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// The task.
    pub task: TaskId,
    /// Its type.
    pub task_type: String,
    /// The task document.
    pub document: Payload,
    /// The last attempt.
    pub last: Attempt,
}

/// The dead letters.
#[derive(Clone)]
pub struct DeadLetters {
    connection: Connection,
}

impl DeadLetters {
    /// On this connection.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// Sets a message aside that cannot be read: as it is, with its subject and the reason in
    /// its headers, under `dead-letters.unreadable`. Waits until the broker has it.
    pub async fn set_aside(&self, delivery: &Delivery, reason: &Error) -> Result<(), Error> {
        let (sequence, _, _) = delivery.place()?;
        let mut headers = HeaderMap::new();
        headers.insert("Fanfold-Subject", delivery.subject());
        headers.insert("Fanfold-Reason", one_line(&reason.to_string()));
        headers.insert(
            NATS_MESSAGE_ID,
            format!("unreadable:{}:{sequence}", delivery.subject()),
        );
        let message = PublishMessage::build()
            .headers(headers)
            .payload(delivery.body().to_vec().into());
        let sent = self
            .connection
            .jetstream
            .send_publish(subject::unreadable(delivery.subject()), message)
            .await
            .map_err(Error::unavailable)?;
        sent.await.map(|_| ()).map_err(Error::unavailable)
    }

    /// The id of the dead letter of a task's attempt.
    #[must_use]
    pub fn id(task: TaskId, attempt: u32) -> String {
        format!("{task}.{attempt}")
    }

    /// Keeps a dead letter, and waits until the broker has it. The same one twice is kept once.
    pub async fn keep(&self, letter: &DeadLetter) -> Result<String, Error> {
        let id = Self::id(letter.task, letter.last.attempt);
        let body = serde_json::to_vec(letter)
            .map_err(|error| Error::corrupt("a new dead letter", error))?;
        let message = PublishMessage::build()
            .header(NATS_MESSAGE_ID, id.as_str())
            .payload(body.into());
        let subject = subject::dead_letter(&letter.task_type, letter.task);
        let sent = self
            .connection
            .jetstream
            .send_publish(subject, message)
            .await
            .map_err(Error::unavailable)?;
        sent.await.map_err(Error::unavailable)?;
        Ok(id)
    }
}

/// A header's value ends at a line break.
fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}
