//! Finds the Redis keys of requests that the log does not have, and keys that nothing reads any
//! more.

use std::collections::HashSet;
use std::time::Duration;

use domain::request::RequestId;
use jiff::Timestamp;
use projections::{Store, ViewKey};

use super::patience::patiently;
use super::{Problem, Report, readable};
use crate::Error;
use crate::live::Live;

/// Checks every key. `known` returns whether the log has a request. `kept_for` is how long the log
/// keeps a commit; a view may outlive it.
pub async fn find(
    live: &Live,
    store: &Store,
    known: impl Fn(RequestId) -> bool,
    kept_for: Duration,
    report: &mut Report,
) -> Result<(), Error> {
    let mut strange: HashSet<ViewKey> = HashSet::new();
    let mut all = patiently(|| store.view_keys()).await?;
    while let Some(keys) = all.next().await? {
        let orphans = keys.into_iter();
        strange.extend(orphans.filter(|key| key.superseded || !known(key.request)));
    }
    let mut strange: Vec<ViewKey> = strange.into_iter().collect();
    strange.sort_by(|a, b| a.key.cmp(&b.key));
    for key in strange {
        let known = known(key.request);
        let newer = !known && is_in_log(live, key.request).await?;
        if newer || !patiently(|| store.has_key(&key)).await? {
            continue;
        }
        if !known && is_older(store, key.request, kept_for).await? {
            report.note("keys of requests that are older than what the log keeps");
            continue;
        }
        let message = if known {
            "it is of an earlier version, and nothing reads it: a rebuild removes it"
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
    // An unreadable commit is a finding of its own.
    let last = readable(live.log.last(id).await)?;
    Ok(last.map_or(true, |last| last.is_some()))
}

/// Whether a request was received before the oldest commit of the log, by its view or by its id.
async fn is_older(store: &Store, id: RequestId, kept_for: Duration) -> Result<bool, Error> {
    let begun = patiently(|| store.received_at(id)).await?;
    let begun = begun.or_else(|| self::begun(id));
    let horizon = Timestamp::now().checked_sub(kept_for);
    Ok(match (begun, horizon) {
        (Some(begun), Ok(horizon)) if !kept_for.is_zero() => begun < horizon,
        _ => false,
    })
}

/// The time in an id. The id of an idempotency key has none.
fn begun(id: RequestId) -> Option<Timestamp> {
    let (seconds, nanoseconds) = id.uuid().get_timestamp()?.to_unix();
    let seconds = i64::try_from(seconds).ok()?;
    Timestamp::new(seconds, i32::try_from(nanoseconds).ok()?).ok()
}
