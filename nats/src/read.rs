//! Reading the log: a batched direct get by the request's literal subject.

use std::time::Duration;

use async_nats::jetstream::stream::LastRawMessageErrorKind;
use async_nats::{HeaderMap, Message, StatusCode};
use futures::StreamExt;
use jiff::Timestamp;
use serde::Serialize;

use crate::no_commit::is_no_commit;
use crate::{Commit, Connection, Error, absence, commit, subject};
use domain::request::{RequestId, Sequence};

/// How long a read may take.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// How many commits one request to the broker fetches.
const COMMITS: Most = Most {
    messages: 1_000,
    bytes: PAGE_BYTES,
};
/// How many bytes one request to the broker fetches. The broker sends a page at once. It treats a
/// connection on which more than its `max_pending` waits as one that does not read. Without a limit
/// in bytes, the broker sends up to `max_pending`.
pub(crate) const PAGE_BYTES: usize = 512 * 1024;
/// The header at the end of a page that says how many messages come after it.
const PENDING: &str = "Nats-Num-Pending";

#[derive(Serialize)]
struct BatchGet<'a> {
    batch: usize,
    max_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<Timestamp>,
    next_by_subj: &'a str,
}

/// The most that one page brings. A message that is larger comes alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

/// Some messages of a stream, in order.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) messages: Vec<Message>,
    /// Whether the stream has more messages after these. Only the broker knows, because the limit
    /// in bytes may end a page.
    pub(crate) more: bool,
}

/// Some commits of a request, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitPage {
    /// The commits.
    pub commits: Vec<Commit>,
    /// The sequence after which the next page begins; `None` where the log has no more.
    pub next: Option<Sequence>,
    /// The last message that was read: the last commit, or a later message that is no commit.
    pub(crate) last: Sequence,
}

/// Where a page begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum From {
    /// At this sequence.
    Sequence(u64),
    /// With the first message stored at this time or later.
    Time(Timestamp),
}

/// The commits of a request after sequence `after`, in order.
pub(crate) async fn commits(
    connection: &Connection,
    stream: &str,
    request: RequestId,
    after: Sequence,
) -> Result<Vec<Commit>, Error> {
    let mut commits = Vec::new();
    let mut next = Some(after);
    while let Some(after) = next {
        let page = page(connection, stream, request, after, COMMITS.messages).await?;
        next = page.next;
        if commits.is_empty() {
            commits = page.commits;
        } else {
            commits.extend(page.commits);
        }
    }
    Ok(commits)
}

/// The first commits of a request after sequence `after`: at most `limit` of them, and fewer where
/// they are large.
pub(crate) async fn page(
    connection: &Connection,
    stream: &str,
    request: RequestId,
    after: Sequence,
    limit: usize,
) -> Result<CommitPage, Error> {
    let log_subject = subject::log(request);
    let most = Most {
        messages: limit.clamp(1, COMMITS.messages),
        ..COMMITS
    };
    let mut last = after;
    loop {
        let from = From::Sequence(last.next().get());
        let batch = messages(connection, stream, &log_subject, from, most).await?;
        if let Some(message) = batch.messages.last() {
            last = Sequence::new(place(message)?.1);
        }
        let mut commits = Vec::with_capacity(batch.messages.len());
        for message in &batch.messages {
            if !is_no_commit(message.headers.as_ref()) {
                commits.push(parse(message)?);
            }
        }
        // A page without a commit is the last one.
        if commits.is_empty() && batch.more {
            continue;
        }
        return Ok(CommitPage {
            commits,
            next: batch.more.then_some(last),
            last,
        });
    }
}

/// The last commit of a request, where there is one.
pub(crate) async fn last(
    connection: &Connection,
    stream: &str,
    request: RequestId,
) -> Result<Option<Commit>, Error> {
    let answer = connection
        .client
        .request(
            format!(
                "{}.DIRECT.GET.{stream}.{}",
                connection.api,
                subject::log(request)
            ),
            bytes::Bytes::new(),
        )
        .await
        .map_err(|error| connection.failed(format_args!("DIRECT.GET.{stream}"), error))?;
    match answer.status {
        None | Some(StatusCode::OK) if is_no_commit(answer.headers.as_ref()) => {
            let commits = Box::pin(commits(connection, stream, request, Sequence::NONE)).await?;
            Ok(commits.into_iter().next_back())
        }
        None | Some(StatusCode::OK) => Ok(Some(parse(&answer)?)),
        Some(status) if status.as_u16() == 404 => Ok(None),
        Some(status) => Err(Error::Unavailable(format!("{status}"))),
    }
}

/// The last sequence of a request, read from the stream's leader; `NONE` without
/// one. A replica that lags may answer a direct get, but not this call. `NONE` is certain: a leader
/// that may have lost its lead is an error that a retry may cure.
pub(crate) async fn last_sequence(
    connection: &Connection,
    stream: &str,
    request: RequestId,
) -> Result<Sequence, Error> {
    let name = stream;
    let stream = connection.jetstream.get_stream_no_info(name).await;
    let stream = stream.map_err(Error::unavailable)?;
    let last = stream
        .get_last_raw_message_by_subject(&subject::log(request))
        .await;
    match last {
        Ok(message) if is_no_commit(Some(&message.headers)) => {
            let up_to = Sequence::new(message.sequence);
            Box::pin(last_commit(connection, name, request, up_to)).await
        }
        Ok(message) => Ok(Sequence::new(message.sequence)),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
            Box::pin(absence::check(connection, name, &stream, request)).await?;
            Ok(Sequence::NONE)
        }
        Err(error) => Err(connection.failed(format_args!("STREAM.MSG.GET.{name}"), error)),
    }
}

