//! The stories that the check tells a worker, each about a rule of the protocol.

mod alike;
mod ending;
mod failing;
mod lease;
mod tasks;

use futures::future::BoxFuture;

use crate::scene::Scene;
use crate::{Documents, Error, Verdict};

/// What a story ends with.
pub(crate) type Told<'a> = BoxFuture<'a, Result<Verdict, Error>>;

/// A story about one rule.
pub struct Story {
    /// The name, by which it can be chosen.
    pub name: &'static str,
    /// The rule.
    pub about: &'static str,
    /// The document without which it cannot be told.
    pub(crate) needs: Option<Needs>,
    pub(crate) tell: for<'s> fn(&'s mut Scene<'_>) -> Told<'s>,
}

/// A document that a story needs.
#[derive(Clone, Copy)]
pub(crate) struct Needs {
    pub flag: &'static str,
    pub about: &'static str,
    pub find: fn(&Documents) -> Option<&String>,
}

const SLOW: Needs = Needs {
    flag: "--slow FILE",
    about: "a task document that takes the worker longer than the lease",
    find: |documents| documents.slow.as_ref(),
};
const TRACE: Needs = Needs {
    flag: "--trace FILE",
    about: "a task document in whose result the worker writes the trace parent that it was given",
    find: |documents| documents.trace.as_ref(),
};

macro_rules! stories {
    ($($name:literal, $about:literal, $needs:expr, $tell:path;)*) => {
        /// Every story, in the order in which they are told.
        pub const STORIES: &[Story] = &[$(Story {
            name: $name,
            about: $about,
            needs: $needs,
            tell: |scene| Box::pin($tell(scene)),
        },)*];
    };
}

stories! {
    "task", "it takes a task, reports it, and answers it only then", None, tasks::task;
    "counts", "its report has the attempt, the run and what else the task says", None, tasks::counts;
    "large", "it fetches a large document, and stores a large result", None, tasks::large;
    "trace", "it hands on the trace parent of the submission", Some(TRACE), tasks::trace;
    "unreported", "it keeps a task whose report the broker does not take, and repeats the report", None, tasks::unreported;
    "restart", "it takes tasks again after the broker was restarted", None, tasks::restart;
    "failure", "a failed attempt is reported with its consequence", None, failing::failure;
    "last", "at the last attempt it leaves a dead letter", None, failing::last;
    "earlier", "attempts before a redrive do not count", None, failing::earlier;
    "letter", "it reports a dead letter that is there, and does not run the task", None, failing::letter;
    "lease", "it extends the lease of a task that takes long", Some(SLOW), lease::lease;
    "late", "it does not answer a task that came while it was suspended", None, lease::late;
    "lost", "it does not answer a task whose lease has ended", Some(SLOW), lease::lost;
    "stop", "it stops a task that nobody wants any more", Some(SLOW), lease::stop;
    "end", "at SIGTERM it finishes or gives back what it has, and ends", None, ending::end;
}

/// The verdict of some faults.
fn verdict(faults: Vec<String>) -> Verdict {
    if faults.is_empty() {
        Verdict::Right
    } else {
        Verdict::Wrong(faults, String::new())
    }
}
