use std::collections::BTreeMap;

use async_nats::HeaderMap;
use domain::access::Tenant;
use domain::request::{
    Attempt, Given, GroupIndex, Payload, RequestId, Run, Sequence, TaskId, TaskNumber,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::page;
use crate::{Error, packed, payload_sha256, tenant};

/// The original subject of a message that was stored as a dead letter.
pub(super) const SUBJECT: &str = "Fanfold-Subject";
/// Why the message could not be read.
pub(super) const REASON: &str = "Fanfold-Reason";
/// The headers of the message, as JSON.
pub(super) const HEADERS: &str = "Fanfold-Headers";
/// The size of the message's body in bytes, where the letter does not hold all of the message.
pub(super) const TRUNCATED: &str = "Fanfold-Truncated";
/// The most bytes of attempts in a letter that does not fit with all of them.
const ATTEMPTS_MAX_BYTES: usize = 64 * 1024;
/// The type and the code of a message that cannot be read.
pub(super) const UNREADABLE: &str = "unreadable";

/// A task that will not be tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// The task.
    pub task: TaskId,
    /// The run in which it was given up.
    pub run: Run,
    /// The type of the task.
    pub task_type: String,
    /// The tenant of the request.
    #[serde(default, skip_serializing_if = "Tenant::is_default")]
    pub tenant: Tenant,
    /// The task document.
    pub document: Payload,
    /// The failed attempts, by number. The worker writes only the last one. The letter has all of
    /// them once the log has the commit that gave the task up.
    pub attempts: Vec<Attempt>,
    /// The sequence of the commit that gave the task up, once there is one.
    pub sequence: Option<Sequence>,
    /// Whether the letter holds only the last attempts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// Whether the task was given up only because its attempts were used up, by its worker's count.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exhausted: bool,
}

impl DeadLetter {
    /// The type and the document hash that the task gave the worker.
    #[must_use]
    pub fn given(&self) -> Given {
        Given {
            task_type: self.task_type.clone(),
            sha256: Some(payload_sha256(&self.document)),
        }
    }

    /// The id of the letter.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}.{}", self.task, self.run)
    }

    /// Keeps as many of the last attempts as fit into a message with the document, and at least the
    /// last one.
    pub(crate) fn with_last_attempts(mut self) -> Self {
        let mut bytes = 0;
        let mut kept = Vec::new();
        while let Some(mut attempt) = self.attempts.pop() {
            attempt.bound();
            let json = serde_json::to_string(&attempt).unwrap_or_default();
            bytes += json.len();
            if bytes > ATTEMPTS_MAX_BYTES {
                if kept.is_empty() {
                    attempt.fault.causes.clear();
                    kept.push(attempt);
                }
                break;
            }
            kept.push(attempt);
        }
        kept.reverse();
        self.attempts = kept;
        self.truncated = true;
        self
    }
}

/// A message that cannot be read, in its original form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unread {
    /// The subject of the message.
    pub subject: String,
    /// Why it cannot be read.
    pub reason: String,
    /// The headers of the message.
    pub headers: BTreeMap<String, String>,
    /// The body of the message. JSON shows it with every invalid UTF-8 sequence replaced.
    #[serde(serialize_with = "as_text")]
    pub body: Vec<u8>,
    /// The size of the body in bytes, where the letter does not hold all of the message: the body
    /// was too large, or the headers were too many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncated: Option<u64>,
}

impl Unread {
    /// Whether the message can go back to where it was. A message of a queue was taken out of it,
    /// but one of the log or the feed is still there. A message that was cut is no longer the
    /// original.
    #[must_use]
    pub fn can_be_put_back(&self) -> bool {
        let root = self.subject.split('.').next().unwrap_or_default();
        matches!(root, "tasks" | "reports" | "webhooks") && self.truncated.is_none()
    }
}

/// The content of a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Letter {
    /// A task that will not be tried again.
    GivenUp(Box<DeadLetter>),
    /// A message that cannot be read.
    Unread(Box<Unread>),
}

/// A dead letter with its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its id.
    pub id: String,
    /// Its sequence among the dead letters, which serves as a cursor.
    pub sequence: u64,
    /// When the broker stored it.
    pub at: Timestamp,
    /// The letter.
    pub letter: Letter,
}

