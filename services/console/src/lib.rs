//! The console: pages about every request and about the whole system, for people.
//!
//! The pages are a face of the ring of questions and commands (`history`, `operations`), as the
//! command line and HTTP are. They are rendered here, so that each can be read without scripts, and
//! so that the same pages open a bundle without any server.

mod action;
mod alarms;
mod assets;
mod commands;
mod fields;
mod filter;
mod frame;
mod live;
mod origin;
mod page;
mod part;
mod questions;
mod request;
mod routes;
#[cfg(test)]
mod tests;
mod trouble;
mod urls;
mod visit;

use std::sync::Arc;

use runtime::Shutdown;
use tokio::sync::Semaphore;

pub use action::session;
pub use origin::Origin;
pub use questions::{Questions, SettingLine, TakeQuota};
pub use routes::{Route, refused, routes};

/// What the pages are made from.
pub struct Console {
    pub(crate) questions: Questions,
    pub(crate) origin: Origin,
    pub(crate) tokens: action::Tokens,
    pub(crate) sessions: action::Sessions,
    /// The places of the browsers that follow changes.
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) shutdown: Shutdown,
}

/// The system has no random numbers for the forms.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers for the forms of the console")]
pub struct NoRandomNumbers;

impl Console {
    /// The pages on these questions, until shutdown.
    pub fn new(
        questions: Questions,
        origin: Origin,
        shutdown: Shutdown,
    ) -> Result<Self, NoRandomNumbers> {
        Ok(Self {
            questions,
            origin,
            tokens: action::Tokens::new().map_err(|_| NoRandomNumbers)?,
            sessions: action::Sessions::default(),
            streams: Arc::new(Semaphore::new(live::STREAMS_MAX)),
            shutdown,
        })
    }
}
