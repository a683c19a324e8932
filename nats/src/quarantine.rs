//! Containing what ends the process that works on it.
//!
//! A message whose work ends the process is delivered again and ends the next one, and so it is
//! with every message that was under way beside it. So whatever comes again without an answer is
//! begun under a *mark*, which is stored before the work and taken away after it. A mark that is
//! found says that the work under it never ended. From then on that message is begun *alone*:
//! beside no other suspect, while all else goes on. One that was begun alone [`ALONE_MAX`] times
//! and never ended is convicted.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use domain::request::RequestId;
use futures::TryStreamExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::topology::QUARANTINE;
use crate::{Connection, Error, subject};

/// How often a suspect is begun alone before it is convicted.
pub const ALONE_MAX: u32 = 2;
/// How often a convict's end is begun alone before it is passed over.
pub const ENDS_MAX: u32 = 2;
/// How many panics of one message in one process convict it.
pub const PANICS_MAX: u32 = 3;
/// How many suspects wait for their turn alone, at the most; more are begun in company.
pub const WAITING_MAX: usize = 64;
/// One that was begun alone before lets others go first that come at about the same time.
const DEFER: Duration = Duration::from_millis(500);
/// How many marks are read at once when a consumer starts.
const READ_AT_ONCE: usize = 64;
/// Of how many messages it is remembered that this process answered for them.
const ANSWERED_MAX: usize = 100_000;

/// How a suspect without a mark is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// Alone at once, for work that is short.
    Alone,
    /// Together with others: only those that are under way when the process ends again are begun
    /// alone then. For work that may take long.
    InCompany,
}

/// What is known of a message that was begun under a mark and has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// How often it was begun under a mark.
    pub begun: u32,
    /// How often of these alone.
    pub alone: u32,
    /// The request it is about, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
    /// Which process began it last.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// What is to become of a suspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is to be worked on.
    Try,
    /// It is not to be worked on any more: it fails its own request.
    Convicted,
    /// Not even that can be done: it is to be set aside.
    PassOver,
}

/// A suspect that was begun, under a mark that is stored.
pub struct Begun {
    /// What is to become of it.
    pub verdict: Verdict,
    /// How often it was begun before without an end.
    pub lost: u32,
    /// Its mark as it was found, where there was one: which process began it last.
    pub found: Option<Mark>,
    what: String,
    /// Whether it was begun under a mark: none is needed for one whose family is convicted.
    marked: bool,
    /// Held for as long as it is alone.
    _alone: Option<tokio::sync::OwnedMutexGuard<()>>,
}

/// The suspects of one consumer. What it calls a message is a subject token, or some. What is
/// before a slash in it is its family, as the request of a task: how often its members were begun
/// alone without an end counts for each of them, so that a family is convicted as fast as one.
#[derive(Clone)]
pub struct Quarantine(Arc<Inner>);

