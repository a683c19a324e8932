//! The room for new requests on the disk of the broker. The API refuses submissions while too
//! little is left, before the broker itself refuses writes. The rest is the reserve in which
//! accepted requests end.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use nats::{Connection, Filled};
use runtime::{Disk, Shutdown};

use crate::http::problem::Problem;

/// How often the API looks at the room.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Above this part of a limit of the broker, in hundredths, submissions are refused.
const FILLED_MAX_PERCENT: u64 = 90;
/// How long the API asks a refused caller to wait, in seconds.
const RETRY_AFTER: u64 = 30;

/// Whether there is room for new requests.
pub struct Storage {
    /// The data folder of the broker, if this process started it.
    folder: Option<PathBuf>,
    shards: u8,
    is_full: AtomicBool,
    /// What is full; empty where there is room.
    full: Mutex<String>,
}

impl Storage {
    pub fn new(folder: Option<PathBuf>, shards: u8) -> Self {
        Self {
            folder,
            shards,
            is_full: AtomicBool::new(false),
            full: Mutex::default(),
        }
    }

    /// Refuses a submission while there is no room for it.
    pub fn pass(&self) -> Result<(), Problem> {
        if !self.is_full.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(full(&format!(
            "{}; nothing was stored. Submit it again once an operator has made room",
            self.reason()
        )))
    }

    /// What is full; empty where there is room.
    pub fn reason(&self) -> String {
        let full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        full.clone()
    }

    /// Looks at the room until the process ends. A failed look changes nothing.
    pub async fn watch(&self, connection: &Connection, shutdown: &Shutdown) {
        loop {
            match self.look(connection).await {
                Ok(reason) => self.note(&reason),
                Err(error) => tracing::debug!(%error, "could not look at the room for requests"),
            }
            if !shutdown.pause(LOOK_EVERY).await {
                return;
            }
        }
    }

    fn note(&self, reason: &str) {
        let is_full = !reason.is_empty();
        reason.clone_into(&mut self.full.lock().unwrap_or_else(PoisonError::into_inner));
        if is_full != self.is_full.swap(is_full, Ordering::Relaxed) {
            if is_full {
                tracing::error!(
                    reason,
                    "submissions are refused until there is room for them"
                );
            } else {
                tracing::warn!("there is room again: submissions are accepted");
            }
        }
    }

    /// What is full; empty where there is room.
    async fn look(&self, connection: &Connection) -> Result<String, nats::Error> {
        if let Some(reason) = self.own_disk() {
            return Ok(reason);
        }
        let filled = connection.filled(self.shards).await?;
        let full = filled.into_iter().find(is_full);
        Ok(full.map_or_else(String::new, |filled| {
            let Filled { what, used, limit } = filled;
            format!("{what} has {used} of at most {limit} bytes")
        }))
    }

    fn own_disk(&self) -> Option<String> {
        let folder = self.folder.as_deref()?;
        let disk = Disk::of(folder).ok()?;
        disk.is_nearly_full().then(|| {
            format!(
                "the disk of the broker has {} bytes free, of which accepted requests need {}",
                disk.free,
                disk.reserve()
            )
        })
    }
}

fn is_full(filled: &Filled) -> bool {
    u128::from(filled.used) * 100 > u128::from(filled.limit) * u128::from(FILLED_MAX_PERCENT)
}

/// The error where the broker has no room for a new request.
pub fn full(message: &str) -> Problem {
    let status = StatusCode::INSUFFICIENT_STORAGE;
    Problem::new(status, "storage-full", message).retry_after(RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(used: u64, limit: u64) -> Filled {
        let what = "x".to_owned();
        Filled { what, used, limit }
    }

    #[test]
    fn a_tenth_of_each_limit_of_the_broker_is_kept_for_accepted_requests() {
        assert!(!is_full(&filled(900, 1_000)));
        assert!(is_full(&filled(901, 1_000)));
        assert!(!is_full(&filled(u64::MAX / 2, u64::MAX)));
    }

    #[test]
    fn submissions_are_refused_from_the_time_at_which_something_is_full() {
        let storage = Storage::new(None, 1);
        assert!(storage.pass().is_ok());
        storage.note("the log is full");
        assert!(storage.pass().is_err());
        storage.note("");
        assert!(storage.pass().is_ok());
    }
}
