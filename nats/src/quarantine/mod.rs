//! Containing what ends the process that works on it.
//!
//! A message whose work ends the process is delivered again and ends the next one, and so it is
//! with every message that was under way beside it. So whatever comes again without an answer is
//! begun under a *mark*, which is stored before the work and taken away after it. A mark that is
//! found says that the work under it never ended. From then on that message is begun *alone*:
//! beside no other suspect, while all else goes on. One that was begun alone [`ALONE_MAX`] times
//! and never ended is convicted.

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
/// How often a convict's end is begun alone before it is passed over.
pub const ENDS_MAX: u32 = 2;
/// How many panics of one message in one process convict it.
pub const PANICS_MAX: u32 = 3;
/// How many suspects wait for their turn alone, at the most; more are begun in company.
pub const WAITING_MAX: usize = 16;
/// One that was begun alone before lets others go first that come at about the same time.
const DEFER: Duration = Duration::from_millis(500);
/// Of how many messages panics are counted.
const PANICKED_MAX: usize = 10_000;

/// How a suspect without a mark is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// Alone at once, for work that is short.
    Alone,
    /// Together with others: only those that are under way when the process ends again are begun
    /// alone then. For work that may take long.
    InCompany,
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
    stored: Marks,
    first: First,
    /// The marks of this consumer as far as they are known here.
    marks: Mutex<HashMap<String, Mark>>,
    /// How often members of a family were begun alone without an end, by earlier processes.
    families: Mutex<HashMap<String, u32>>,
    /// What comes again because an answer was lost, or is wanted again, is no suspect.
    survived: Survivors,
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
            stored: Marks::new(connection, consumer),
            first,
            marks: Mutex::default(),
            families: Mutex::default(),
            survived: Survivors::default(),
            panics: Mutex::default(),
            alone: Arc::default(),
            waiting: watch::Sender::new(0),
        };
        let marks = inner.stored.read_all().await?;
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
    /// before, as by the broker's count of deliveries. One that this process itself has worked on,
    /// and lives, is none; one that has a mark always is.
    #[must_use]
    pub fn is_suspect(&self, what: impl Display + Hash, again: bool) -> bool {
        let quiet = lock(&self.0.marks).is_empty();
        if quiet && !again {
            // Nearly always.
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

    /// Notes that this process has worked on a message and lives, which was lost so often before.
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

    /// Counts a panic of this message; whether it is convicted by that.
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
        self.begin_as(self.0.first, what, request).await
    }

    /// The same, where one without a mark is begun otherwise than others of this consumer.
    pub async fn begin_as(
        &self,
        first: First,
        what: impl Display,
        request: Option<RequestId>,
    ) -> Result<Begun, Error> {
        let (inner, what) = (&self.0, what.to_string());
        let found = inner.stored.read(&what).await?;
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
        inner.stored.write(&what, &mark).await?;
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
        if let Err(error) = self.0.stored.remove(&begun.what).await {
            tracing::debug!(what = begun.what, %error, "a mark could not be taken away");
        }
    }

    /// Leaves the mark of a suspect as it was found, and the process lives: what its verdict asks
    /// for could not be done now, or its family is still to be known by it.
    pub async fn leave(&self, begun: Begun) {
        let Some(found) = begun.found.clone() else {
            return self.end(begun).await;
        };
        if let Err(error) = self.0.stored.write(&begun.what, &found).await {
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

impl Inner {
    fn of_family(&self, what: &str) -> u32 {
        let count = family(what).and_then(|family| lock(&self.families).get(family).copied());
        count.unwrap_or(0)
    }
}
