//! One stream of changes for each browser. Nothing follows the log while nobody looks.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use domain::access::{Action, Scope};
use domain::request::RequestId;
use futures::{Stream, StreamExt as _, stream};
use nats::{Follower, Notice};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use crate::Console;
use crate::trouble::Trouble;
use crate::visit::Visit;

/// How many browsers may follow at once. Each costs the broker a subscription to every commit.
pub const STREAMS_MAX: usize = 32;
/// How many requests one stream follows.
const REQUESTS_MAX: usize = 64;
/// Changes of so long become one event.
const GATHERED: Duration = Duration::from_millis(500);
/// How often a silent stream says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What a stream follows.
struct Topics {
    requests: HashSet<RequestId>,
    /// The tenants of which every commit counts, whatever its request.
    all: Option<Scope>,
}

impl Topics {
    /// The topics in an address, as far as the visitor may see them: `topic=all` and
    /// `topic=request:ID`.
    async fn of(console: &Console, visit: &Visit) -> Self {
        let mut topics = Self {
            requests: HashSet::new(),
            all: None,
        };
        for topic in visit.fields.all("topic").take(REQUESTS_MAX) {
            match topic.strip_prefix("request:").map(str::parse) {
                Some(Ok(id)) if console.questions.story(visit, id).await.is_ok() => {
                    topics.requests.insert(id);
                }
                None if topic == "all" => topics.all = all_of(visit),
                _ => {}
            }
        }
        topics
    }

    fn take(&self, notice: &Notice) -> bool {
        let scope = self.all.as_ref();
        scope.is_some_and(|scope| scope.includes(&notice.tenant()))
            || self.requests.contains(&notice.request)
    }
}

/// The tenants whose requests the visitor may see, whoever submitted them.
fn all_of(visit: &Visit) -> Option<Scope> {
    let reach = visit.reach(Action::Read).ok()?;
    (!reach.own_only).then_some(reach.scope)
}

/// Follows the log for one browser.
pub async fn follow(State(console): State<Arc<Console>>, visit: Visit) -> Response {
    match open(&console, &visit).await {
        Ok(Some(following)) => {
            let until = console.shutdown.clone();
            let events = following
                .events()
                .take_until(async move { until.softly().await });
            let alive = KeepAlive::new().interval(HEARTBEAT);
            Sse::new(events).keep_alive(alive).into_response()
        }
        // Nothing in a bundle changes: a browser does not try again.
        Ok(None) => StatusCode::NO_CONTENT.into_response(),
        Err(trouble) => (trouble.status(), trouble.reason().to_owned()).into_response(),
    }
}

async fn open(console: &Console, visit: &Visit) -> Result<Option<Following>, Trouble> {
    let Some(live) = console.questions.source().live() else {
        return Ok(None);
    };
    let full =
        |_| Trouble::Away("too many browsers follow; this one shows pages as they were".into());
    let place = console.streams.clone().try_acquire_owned().map_err(full)?;
    let topics = Topics::of(console, visit).await;
    let follower = Follower::open(&live.connection, live.log.shards()).await?;
    Ok(Some(Following {
        follower,
        topics,
        _place: place,
    }))
}

/// The state of a stream.
struct Following {
    follower: Follower,
    topics: Topics,
    /// The place among the streams, until this one ends.
    _place: OwnedSemaphorePermit,
}

impl Following {
    fn events(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut following| async move {
            let event = following.next().await?;
            Some((Ok(event), following))
        })
    }

    /// The next event: how many commits there were, and of which followed requests. It ends with
    /// the connection; the browser then opens another stream.
    async fn next(&mut self) -> Option<Event> {
        let mut requests = HashSet::new();
        let mut commits = 0_u64;
        let mut until: Option<Instant> = None;
        loop {
            let next = self.follower.next();
            let noticed = match until {
                None => next.await,
                Some(until) => match timeout_at(until, next).await {
                    Ok(noticed) => noticed,
                    Err(_) => break,
                },
            };
            match noticed {
                Ok(Some(notice)) if self.topics.take(&notice) => {
                    commits += 1;
                    if self.topics.requests.contains(&notice.request) {
                        requests.insert(notice.request);
                    }
                }
                Ok(Some(_)) => continue,
                // Some commits may be missed, so each page looks for itself.
                Ok(None) => requests.extend(&self.topics.requests),
                Err(error) => {
                    tracing::debug!(%error, "a stream of changes ends");
                    return None;
                }
            }
            until.get_or_insert_with(|| Instant::now() + GATHERED);
        }
        let ids: Vec<String> = requests.iter().map(ToString::to_string).collect();
        let data = serde_json::json!({ "commits": commits, "requests": ids });
        Some(Event::default().event("changed").data(data.to_string()))
    }
}