/// A summary of a dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Its id.
    pub id: String,
    /// The task type, or `unreadable`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The tenant, unless it is `default`.
    #[serde(skip_serializing_if = "Tenant::is_default")]
    pub tenant: Tenant,
    /// The request, where it is known.
    pub request_id: Option<RequestId>,
    /// The group of the task.
    pub group: Option<GroupIndex>,
    /// The task.
    pub task: Option<TaskNumber>,
    /// The run.
    pub run: Option<Run>,
    /// The code of the last attempt.
    pub code: String,
    /// The message of the last fault, or why the message cannot be read.
    pub message: String,
    /// The number of failed attempts.
    pub attempts: usize,
    /// When the broker stored the letter.
    pub kept_at: Timestamp,
    /// The sequence of the commit that gave the task up.
    pub sequence: Option<Sequence>,
}

impl Kept {
    /// The whole letter: its summary, then the task document and every attempt, or the message.
    #[must_use]
    pub fn detail(&self) -> Value {
        let mut detail = json!(self.summary());
        match &self.letter {
            Letter::GivenUp(letter) => {
                detail["attempts"] = json!(letter.attempts);
                detail["document"] = json!(letter.document);
            }
            Letter::Unread(unread) => detail["unreadable"] = json!(unread),
        }
        detail
    }

    /// The request that the letter is about, where it is known.
    #[must_use]
    pub fn request(&self) -> Option<RequestId> {
        match &self.letter {
            Letter::GivenUp(letter) => Some(letter.task.request),
            // The id names the request, as far as the message did.
            Letter::Unread(_) => self.id.split('.').find_map(|token| token.parse().ok()),
        }
    }

    /// The tenant to whose readers the letter belongs. A message that cannot be read and names no
    /// tenant belongs to `default`.
    #[must_use]
    pub fn tenant(&self) -> Tenant {
        match &self.letter {
            Letter::GivenUp(letter) => letter.tenant.clone(),
            Letter::Unread(unread) => tenant::named(&unread.headers),
        }
    }

    /// The code of the last attempt, or `unreadable`.
    #[must_use]
    pub fn code(&self) -> &str {
        match &self.letter {
            Letter::GivenUp(letter) => letter
                .attempts
                .last()
                .map_or("", |attempt| attempt.fault.code.as_str()),
            Letter::Unread(_) => UNREADABLE,
        }
    }

    /// A summary of the letter.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let task = match &self.letter {
            Letter::GivenUp(letter) => Some(letter),
            Letter::Unread(_) => None,
        };
        let last = task.and_then(|letter| letter.attempts.last());
        Summary {
            id: self.id.clone(),
            kind: task
                .map_or(UNREADABLE, |letter| &letter.task_type)
                .to_owned(),
            tenant: self.tenant(),
            request_id: self.request(),
            group: task.map(|letter| letter.task.group),
            task: task.map(|letter| letter.task.task),
            run: task.map(|letter| letter.run),
            code: self.code().to_owned(),
            message: match (&self.letter, last) {
                (Letter::Unread(unread), _) => unread.reason.clone(),
                (_, last) => last.map_or_else(String::new, |last| last.fault.message.clone()),
            },
            attempts: task.map_or(0, |letter| letter.attempts.len()),
            kept_at: self.at,
            sequence: task.and_then(|letter| letter.sequence),
        }
    }
}

/// The position of a stored letter.
pub(super) struct Place<'a> {
    pub subject: &'a str,
    pub sequence: u64,
    pub at: Timestamp,
}

pub(super) fn read(place: &Place<'_>, headers: &HeaderMap, body: &[u8]) -> Result<Kept, Error> {
    let text = |name| headers.get(name).map(async_nats::HeaderValue::as_str);
    let letter = if let Some(subject) = text(SUBJECT) {
        Letter::Unread(Box::new(Unread {
            subject: subject.to_owned(),
            reason: text(REASON).unwrap_or_default().to_owned(),
            headers: text(HEADERS)
                .and_then(|json| serde_json::from_str(json).ok())
                .unwrap_or_default(),
            body: body.to_vec(),
            truncated: text(TRUNCATED).and_then(|bytes| bytes.parse().ok()),
        }))
    } else {
        let what = || format!("the dead letter at {}", place.subject);
        let letter = packed::unpack(headers, body).map_err(|e| Error::corrupt(what(), e))?;
        Letter::GivenUp(Box::new(letter))
    };
    Ok(Kept {
        id: page::id_of(place.subject).to_owned(),
        sequence: place.sequence,
        at: place.at,
        letter,
    })
}

fn as_text<S: serde::Serializer>(body: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(body))
}

pub(super) fn time(nanoseconds: i128) -> Result<Timestamp, Error> {
    Timestamp::from_nanosecond(nanoseconds)
        .map_err(|error| Error::corrupt("the time of a dead letter", error))
}