struct Inner {
    connection: Connection,
    consumer: String,
    first: First,
    /// The marks of this consumer as far as they are known here.
    marks: Mutex<HashMap<String, Mark>>,
    /// How often members of a family were begun alone without an end, by earlier processes.
    families: Mutex<HashMap<String, u32>>,
    /// What this process wants again: its next delivery is none that was lost. With how often it
    /// was lost before.
    answered: Mutex<HashMap<String, u32>>,
    panics: Mutex<HashMap<String, u32>>,
    alone: Arc<tokio::sync::Mutex<()>>,
    waiting: watch::Sender<usize>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Quarantine {
    /// The suspects of a consumer, with the marks that are there.
    pub async fn open(
        connection: &Connection,
        consumer: &str,
        first: First,
    ) -> Result<Self, Error> {
        let inner = Inner {
            connection: connection.clone(),
            consumer: consumer.to_owned(),
            first,
            marks: Mutex::default(),
            families: Mutex::default(),
            answered: Mutex::default(),
            panics: Mutex::default(),
            alone: Arc::default(),
            waiting: watch::Sender::new(0),
        };
        let marks = inner.read_all().await?;
        if !marks.is_empty() {
            tracing::warn!(
                consumer,
                marks = marks.len(),
                "what was begun and never ended is begun alone"
            );
        }
        for (what, mark) in &marks {
            if let Some(family) = family(what) {
                *lock(&inner.families).entry(family.to_owned()).or_default() += mark.alone;
            }
        }
        *lock(&inner.marks) = marks;
        Ok(Self(Arc::new(inner)))
    }

    /// The marks of this consumer as far as they are known here.
    #[must_use]
    pub fn marks(&self) -> HashMap<String, Mark> {
        lock(&self.0.marks).clone()
    }

    /// What was convicted and has not ended since.
    #[must_use]
    pub fn convicted(&self) -> Vec<String> {
        let marks = lock(&self.0.marks);
        let convicted = marks.iter().filter(|(_, mark)| mark.alone >= ALONE_MAX);
        convicted.map(|(what, _)| what.clone()).collect()
    }

    /// Whether a message is to be begun under a mark: `again` says that it may have been begun
    /// before, as by the broker's count of deliveries. One that this process itself wanted again
    /// is none; one that has a mark always is.
    #[must_use]
    pub fn is_suspect(&self, what: impl Display, again: bool) -> bool {
        let quiet = lock(&self.0.marks).is_empty();
        if quiet && !again {
            // Nearly always.
            return false;
        }
        let what = what.to_string();
        (again && !lock(&self.0.answered).contains_key(&what))
            || lock(&self.0.marks).contains_key(&what)
            || self.0.of_family(&what) >= ALONE_MAX
    }

    /// How often a message that this process wanted again was lost before.
    #[must_use]
    pub fn lost(&self, what: impl Display) -> u32 {
        let answered = lock(&self.0.answered);
        if answered.is_empty() {
            return 0;
        }
        answered.get(&what.to_string()).copied().unwrap_or(0)
    }

    /// Notes that this process wants a message again, which was lost so often before.
    pub fn wants_again(&self, what: impl Display, lost: u32) {
        let mut answered = self::lock(&self.0.answered);
        if answered.len() >= ANSWERED_MAX {
            answered.clear();
        }
        answered.insert(what.to_string(), lost);
    }

    /// Notes that a message will not come again.
    pub fn forget(&self, what: impl Display) {
        let (mut answered, mut panics) = (lock(&self.0.answered), lock(&self.0.panics));
        if !answered.is_empty() || !panics.is_empty() {
            let what = what.to_string();
            answered.remove(&what);
            panics.remove(&what);
        }
    }

    /// Counts a panic of this message; whether it is convicted by that.
    #[must_use]
    pub fn panicked(&self, what: impl Display) -> bool {
        let mut panics = lock(&self.0.panics);
        if panics.len() >= ANSWERED_MAX {
            panics.clear();
        }
        let count = panics.entry(what.to_string()).or_default();
        *count += 1;
        *count >= PANICS_MAX
    }

    /// How many suspects wait for their turn alone.
    #[must_use]
    pub fn waiting(&self) -> usize {
        *self.0.waiting.borrow()
    }

    /// Tells whenever more or fewer wait.
    #[must_use]
    pub fn waiting_changes(&self) -> watch::Receiver<usize> {
        self.0.waiting.subscribe()
    }

    /// Begins a suspect: waits for its turn where it is to be alone, and stores its mark. It is
    /// to be ended by [`Self::end`]; one that is only dropped keeps its mark.
    pub async fn begin(
        &self,
        what: impl Display,
        request: Option<RequestId>,
    ) -> Result<Begun, Error> {
        let (inner, what) = (&self.0, what.to_string());
        let found = inner.read(&what).await?;
        let of_family = inner.of_family(&what);
        if found.is_none() && of_family >= ALONE_MAX {
            return Ok(Begun {
                verdict: Verdict::Convicted,
                lost: of_family,
                found,
                what,
                marked: false,
                _alone: None,
            });
        }
        let company = inner.first == First::InCompany || self.waiting() >= WAITING_MAX;
        let in_company = found.is_none() && company;
        let alone = if in_company {
            None
        } else {
            let _waits = Waits::new(&inner.waiting);
            if found.as_ref().is_some_and(|mark| mark.alone > 0) {
                tokio::time::sleep(DEFER).await;
            }
            Some(inner.alone.clone().lock_owned().await)
        };
        let before = found
            .as_ref()
            .map_or((0, 0), |mark| (mark.begun, mark.alone));
        let mark = Mark {
            begun: before.0 + 1,
            alone: before.1 + u32::from(alone.is_some()),
            request,
            by: instance(),
            at: Timestamp::now(),
        };
        inner.write(&what, &mark).await?;
        lock(&inner.marks).insert(what.clone(), mark);
        Ok(Begun {
            verdict: verdict(before.1, of_family),
            lost: before.0,
            found,
            what,
            marked: true,
            _alone: alone,
        })
    }

    /// Takes the mark of a suspect away: whatever came of the work, the process lives. Where the
    /// broker cannot be told, the mark stays, and costs the next of this name a turn alone.
    pub async fn end(&self, begun: Begun) {
        lock(&self.0.marks).remove(&begun.what);
        if !begun.marked {
            return;
        }
        let alone = begun.found.as_ref().map_or(0, |mark| mark.alone);
        if let Some(family) = family(&begun.what)
            && let Some(count) = lock(&self.0.families).get_mut(family)
        {
            *count = count.saturating_sub(alone);
        }
        if let Err(error) = self.0.remove(&begun.what).await {
            tracing::debug!(what = begun.what, %error, "a mark could not be taken away");
        }
    }

    /// Leaves the mark of a suspect as it was found, and the process lives: what its verdict asks
    /// for could not be done now, or its family is still to be known by it.
    pub async fn leave(&self, begun: Begun) {
        let Some(found) = begun.found.clone() else {
            return self.end(begun).await;
        };
        if let Err(error) = self.0.write(&begun.what, &found).await {
            tracing::debug!(what = begun.what, %error, "a mark could not be put back");
        }
        lock(&self.0.marks).insert(begun.what, found);
    }
}

/// What is to become of one that was begun alone so often without an end, as was its family.
fn verdict(alone: u32, of_family: u32) -> Verdict {
    if alone.max(of_family) < ALONE_MAX {
        Verdict::Try
    } else if alone < ALONE_MAX + ENDS_MAX {
        Verdict::Convicted
    } else {
        Verdict::PassOver
    }
}

fn family(what: &str) -> Option<&str> {
    what.split_once('/').map(|(family, _)| family)
}

/// One that waits for its turn, for as long as it is there.
struct Waits<'a>(&'a watch::Sender<usize>);

