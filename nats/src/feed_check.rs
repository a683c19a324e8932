//! Which events the feed lacks, for a projector that mends it.

use std::collections::BTreeMap;

use async_nats::Message;
use async_nats::header::{IntoHeaderName, NATS_MESSAGE_ID};
use async_nats::jetstream::stream::{Info, LastRawMessageErrorKind, Stream};
use domain::request::{Event, Recorded, RequestId, Sequence};
use jiff::{SignedDuration, Timestamp};

use crate::feed::CE_SEQUENCE;
use crate::read::{From, Most, PAGE_BYTES, messages, place};
use crate::topology::LIFECYCLE;
use crate::{Connection, Error, Feed, subject};

/// How long before its removal by age an event is no longer looked for.
const MARGIN: SignedDuration = SignedDuration::from_mins(10);
/// How much earlier than its commit an event may be stored, by the clocks of two servers.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_secs(2);
/// How many events one read of the feed brings.
const PAGE: Most = Most {
    messages: 250,
    bytes: PAGE_BYTES,
};
/// How many events are looked through for one that is not in the order of the log. The events of
/// other requests are among them. An event that is not found within them is published again.
const LOOKED_AT_MAX: usize = 100_000;

/// Events of one request by their ids.
type Wanted<'e> = BTreeMap<(Sequence, u32), Recorded<&'e Event>>;

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
        let mut by_subject: BTreeMap<String, Wanted<'e>> = BTreeMap::new();
        for event in events.iter().filter(|event| event.at > oldest) {
            let at = subject::lifecycle(&event.tenant, event.event.name(), request);
            let wanted = by_subject.entry(at).or_default();
            wanted.insert((event.sequence, event.index), event.clone());
        }
        let mut lacking = Wanted::new();
        for (at, wanted) in by_subject {
            let search = Search {
                connection: &self.connection,
                stream: &stream,
                at: &at,
            };
            let late = search.in_order(wanted).await?;
            lacking.extend(search.late(late).await?);
        }
        if !lacking.is_empty() {
            self.leave_out_earlier(request, &mut lacking).await?;
        }
        Ok(lacking.into_values().collect())
    }

    /// Leaves out the events that a build before version 0.2 published, each at a subject of its
    /// request.
    async fn leave_out_earlier(
        &self,
        request: RequestId,
        wanted: &mut Wanted<'_>,
    ) -> Result<(), Error> {
        let at = subject::earlier_lifecycle(request);
        let mut next = 1;
        loop {
            let from = From::Sequence(next);
            let page = messages(&self.connection, LIFECYCLE, &at, from, PAGE).await?;
            next = take_out(wanted, &page.messages)?.map_or(next, |last| last.at + 1);
            if !page.more {
                return Ok(());
            }
        }
    }
}

/// A search at one subject of the feed, which has events of many requests.
struct Search<'a> {
    connection: &'a Connection,
    stream: &'a Stream<Info>,
    at: &'a str,
}

/// The last event of a page.
struct Last {
    /// Its sequence in the feed.
    at: u64,
    /// The sequence of its commit in the log.
    of: Sequence,
}

impl Search<'_> {
    /// Looks for these events where the projector publishes them: in the order of the log, not
    /// before their commits are stored. Returns those that are not there.
    async fn in_order<'e>(&self, mut wanted: Wanted<'e>) -> Result<Wanted<'e>, Error> {
        let mut late = Wanted::new();
        let mut next = None;
        while let Some((sequence, from)) = first(&wanted) {
            let from = next.map_or(From::Time(from), From::Sequence);
            let page = messages(self.connection, LIFECYCLE, self.at, from, PAGE).await?;
            let last = take_out(&mut wanted, &page.messages)?;
            if !page.more {
                self.check_end(from, last.as_ref()).await?;
                late.append(&mut wanted);
                break;
            }
            next = last.as_ref().map(|last| last.at + 1);
            // The page has gone past the event, so the event is not in order. The next one may be
            // hours later.
            if last.is_some_and(|last| last.of > sequence) {
                next = None;
                while let Some(entry) = wanted.first_entry()
                    && entry.key().0 == sequence
                {
                    let (key, event) = entry.remove_entry();
                    late.insert(key, event);
                }
            }
        }
        Ok(late)
    }

    /// Looks for events that a verifier published late. Returns those that are not there.
    async fn late<'e>(&self, mut wanted: Wanted<'e>) -> Result<Wanted<'e>, Error> {
        let mut next = None;
        let mut looked_at = 0;
        while let Some((_, from)) = first(&wanted)
            && looked_at < LOOKED_AT_MAX
        {
            let from = next.map_or(From::Time(from), From::Sequence);
            let page = messages(self.connection, LIFECYCLE, self.at, from, PAGE).await?;
            let last = take_out(&mut wanted, &page.messages)?;
            if !page.more {
                self.check_end(from, last.as_ref()).await?;
                break;
            }
            looked_at += page.messages.len();
            next = last.map(|last| last.at + 1);
        }
        Ok(wanted)
    }

    /// Whether the subject really ends after a page from this place on. A server that lags may have
    /// answered, and the leader has the last word.
    async fn check_end(&self, from: From, last: Option<&Last>) -> Result<(), Error> {
        let end = match self.stream.get_last_raw_message_by_subject(self.at).await {
            Ok(message) => message,
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => return Ok(()),
            Err(error) => {
                let call = format_args!("STREAM.MSG.GET.{LIFECYCLE}");
                return Err(self.connection.failed(call, error));
            }
        };
        let is_beyond = match (last, from) {
            (Some(last), _) => end.sequence > last.at,
            (None, From::Sequence(from)) => end.sequence >= from,
            (None, From::Time(from)) => end.time.unix_timestamp_nanos() >= from.as_nanosecond(),
        };
        if is_beyond {
            let (at, end) = (self.at, end.sequence);
            let lags =
                format!("the server that answers does not have {end} of the feed at {at} yet");
            return Err(Error::Unavailable(lags));
        }
        Ok(())
    }
}

/// The sequence of the first of these events, and the time from which the feed may have it.
fn first(wanted: &Wanted<'_>) -> Option<(Sequence, Timestamp)> {
    let (_, event) = wanted.first_key_value()?;
    let from = event.at.checked_sub(CLOCKS_DIFFER).unwrap_or(event.at);
    Some((event.sequence, from))
}

/// Takes the events of these messages out of those that are wanted, and returns the last message.
fn take_out(wanted: &mut Wanted<'_>, messages: &[Message]) -> Result<Option<Last>, Error> {
    for message in messages {
        if let Some((request, key)) = header(message, NATS_MESSAGE_ID).and_then(parts)
            && wanted
                .get(&key)
                .is_some_and(|event| event.request == request)
        {
            wanted.remove(&key);
        }
    }
    let Some(message) = messages.last() else {
        return Ok(None);
    };
    let of = header(message, CE_SEQUENCE).and_then(|sequence| sequence.parse().ok());
    Ok(Some(Last {
        at: place(message)?.1,
        of: of.map_or(Sequence::NONE, Sequence::new),
    }))
}

/// The parts of an event's id.
fn parts(id: &str) -> Option<(RequestId, (Sequence, u32))> {
    let mut parts = id.split(':');
    let request = parts.next()?.parse().ok()?;
    let sequence = Sequence::new(parts.next()?.parse().ok()?);
    let index = parts.next()?.parse().ok()?;
    Some((request, (sequence, index)))
}

fn header(message: &Message, name: impl IntoHeaderName) -> Option<&str> {
    let headers = message.headers.as_ref()?;
    headers.get(name).map(async_nats::HeaderValue::as_str)
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
