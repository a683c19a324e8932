//! The check of the account's limits, before Fanfold creates any stream. One error lists everything
//! that does not fit, so nothing is left half created.

mod look;

use async_nats::jetstream::account::{Account, Limits};
use async_nats::jetstream::object_store;
use async_nats::jetstream::stream;

use crate::declare::is_missing;
use crate::{Connection, Error, Topology};
use look::Look;

/// Checks whether the account may have the missing streams, and sets the limits that the account
/// requires on its streams. One error lists everything that does not fit.
pub(crate) async fn suit(
    connection: &Connection,
    topology: &Topology,
    streams: &mut [stream::Config],
    bucket: Option<&mut object_store::Config>,
) -> Result<(), Error> {
    let account = connection.jetstream.query_account().await;
    let account = account.map_err(|error| connection.failed("INFO", error))?;
    let mut look = Look::of(&account, topology);
    look.messages(connection.max_payload());
    if let Some(domain) = &connection.unnamed_domain {
        let log = Topology::log_stream(0);
        look.domain(domain, is_to_be_made(connection, &log).await?);
    }
    if look.limits.is_some_and(is_limited) {
        let mut missing = Vec::new();
        for stream in streams.iter_mut() {
            if is_to_be_made(connection, &stream.name).await? {
                missing.push(stream);
            }
        }
        let bucket = match bucket {
            Some(bucket) => {
                let name = format!("OBJ_{}", bucket.bucket);
                is_to_be_made(connection, &name).await?.then_some(bucket)
            }
            None => None,
        };
        look.streams(missing.len() + usize::from(bucket.is_some()));
        look.consumers();
        look.memory(&mut missing);
        look.storage(&mut missing, bucket);
    }
    if look.unfit.is_empty() {
        return Ok(());
    }
    let unfit = look.unfit.join("; ");
    Err(Error::Unsuitable(format!(
        "the NATS account does not fit Fanfold, and nothing was made: {unfit}"
    )))
}

/// Checks that the broker takes the largest message.
pub(crate) fn check_messages(connection: &Connection) -> Result<(), Error> {
    match look::too_small(connection.max_payload()) {
        None => Ok(()),
        Some(unfit) => Err(Error::Unsuitable(unfit)),
    }
}

async fn is_to_be_made(connection: &Connection, stream: &str) -> Result<bool, Error> {
    match connection.jetstream.get_stream(stream).await {
        Ok(_) => Ok(false),
        Err(error) if is_missing(&error) => Ok(true),
        Err(error) => Err(connection.failed(format_args!("STREAM.INFO.{stream}"), error)),
    }
}

/// The most unacked messages that a consumer may have, whichever tier it is in.
pub(crate) fn ack_pending(account: &Account) -> Option<i64> {
    let tiers = account.tiers.values().map(|tier| tier.limits);
    let all = tiers.chain([account.limits]);
    all.map(|limits| limits.max_ack_pending)
        .filter(|limit| *limit > 0)
        .min()
}

/// The limits for streams with this many replicas. `None` says that the account may have no such
/// streams.
fn limits(account: &Account, replicas: usize) -> Option<Limits> {
    if account.tiers.is_empty() {
        return Some(account.limits);
    }
    let tier = account.tiers.get(&format!("R{replicas}"));
    tier.map(|tier| tier.limits)
}

fn is_limited(limits: Limits) -> bool {
    let sized = [
        limits.max_memory,
        limits.max_storage,
        limits.max_streams,
        limits.max_consumers,
        limits.memory_max_stream_bytes,
        limits.storage_max_stream_bytes,
    ];
    sized.into_iter().any(|limit| limit.is_some_and(|n| n > 0))
        || limits.max_bytes_required
        || limits.max_ack_pending > 0
}
