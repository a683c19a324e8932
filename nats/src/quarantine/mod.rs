//! Containment of messages that end the process that works on them.
//!
//! The broker redelivers such a message, and it ends the next process. The same happens to every
//! message that was being worked on beside it. A message that comes again without an answer is
//! therefore begun under a *mark*, which is stored before the work and removed after it. A mark
//! that is found says that the work under it never ended. From then on that message is begun
//! *alone*: beside no other suspect, while all other work continues. A message that was begun alone
//! [`ALONE_MAX`] times and never ended is convicted.

mod marks;
mod survivors;

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::request::RequestId;
use tokio::sync::watch;

use crate::{Connection, Error};
pub use marks::Mark;
use marks::Marks;
use survivors::Survivors;

/// How often a suspect is begun alone before it is convicted.
pub const ALONE_MAX: u32 = 2;
/// How often the failing of a convicted suspect is begun alone before the suspect is passed over.
pub const ENDS_MAX: u32 = 2;
/// How many panics of one message in one process convict the message.
pub const PANICS_MAX: u32 = 3;
/// The most suspects that wait for their turn alone. Further ones are begun in company.
pub const WAITING_MAX: usize = 16;
/// How long a suspect that was begun alone before waits, so that others that come at about the same
/// time go first.
const DEFER: Duration = Duration::from_millis(500);
/// The number of messages whose panics are counted.
const PANICKED_MAX: usize = 10_000;

/// The number of suspects whose mark may or may not be stored.
const UNSURE_MAX: usize = 10_000;

/// How a suspect without a mark is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// Alone at once, for short work.
    Alone,
    /// Together with others, for work that may take long. If the process ends again, only the
    /// suspects that were under way are then begun alone.
    InCompany,
}

/// The decision about a suspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Work on it.
    Try,
    /// Do not work on it again: it fails its own request.
    Convicted,
    /// Set it aside, because even the failing of its request ends the process.
    PassOver,
}

/// A suspect that was begun, under a mark that is stored.
pub struct Begun {
    /// The decision about it.
    pub verdict: Verdict,
    /// How often it was begun before and never ended.
    pub lost: u32,
    /// Its mark as found, where there was one. The mark names the process that began it last.
    pub found: Option<Mark>,
    what: String,
    /// Whether it was begun under a mark. A suspect whose family is convicted needs none.
    marked: bool,
    /// Held for as long as it is alone.
    _alone: Option<tokio::sync::OwnedMutexGuard<()>>,
}

/// The suspects of one consumer. The name of a message is one or more subject tokens. The part of
/// the name before a slash is its family, such as the request of a task. Whenever a member was
/// begun alone and never ended, this counts for each member, so that a family is convicted as fast
/// as one message.
#[derive(Clone)]
pub struct Quarantine(Arc<Inner>);

