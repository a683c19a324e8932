//! The check of a worker in any language. It plays the part of the broker and of the orchestrator
//! (`docs/worker-protocol.md`) with a real nats-server of its own, and judges the worker by what
//! passes there.

mod judge;
mod passed;
mod process;
mod record;
mod scene;
mod stories;

use std::time::Duration;

pub use stories::{STORIES, Story};

/// The worker to check, and what the check may expect of it.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program and its arguments. `{nats}` in one stands for the URL of the server.
    pub command: Vec<String>,
    /// The task type of the worker.
    pub task_type: String,
    /// How long a task may be without a sign of life.
    pub lease: Duration,
    /// How long the worker may take to start, and for a task.
    pub patience: Duration,
    /// How long it may take to end after SIGTERM.
    pub grace: Duration,
    /// The attempts of a task, as the worker has them.
    pub attempts: u32,
    /// The task documents.
    pub documents: Documents,
}

/// Task documents that this worker treats in certain ways. A rule whose document is missing is not
/// checked.
#[derive(Clone, Debug)]
pub struct Documents {
    /// One that the worker values.
    pub plain: String,
    /// One that it cannot value.
    pub failing: String,
    /// One that it takes longer for than a lease.
    pub slow: Option<String>,
    /// One in whose result it writes the trace parent that it was given.
    pub trace: Option<String>,
}

/// How a story ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The worker does what the protocol wants.
    Right,
    /// It could not be checked, for this reason.
    NotChecked(String),
    /// What the worker gets wrong and what to do, each as a sentence; and the end of its output.
    Wrong(Vec<String>, String),
}

/// Why the check itself failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The nats-server did not start.
    #[error(transparent)]
    Server(#[from] servers::Error),
    /// The broker failed.
    #[error(transparent)]
    Nats(#[from] nats::Error),
    /// A folder could not be made, or the worker could not be started.
    #[error("{what}: {error}")]
    Io {
        /// What failed.
        what: String,
        /// Why.
        error: std::io::Error,
    },
    /// The worker ended although nobody asked it to.
    #[error("the worker ended by itself ({0}): it must run until SIGTERM")]
    WorkerEnded(std::process::ExitStatus),
}

/// Tells one story to a worker of its own.
///
/// # Errors
/// [`Error`], where the check itself failed. What the worker gets wrong is no error.
pub async fn check(story: &Story, options: &Options) -> Result<Verdict, Error> {
    let needed = story.needs.map(|needs| (needs.find)(&options.documents));
    if let (Some(None), Some(needs)) = (needed, story.needs) {
        let why = format!("give {} ({})", needs.flag, needs.about);
        return Ok(Verdict::NotChecked(why));
    }
    let mut scene = scene::Scene::open(options).await?;
    let told = (story.tell)(&mut scene).await;
    let verdict = match told {
        Ok(verdict) => verdict,
        Err(ended @ Error::WorkerEnded(_)) => {
            Verdict::Wrong(vec![ended.to_string()], String::new())
        }
        Err(error) => {
            scene.close().await;
            return Err(error);
        }
    };
    let output = scene.close().await;
    Ok(match verdict {
        Verdict::Wrong(said, _) => Verdict::Wrong(said, output),
        other => other,
    })
}

pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
    let what = what.into();
    move |error| Error::Io { what, error }
}
