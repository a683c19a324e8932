//! Keys in Redis of requests, or of groups, that the log does not have.

use std::collections::HashSet;
use std::time::Duration;

use domain::request::RequestId;
use jiff::Timestamp;
use projections::{Store, ViewKey};

use super::{Problem, Report, readable};
use crate::Error;
use crate::log::Live;

/// Looks at every key. `groups` gives the number of groups of a request that the log has, and
/// `kept_for` is how long the log keeps a commit: a view may outlive it.
pub async fn find(
    live: &Live,
    store: &Store,
    groups: impl Fn(RequestId) -> Option<u32>,
    kept_for: Duration,
    report: &mut Report,
) -> Result<(), Error> {
    let mut strange: HashSet<ViewKey> = HashSet::new();
    let mut all = store.view_keys().await?;
    while let Some(keys) = all.next().await? {
        strange.extend(keys.into_iter().filter(|key| match groups(key.request) {
            Some(groups) => key.group.is_some_and(|group| group >= groups),
            None => true,
        }));
    }
    let mut strange: Vec<ViewKey> = strange.into_iter().collect();
    strange.sort_by(|a, b| a.key.cmp(&b.key));
    for key in strange {
        let known = groups(key.request).is_some();
        let newer = !known && is_in_log(live, key.request).await?;
        if newer || !store.has_key(&key).await? {
            continue;
        }
        if !known && is_older(store, key.request, kept_for).await? {
            report.note("keys of requests that are older than what the log keeps");
            continue;
        }
        let message = if known {
            "the log has no such group of the request"
        } else {
            "the log has no such request"
        };
        report.problem(Problem {
            request_id: Some(key.request),
            kind: "view",
            sequence: None,
            key: Some(key.key),
            message: message.into(),
        });
    }
    Ok(())
}

/// Whether the log has a request by now.
async fn is_in_log(live: &Live, id: RequestId) -> Result<bool, Error> {
    // That it cannot be read is a finding of its own.
    let last = readable(live.log.last(id).await)?;
    Ok(last.map_or(true, |last| last.is_some()))
}

/// Whether a request was received before what the log keeps, by its view or by its id.
async fn is_older(store: &Store, id: RequestId, kept_for: Duration) -> Result<bool, Error> {
    let begun = store.received_at(id).await?.or_else(|| begun(id));
    let horizon = Timestamp::now().checked_sub(kept_for);
    Ok(match (begun, horizon) {
        (Some(begun), Ok(horizon)) if !kept_for.is_zero() => begun < horizon,
        _ => false,
    })
}

/// The time in an id that has one: those of idempotency keys have none.
fn begun(id: RequestId) -> Option<Timestamp> {
    let (seconds, nanoseconds) = id.uuid().get_timestamp()?.to_unix();
    let seconds = i64::try_from(seconds).ok()?;
    Timestamp::new(seconds, i32::try_from(nanoseconds).ok()?).ok()
}
