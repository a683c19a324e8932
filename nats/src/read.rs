//! Reading the log: a batched direct get by the request's literal subject.

use std::time::Duration;

use async_nats::jetstream::stream::LastRawMessageErrorKind;
use async_nats::{HeaderMap, Message, StatusCode};
use futures::StreamExt;
use jiff::Timestamp;
use serde::Serialize;

use crate::{Commit, Connection, Error, commit, subject};
use domain::request::RequestId;

/// How long a read may take.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// How many commits one request to the broker asks for.
const READ_BATCH: usize = 1_000;

#[derive(Serialize)]
struct BatchGet<'a> {
    batch: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<Timestamp>,
    next_by_subj: &'a str,
}

/// How much comes in one page; one that ends by its bytes may be followed by more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    pub(crate) messages: usize,
    pub(crate) bytes: Option<usize>,
}

/// Where a page begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum From {
    /// At this sequence.
    Sequence(u64),
    /// With what was stored at this time or later.
    Time(Timestamp),
}

/// The commits of a request after sequence `after`, in order.
pub(crate) async fn commits(
    connection: &Connection,
    stream: &str,
    request: RequestId,
    after: u64,
) -> Result<Vec<Commit>, Error> {
    let mut commits = Vec::new();
    let mut next = after + 1;
    let log_subject = subject::log(request);
    loop {
        let page = read_page(connection, stream, &log_subject, next);
        let page = tokio::time::timeout(READ_TIMEOUT, page)
            .await
            .map_err(|_| Error::Unavailable(format!("no answer within {READ_TIMEOUT:?}")))??;
        let complete = page.len() < READ_BATCH;
        commits.extend(page);
        match commits.last() {
            Some(last) if !complete => next = last.sequence + 1,
            _ => return Ok(commits),
        }
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
            format!("$JS.API.DIRECT.GET.{stream}.{}", subject::log(request)),
            bytes::Bytes::new(),
        )
        .await
        .map_err(Error::unavailable)?;
    match answer.status {
        None | Some(StatusCode::OK) => Ok(Some(parse(&answer)?)),
        Some(status) if status.as_u16() == 404 => Ok(None),
        Some(status) => Err(Error::Unavailable(format!("{status}"))),
    }
}

/// The last sequence of a request as the stream's leader has it, 0 without one. A direct get may
/// be answered by a replica that lags; this is not.
pub(crate) async fn last_sequence(
    connection: &Connection,
    stream: &str,
    request: RequestId,
) -> Result<u64, Error> {
    let stream = connection.jetstream.get_stream_no_info(stream).await;
    let last = stream
        .map_err(Error::unavailable)?
        .get_last_raw_message_by_subject(&subject::log(request))
        .await;
    match last {
        Ok(message) => Ok(message.sequence),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(0),
        Err(error) => Err(Error::unavailable(error)),
    }
}

async fn read_page(
    connection: &Connection,
    stream: &str,
    log_subject: &str,
    from: u64,
) -> Result<Vec<Commit>, Error> {
    let from = From::Sequence(from);
    let most = Most {
        messages: READ_BATCH,
        bytes: None,
    };
    let page = messages(connection, stream, log_subject, from, most).await?;
    page.iter().map(parse).collect()
}

/// The messages of a stream from sequence `from` on, by subject: a batched direct get.
pub(crate) async fn messages(
    connection: &Connection,
    stream: &str,
    subject: &str,
    from: From,
    most: Most,
) -> Result<Vec<Message>, Error> {
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
        .publish_with_reply(format!("$JS.API.DIRECT.GET.{stream}"), inbox, ask.into())
        .await
        .map_err(Error::unavailable)?;
    let mut page = Vec::new();
    while let Some(answer) = answers.next().await {
        match answer.status {
            None | Some(StatusCode::OK) => page.push(answer),
            // End of batch, or nothing there.
            Some(status) if status.as_u16() == 204 || status.as_u16() == 404 => return Ok(page),
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

/// Where a message of a direct get is stored: its subject, its sequence and the time.
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
    commit::decode(subject, sequence, at, headers, &answer.payload)
}