/// The last commit of a request before a message that is no commit, which is the last one at the
/// leader. `NONE` where there is none, which is as certain as in [`last_sequence`].
async fn last_commit(
    connection: &Connection,
    stream: &str,
    request: RequestId,
    up_to: Sequence,
) -> Result<Sequence, Error> {
    let (mut found, mut next, mut read) = (Sequence::NONE, Some(Sequence::NONE), Sequence::NONE);
    while let Some(after) = next {
        let page = page(connection, stream, request, after, COMMITS.messages).await?;
        let last = page.commits.last();
        found = last.map_or(found, |commit| commit.sequence);
        (next, read) = (page.next, page.last);
    }
    if read < up_to {
        return Err(Error::Unavailable(format!(
            "the server that answers has request {request} up to {read}, and not yet {up_to}"
        )));
    }
    if found == Sequence::NONE {
        absence::is_led(connection, stream).await?;
    }
    Ok(found)
}

/// Reads the messages of a stream by subject, from a position on: a batched direct get.
pub(crate) async fn messages(
    connection: &Connection,
    stream: &str,
    subject: &str,
    from: From,
    most: Most,
) -> Result<Batch, Error> {
    let reading = Box::pin(async {
        loop {
            let connects = connection.connects();
            tokio::select! {
                read = batch(connection, stream, subject, from, most) => return read,
                // A broker that closed the connection forgets the question, as it does to a client
                // that reads too slowly. Nobody would answer.
                () = connection.renewed(connects) => {
                    tracing::debug!(stream, "the connection was replaced; requesting the page again");
                }
            }
        }
    });
    let read = tokio::time::timeout(READ_TIMEOUT, reading).await;
    read.map_err(|_| {
        let waited = format!("no answer within {READ_TIMEOUT:?}");
        connection.failed(format_args!("DIRECT.GET.{stream}"), waited)
    })?
}

async fn batch(
    connection: &Connection,
    stream: &str,
    subject: &str,
    from: From,
    most: Most,
) -> Result<Batch, Error> {
    let ask = serde_json::to_vec(&BatchGet {
        batch: most.messages,
        max_bytes: most.bytes,
        seq: match from {
            From::Sequence(sequence) => Some(sequence),
            From::Time(_) => None,
        },
        start_time: match from {
            From::Sequence(_) => None,
            From::Time(time) => Some(time),
        },
        next_by_subj: subject,
    })
    .map_err(|error| Error::corrupt("a read", error))?;
    let inbox = connection.client.new_inbox();
    let mut answers = connection
        .client
        .subscribe(inbox.clone())
        .await
        .map_err(Error::unavailable)?;
    connection
        .client
        .publish_with_reply(
            format!("{}.DIRECT.GET.{stream}", connection.api),
            inbox,
            ask.into(),
        )
        .await
        .map_err(Error::unavailable)?;
    let mut messages = Vec::new();
    while let Some(answer) = answers.next().await {
        match answer.status {
            None | Some(StatusCode::OK) => messages.push(answer),
            // The end of the batch.
            Some(status) if status.as_u16() == 204 => {
                let more = pending(&answer)? > 0;
                if more && messages.is_empty() {
                    return Err(Error::Unavailable(
                        "the broker answered with an empty page".into(),
                    ));
                }
                return Ok(Batch { messages, more });
            }
            // Nothing is there.
            Some(status) if status.as_u16() == 404 => {
                return Ok(Batch {
                    messages,
                    more: false,
                });
            }
            Some(StatusCode::NO_RESPONDERS) => {
                return Err(Error::Unavailable(format!("stream {stream} has no leader")));
            }
            Some(status) => {
                let what = answer.description.unwrap_or_default();
                return Err(Error::Unavailable(format!("{status} {what}")));
            }
        }
    }
    Err(Error::Unavailable("the connection closed".into()))
}

/// How many messages the stream has after a page, as the end of the page says. An end that does not
/// say so is an error, so that its page is not taken for the last.
fn pending(end: &Message) -> Result<u64, Error> {
    let headers = end.headers.as_ref();
    let pending = headers.and_then(|headers| headers.get(PENDING));
    let pending = pending.and_then(|pending| pending.as_str().parse().ok());
    pending.ok_or_else(|| Error::Unavailable(format!("the end of a page has no {PENDING}")))
}

/// The position of a message of a direct get: its subject, its sequence and its time.
pub(crate) fn place(answer: &Message) -> Result<(&str, u64, Timestamp), Error> {
    let header = |name: &str| {
        answer
            .headers
            .as_ref()
            .and_then(|headers| headers.get(name))
            .map(async_nats::HeaderValue::as_str)
            .ok_or_else(|| Error::corrupt("a direct get's answer", format!("no {name}")))
    };
    let sequence = header("Nats-Sequence")?
        .parse()
        .map_err(|error| Error::corrupt("Nats-Sequence", error))?;
    let at = header("Nats-Time-Stamp")?
        .parse()
        .map_err(|error| Error::corrupt("Nats-Time-Stamp", error))?;
    Ok((header("Nats-Subject")?, sequence, at))
}

fn parse(answer: &Message) -> Result<Commit, Error> {
    let empty = HeaderMap::new();
    let headers = answer.headers.as_ref().unwrap_or(&empty);
    let (subject, sequence, at) = place(answer)?;
    let sequence = Sequence::new(sequence);
    commit::decode(subject, sequence, at, headers, &answer.payload)
}
