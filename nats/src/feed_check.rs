//! Which events the feed lacks, for a projector that mends it.

use std::collections::{BTreeMap, HashSet};

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::stream::{Info, RawMessageErrorKind, Stream};
use domain::feed::CloudEvent;
use domain::request::{Event, Recorded, RequestId};
use jiff::{SignedDuration, Timestamp};

use crate::read::{From, Most, PAGE_BYTES, messages};
use crate::topology::LIFECYCLE;
use crate::{Connection, Error, Feed, subject};

/// How long before its removal by age an event is no longer looked for.
const MARGIN: SignedDuration = SignedDuration::from_mins(10);
/// How many events one read of the feed brings.
const PAGE: Most = Most {
    messages: 1_000,
    bytes: PAGE_BYTES,
};

impl Feed {
    /// The events, of these of one request, that the feed lacks, as its leader says. An event is not
    /// among them if it is older than all that the feed holds.
    pub async fn lacking<'e>(
        &self,
        request: RequestId,
        events: &[Recorded<&'e Event>],
    ) -> Result<Vec<Recorded<&'e Event>>, Error> {
        let stream = self.connection.described(LIFECYCLE).await?;
        let Some(oldest) = oldest(stream.cached_info())? else {
            return Ok(Vec::new());
        };
        let kept = |event: &&Recorded<&Event>| event.at > oldest;
        let there = listed(&self.connection, request).await?;
        let absent = events
            .iter()
            .filter(kept)
            .filter(|event| !there.contains(&CloudEvent::of(event).id));
        // A server that lags may have answered. The leader has the last word.
        let mut by_subject: BTreeMap<String, Vec<&Recorded<&'e Event>>> = BTreeMap::new();
        for event in absent {
            let at = subject::lifecycle(event.event.name(), request);
            by_subject.entry(at).or_default().push(event);
        }
        let mut lacking = Vec::new();
        for (at, events) in by_subject {
            let there = listed_by_leader(&self.connection, &stream, &at).await?;
            let absent = events.into_iter();
            lacking.extend(
                absent
                    .filter(|e| !there.contains(&CloudEvent::of(e).id))
                    .cloned(),
            );
        }
        lacking.sort_by_key(|event| (event.sequence, event.index));
        Ok(lacking)
    }
}

/// The time from which the feed should have every event. `None` where it holds nothing, so that
/// somebody has emptied it.
fn oldest(feed: &Info) -> Result<Option<Timestamp>, Error> {
    if feed.state.messages == 0 {
        return Ok(None);
    }
    let first = feed.state.first_timestamp.unix_timestamp_nanos();
    let first = Timestamp::from_nanosecond(first)
        .map_err(|error| Error::corrupt("a time of the broker", error))?;
    let kept_for = SignedDuration::try_from(feed.config.max_age).unwrap_or_default();
    if kept_for.is_zero() {
        return Ok(Some(first));
    }
    let by_age = Timestamp::now().checked_sub(kept_for - MARGIN);
    Ok(Some(by_age.map_or(first, |by_age| by_age.max(first))))
}

/// The ids of the events of a request, as any server has them.
async fn listed(connection: &Connection, request: RequestId) -> Result<HashSet<String>, Error> {
    let of_request = subject::lifecycle("*", request);
    let mut ids = HashSet::new();
    let mut next = 1;
    loop {
        let from = From::Sequence(next);
        let page = messages(connection, LIFECYCLE, &of_request, from, PAGE).await?;
        for message in &page.messages {
            let id = message
                .headers
                .as_ref()
                .and_then(|all| all.get(NATS_MESSAGE_ID));
            ids.extend(id.map(|id| id.as_str().to_owned()));
            next = crate::read::place(message)?.1 + 1;
        }
        if !page.more {
            return Ok(ids);
        }
    }
}

/// The ids of the events at one subject, as the feed's leader has them.
async fn listed_by_leader(
    connection: &Connection,
    stream: &Stream,
    at: &str,
) -> Result<HashSet<String>, Error> {
    let mut ids = HashSet::new();
    let mut next = 1;
    loop {
        let message = match stream.get_first_raw_message_by_subject(at, next).await {
            Ok(message) => message,
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => return Ok(ids),
            Err(error) => {
                return Err(connection.failed(format_args!("STREAM.MSG.GET.{LIFECYCLE}"), error));
            }
        };
        let id = message.headers.get(NATS_MESSAGE_ID);
        ids.extend(id.map(|id| id.as_str().to_owned()));
        next = message.sequence + 1;
    }
}