impl<'a> Waits<'a> {
    fn new(waiting: &'a watch::Sender<usize>) -> Self {
        waiting.send_modify(|waiting| *waiting += 1);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting -= 1);
    }
}

/// This process, as an operator finds it.
fn instance() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let (pid, version) = (std::process::id(), env!("CARGO_PKG_VERSION"));
    format!("{} pid {pid}, version {version}", host.trim())
}

impl Inner {
    fn of_family(&self, what: &str) -> u32 {
        let count = family(what).and_then(|family| lock(&self.families).get(family).copied());
        count.unwrap_or(0)
    }

    async fn stream(&self) -> Result<Stream<()>, Error> {
        let stream = self.connection.jetstream.get_stream_no_info(QUARANTINE);
        stream.await.map_err(Error::unavailable)
    }

    async fn read_all(&self) -> Result<HashMap<String, Mark>, Error> {
        let all = subject::quarantined(&self.consumer, ">");
        let stream = self.stream().await?;
        let subjects = stream.info_with_subjects(all).await;
        let subjects = subjects.map_err(Error::unavailable)?;
        let prefix = subject::quarantined(&self.consumer, "").len();
        let marks = subjects
            .map_err(Error::unavailable)
            .map_ok(|(subject, _)| async move {
                let what = subject[prefix..].to_owned();
                let mark = self.read(&what).await?;
                Ok(mark.map(|mark| (what, mark)))
            })
            .try_buffer_unordered(READ_AT_ONCE)
            .try_filter_map(|mark| std::future::ready(Ok(mark)));
        marks.try_collect().await
    }

    /// By the stream's leader. A mark that this version cannot read says no more than that the
    /// message was begun.
    async fn read(&self, what: &str) -> Result<Option<Mark>, Error> {
        let subject = subject::quarantined(&self.consumer, what);
        let stream = self.stream().await?;
        match stream.get_last_raw_message_by_subject(&subject).await {
            Ok(message) => Ok(Some(serde_json::from_slice(&message.payload).unwrap_or(
                Mark {
                    begun: 1,
                    alone: 0,
                    request: None,
                    by: String::new(),
                    at: Timestamp::UNIX_EPOCH,
                },
            ))),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(Error::unavailable(error)),
        }
    }

    async fn write(&self, what: &str, mark: &Mark) -> Result<(), Error> {
        let body = serde_json::to_vec(mark).map_err(|error| Error::corrupt("a mark", error))?;
        let subject = subject::quarantined(&self.consumer, what);
        let headers = async_nats::HeaderMap::new();
        let published = self.connection.publish(subject, headers, body.into()).await;
        published.map(|_| ()).map_err(Error::of_refusal)
    }

    async fn remove(&self, what: &str) -> Result<(), Error> {
        let subject = subject::quarantined(&self.consumer, what);
        let purged = self.stream().await?.purge().filter(subject).await;
        purged.map(|_| ()).map_err(Error::unavailable)
    }
}