struct Inner {
    stored: Marks,
    first: First,
    /// The marks of this consumer, as far as this process knows them.
    marks: Mutex<HashMap<String, Mark>>,
    /// How often earlier processes began members of a family alone without ending them.
    families: Mutex<HashMap<String, u32>>,
    /// The messages that this process survived. A message that comes again because an answer was
    /// lost, or because it is wanted again, is not a suspect.
    survived: Survivors,
    panics: Mutex<HashMap<String, u32>>,
    /// The marks as they were found, of suspects whose new mark may or may not be stored: the broker
    /// did not answer. The next beginning here must not take that mark for a lost process.
    unsure: Mutex<HashMap<String, Option<Mark>>>,
    alone: Arc<tokio::sync::Mutex<()>>,
    waiting: watch::Sender<usize>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Quarantine {
    /// Opens the quarantine of a consumer, with the marks that are there.
    pub async fn open(
        connection: &Connection,
        consumer: &str,
        first: First,
    ) -> Result<Self, Error> {
        let inner = Inner {
            stored: Marks::new(connection, consumer),
            first,
            marks: Mutex::default(),
            families: Mutex::default(),
            survived: Survivors::default(),
            panics: Mutex::default(),
            unsure: Mutex::default(),
            alone: Arc::default(),
            waiting: watch::Sender::new(0),
        };
        let marks = inner.stored.read_all().await?;
        if !marks.is_empty() {
            tracing::warn!(
                consumer,
                marks = marks.len(),
                "work that was begun and never ended will run alone"
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

    /// The marks of this consumer, as far as this process knows them.
    #[must_use]
    pub fn marks(&self) -> HashMap<String, Mark> {
        lock(&self.0.marks).clone()
    }

    /// The suspects that were convicted and have not ended since.
    #[must_use]
    pub fn convicted(&self) -> Vec<String> {
        let marks = lock(&self.0.marks);
        let convicted = marks.iter().filter(|(_, mark)| mark.alone >= ALONE_MAX);
        convicted.map(|(what, _)| what.clone()).collect()
    }

    /// Whether a message must be begun under a mark. `again` says that it may have been begun
    /// before, for instance by the broker's count of deliveries. A message that this process has
    /// worked on and survived is not a suspect. A message that has a mark always is.
    #[must_use]
    pub fn is_suspect(&self, what: impl Display + Hash, again: bool) -> bool {
        let quiet = lock(&self.0.marks).is_empty();
        if quiet && !again {
            // Nearly every message returns here.
            return false;
        }
        if again && self.0.survived.lost(&what).is_none() {
            return true;
        }
        let what = what.to_string();
        lock(&self.0.marks).contains_key(&what) || self.0.of_family(&what) >= ALONE_MAX
    }

    /// How often a message that this process has worked on was lost before.
    #[must_use]
    pub fn lost(&self, what: impl Hash) -> u32 {
        self.0.survived.lost(what).unwrap_or(0)
    }

    /// Notes that this process has worked on a message and survived. `lost` says how often the
    /// message was lost before.
    pub fn survived(&self, what: impl Hash, lost: u32) {
        self.0.survived.note(what, lost);
    }

    /// Notes that the work on a message has ended well.
    pub fn done(&self, what: impl Display + Hash) {
        self.survived(&what, 0);
        let mut panics = lock(&self.0.panics);
        if !panics.is_empty() {
            panics.remove(&what.to_string());
        }
    }

    /// Counts a panic of this message, and returns whether the count convicts it.
    #[must_use]
    pub fn panicked(&self, what: impl Display) -> bool {
        let mut panics = lock(&self.0.panics);
        if panics.len() >= PANICKED_MAX {
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

    /// Signals each change in the number of waiting suspects.
    #[must_use]
    pub fn waiting_changes(&self) -> watch::Receiver<usize> {
        self.0.waiting.subscribe()
    }

    /// Begins a suspect: waits for its turn where it must be alone, and stores its mark. The caller
    /// ends it with [`Self::end`]. A suspect that is only dropped keeps its mark.
    pub async fn begin(
        &self,
        what: impl Display,
        request: Option<RequestId>,
    ) -> Result<Begun, Error> {
        self.begin_as(self.0.first, what, request).await
    }

    /// Like `begin`, but begins a suspect without a mark in another way than the rest of this
    /// consumer.
    pub async fn begin_as(
        &self,
        first: First,
        what: impl Display,
        request: Option<RequestId>,
    ) -> Result<Begun, Error> {
        let (inner, what) = (&self.0, what.to_string());
        let unsure = lock(&inner.unsure).remove(&what);
        let found = match unsure {
            Some(found) => found,
            None => inner.stored.read(&what).await?,
        };
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
        let company = first == First::InCompany || self.waiting() >= WAITING_MAX;
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
            ..Mark::new(request)
        };
        if let Err(error) = inner.stored.write(&what, &mark).await {
            let mut unsure = lock(&inner.unsure);
            if unsure.len() >= UNSURE_MAX {
                unsure.clear();
            }
            unsure.insert(what, found);
            return Err(error);
        }
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

    /// Removes the mark of a suspect: whatever the outcome of the work, the process survived. Where
    /// the broker does not hear of it, the mark stays, and costs the next message of this name a
    /// turn alone.
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
        if let Err(error) = self.0.stored.remove(&begun.what).await {
            tracing::debug!(what = begun.what, %error, "could not remove a mark");
        }
    }

    /// Restores the mark of a suspect as it was found, although the process survived. Either the
    /// verdict could not be carried out now, or the family is still to be known by the mark.
    pub async fn leave(&self, begun: Begun) {
        let Some(found) = begun.found.clone() else {
            return self.end(begun).await;
        };
        if let Err(error) = self.0.stored.write(&begun.what, &found).await {
            tracing::debug!(what = begun.what, %error, "could not restore a mark");
        }
        lock(&self.0.marks).insert(begun.what, found);
    }
}

/// Decides about a suspect by how often it, and how often its family, was begun alone and never
/// ended.
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

/// A suspect that waits for its turn. It is counted until this value is dropped.
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

impl Inner {
    fn of_family(&self, what: &str) -> u32 {
        let count = family(what).and_then(|family| lock(&self.families).get(family).copied());
        count.unwrap_or(0)
    }
}
