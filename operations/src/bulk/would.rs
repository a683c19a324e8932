//! The dry run of one item.

use domain::bulk::{Action, Would};
use domain::request::{RequestId, Status};
use nats::{Error, ExecuteError, Kept, Letter};

use crate::Operations;

/// The reason of a request that the log has lost.
pub(super) const GONE: &str = "the log no longer has the request";
/// The reason of a request that somebody else cancelled.
pub(super) const CANCELLED_ALREADY: &str = "it is cancelled already";

impl Operations {
    pub(super) async fn would_to_request(
        &self,
        action: Action,
        id: RequestId,
        status: Option<Status>,
    ) -> Result<Would, Error> {
        let Some(status) = status else {
            return Ok(Would::Skip(GONE.into()));
        };
        let decided = match action {
            Action::Cancel if status == Status::Cancelled => {
                return Ok(Would::Skip(CANCELLED_ALREADY.into()));
            }
            Action::Cancel => self.would_cancel(id).await,
            Action::Redrive => self.would_redrive(id).await,
            // Only dead letters are discarded, and the selection says so.
            Action::Discard => return Ok(Would::Skip(GONE.into())),
        };
        match decided {
            Ok(()) => Ok(Would::Act),
            Err(ExecuteError::Refused(rejection)) => Ok(Would::Refuse(rejection.to_string())),
            Err(ExecuteError::Log(error)) => Err(error),
        }
    }

    pub(super) fn would_to_letter(action: Action, kept: &Kept) -> Would {
        match (action, &kept.letter) {
            (Action::Discard, _) => Would::Act,
            (Action::Redrive, Letter::Unread(unread)) if unread.can_be_put_back() => Would::Act,
            (Action::Redrive, Letter::Unread(unread)) => Would::Refuse(stays(&unread.subject)),
            _ => Would::Refuse("its request is not known".into()),
        }
    }
}

/// Why a message that was stored as a dead letter cannot be retried.
pub(super) fn stays(subject: &str) -> String {
    if subject.starts_with("lifecycle.") || subject.starts_with("tenants.") {
        "an event stays in the feed: tell its receiver yourself, and discard the letter".into()
    } else {
        "a commit stays in the log: start a version that can read it".into()
    }
}
