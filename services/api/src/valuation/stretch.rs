//! A range of a request's history. It reads no more of the log than the answer shows.

use axum::http::StatusCode;
use domain::feed::CloudEvent;
use domain::request::{RequestId, Sequence};
use nats::Commit;
use serde_json::value::{RawValue, to_raw_value};

use crate::auth::Admitted;
use crate::http::problem::Problem;
use crate::state::Api;
use crate::valuation::events::Place;

/// An event in the form that the API shows.
pub struct Shown {
    pub place: Place,
    pub name: &'static str,
    /// A `CloudEvent` in its JSON form.
    pub json: Box<RawValue>,
}

/// Some events of a request, in order.
#[derive(Default)]
pub struct Stretch {
    pub events: Vec<Shown>,
    /// Whether the log has more events after these.
    pub more: bool,
    /// Whether the request has ended after these events. `None` if they do not say: the outcome of a
    /// task may come after the end.
    ended: Option<bool>,
    bytes: usize,
}

/// The limits on one range.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    pub events: usize,
    /// A larger event comes alone.
    pub bytes: usize,
}

/// The first events of a request after a position. It reads no more of the log than it shows.
pub async fn after(api: &Api, id: RequestId, place: Place, most: Most) -> Result<Stretch, Problem> {
    let mut stretch = Stretch::default();
    // Start with the commit of the position itself: it may hold more events, and it tells whether
    // the request ended there.
    let mut next = Some(place.sequence.before());
    while let Some(after) = next {
        // Every commit has at least one event, but the commit of the position may have none left to
        // show.
        let wanted = most.events.saturating_sub(stretch.events.len()) + 1;
        let page = api.log.read_page(id, after, wanted).await?;
        for commit in &page.commits {
            if !stretch.take_in(commit, place, most)? {
                stretch.more = true;
                return Ok(stretch);
            }
        }
        next = page.next;
    }
    Ok(stretch)
}

impl Stretch {
    /// Whether the request has ended and no event comes after these.
    pub async fn has_ended(
        &self,
        api: &Api,
        reader: &Admitted,
        id: RequestId,
    ) -> Result<bool, Problem> {
        match self.ended {
            _ if self.more => Ok(false),
            Some(ended) => Ok(ended),
            None => Ok(api
                .known(reader, id, Sequence::default())
                .await?
                .status
                .plain()
                .is_terminal()),
        }
    }

    /// Adds the events of a commit that come after the position, as far as the limits allow.
    /// Returns whether all of them fit.
    fn take_in(&mut self, commit: &Commit, place: Place, most: Most) -> Result<bool, Problem> {
        let later = commit.recorded();
        let later = later.filter(|event| place == Place::START || Place::of(event) > place);
        for event in later {
            if self.events.len() == most.events {
                return Ok(false);
            }
            let json = to_raw_value(&CloudEvent::of(&event)).map_err(|error| {
                tracing::error!(%error, "an event cannot be shown");
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                Problem::new(status, "internal", "an event cannot be shown")
            })?;
            self.bytes += json.get().len();
            if self.bytes > most.bytes && !self.events.is_empty() {
                return Ok(false);
            }
            self.events.push(Shown {
                place: Place::of(&event),
                name: event.event.name(),
                json,
            });
        }
        // A late outcome says nothing of the end.
        self.ended = commit.has_ended().or(self.ended);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use domain::request::{Event, Sequence};
    use jiff::Timestamp;

    use super::*;

    /// A commit with this many events.
    fn commit(sequence: u64, events: usize, reason: &str) -> Commit {
        let cancelled = serde_json::json!({ "by": "tests", "reason": reason });
        let cancelled = Event::Cancelled(serde_json::from_value(cancelled).unwrap());
        Commit {
            request: RequestId::new(uuid::Uuid::nil()),
            sequence: Sequence::new(sequence),
            previous: Sequence::NONE,
            at: Timestamp::UNIX_EPOCH,
            tenant: domain::access::Tenant::default(),
            traceparent: None,
            events: vec![cancelled; events],
        }
    }

    fn places(stretch: &Stretch) -> Vec<String> {
        let places = stretch.events.iter().map(|event| event.place.to_string());
        places.collect()
    }

    #[test]
    fn a_page_has_a_limited_number_of_events_and_the_next_continues_within_a_commit() {
        let most = |events| Most {
            events,
            bytes: usize::MAX,
        };
        let mut three = Stretch::default();
        let commit = commit(7, 3, "why");
        assert!(three.take_in(&commit, Place::START, most(3)).unwrap());
        assert_eq!(places(&three), ["7:0", "7:1", "7:2"]);
        assert_eq!(three.ended, Some(true));
        let mut two = Stretch::default();
        assert!(!two.take_in(&commit, Place::START, most(2)).unwrap());
        assert_eq!(places(&two), ["7:0", "7:1"]);
        assert_eq!(two.ended, None, "there is more");
        let mut rest = Stretch::default();
        let place = two.events[1].place;
        assert!(rest.take_in(&commit, place, most(2)).unwrap());
        assert_eq!(places(&rest), ["7:2"]);
    }

    #[test]
    fn a_page_has_a_limited_number_of_bytes_but_at_least_one_event() {
        let long = commit(7, 3, &"x".repeat(600));
        let one = {
            let mut stretch = Stretch::default();
            let most = Most {
                events: 9,
                bytes: 1,
            };
            assert!(!stretch.take_in(&long, Place::START, most).unwrap());
            assert_eq!(places(&stretch), ["7:0"]);
            stretch.events[0].json.get().len()
        };
        for (bytes, shown) in [(2 * one, 2), (2 * one - 1, 1), (3 * one, 3)] {
            let mut stretch = Stretch::default();
            let most = Most { events: 9, bytes };
            let whole = stretch.take_in(&long, Place::START, most).unwrap();
            assert_eq!((stretch.events.len(), whole), (shown, shown == 3));
        }
    }
}
