//! Reads an object of the store without a consumer. A stream takes only a limited number of
//! consumers, and a consumer that was created for a single read stays for a while.

use async_nats::jetstream::object_store::ObjectInfo;
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;

use super::STORED_MAX_BYTES;
use crate::read::{self, From, Most, PAGE_BYTES};
use crate::topology::PAYLOADS;
use crate::{Connection, Error};

/// The stream of the store.
const STREAM: &str = "OBJ_PAYLOADS";
/// How often an object is read again that was rewritten meanwhile.
const READS: u32 = 5;
/// How much of an object one request to the broker fetches; a chunk has 128 KiB.
const CHUNKS: Most = Most {
    messages: 16,
    bytes: PAGE_BYTES,
};

async fn stream(connection: &Connection) -> Result<Stream<()>, Error> {
    let stream = connection.jetstream.get_stream_no_info(STREAM).await;
    stream.map_err(Error::unavailable)
}

/// The metadata of an object, read from the store's leader; `None` where there is no such object.
pub(super) async fn metadata(
    connection: &Connection,
    name: &str,
) -> Result<Option<ObjectInfo>, Error> {
    let subject = format!("$O.{PAYLOADS}.M.{}", URL_SAFE.encode(name));
    let stream = stream(connection).await?;
    let message = match stream.get_last_raw_message_by_subject(&subject).await {
        Ok(message) => message,
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => return Ok(None),
        Err(error) => {
            return Err(connection.failed(format_args!("STREAM.MSG.GET.{STREAM}"), error));
        }
    };
    let info: ObjectInfo = serde_json::from_slice(&message.payload)
        .map_err(|error| Error::corrupt(format!("the metadata of payload {name}"), error))?;
    Ok((!info.deleted).then_some(info))
}

/// Reads the bytes of an object as they are stored. A process that rewrites the object removes its
/// earlier chunks. The object is then read again.
pub(super) async fn read(connection: &Connection, name: &str) -> Result<Vec<u8>, Error> {
    let missing = || Error::Missing(format!("payload {name}"));
    let mut gone = None;
    for _ in 0..READS {
        let info = metadata(connection, name).await?.ok_or_else(missing)?;
        if gone.as_ref() == Some(&info.nuid) {
            return Err(missing());
        }
        match chunks(connection, &info).await? {
            Some(bytes) => return Ok(bytes),
            None => gone = Some(info.nuid),
        }
    }
    let reason = format!("payload {name} was rewritten while it was read, {READS} times");
    Err(Error::Unavailable(reason))
}

/// Reads all chunks of an object; `None` where they are gone.
async fn chunks(connection: &Connection, info: &ObjectInfo) -> Result<Option<Vec<u8>>, Error> {
    let what = || format!("payload {}", info.name);
    // Bytes that do not compress grow a little when packed.
    if info.size > STORED_MAX_BYTES + STORED_MAX_BYTES / 128 {
        return Err(Error::corrupt(
            what(),
            format!("it has {} bytes", info.size),
        ));
    }
    let subject = format!("$O.{PAYLOADS}.C.{}", info.nuid);
    let mut bytes = Vec::with_capacity(info.size);
    let mut next = 1;
    while bytes.len() < info.size {
        let page = match page(connection, &subject, next).await? {
            Some(page) => page,
            // The direct get is not allowed, or a replica that lags answered it.
            None => match of_leader(connection, &subject, next).await? {
                Some(chunk) => vec![chunk],
                None => return Ok(None),
            },
        };
        for (sequence, chunk) in page {
            bytes.extend_from_slice(&chunk);
            next = sequence + 1;
        }
    }
    if bytes.len() != info.size {
        let reason = format!("it has {} bytes in place of {}", bytes.len(), info.size);
        return Err(Error::corrupt(what(), reason));
    }
    Ok(Some(bytes))
}

type Chunk = (u64, bytes::Bytes);

/// Reads some chunks by a direct get; `None` where it returns nothing.
async fn page(
    connection: &Connection,
    subject: &str,
    next: u64,
) -> Result<Option<Vec<Chunk>>, Error> {
    let asked = read::messages(connection, STREAM, subject, From::Sequence(next), CHUNKS).await;
    let batch = match asked {
        Ok(batch) => batch,
        Err(denied @ Error::Denied(_)) => return Err(denied),
        Err(error) => {
            tracing::debug!(%error, "a direct get failed; reading the payload from the leader");
            return Ok(None);
        }
    };
    let chunk = |message: async_nats::Message| {
        let (_, sequence, _) = read::place(&message).ok()?;
        Some((sequence, message.payload))
    };
    let chunks: Option<Vec<Chunk>> = batch.messages.into_iter().map(chunk).collect();
    Ok(chunks.filter(|chunks| !chunks.is_empty()))
}

/// Reads the next chunk from the leader; `None` where there is none.
async fn of_leader(
    connection: &Connection,
    subject: &str,
    next: u64,
) -> Result<Option<Chunk>, Error> {
    let stream = stream(connection).await?;
    let asked = stream
        .raw_message_builder()
        .sequence(next)
        .next_by_subject(subject.to_owned());
    match asked.send().await {
        Ok(message) => Ok(Some((message.sequence, message.payload))),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(connection.failed(format_args!("STREAM.MSG.GET.{STREAM}"), error)),
    }
}
