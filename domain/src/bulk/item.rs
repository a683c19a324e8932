use serde::{Deserialize, Serialize};

use crate::request::Run;

/// The position of an item in the selection, from 0.
pub type ItemNumber = u32;

/// The state of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// Nothing was done for it.
    Waiting,
    /// The action is being taken. After a crash it is unknown whether it was taken.
    Asking,
    /// The request runs again in this run, and has not ended.
    Running(Run),
    /// It ended as the action wants it.
    Done,
    /// The action was taken, and the request ended otherwise.
    Failed,
    /// The action was refused.
    Refused,
    /// The action was not taken.
    Skipped,
}

/// How an item went on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Became {
    /// The request runs again, in this run.
    Running(Run),
    /// It ended as the action wants it.
    Done,
    /// The action was taken, and the request ended otherwise, for this reason.
    Failed(String),
    /// The action was refused, for this reason.
    Refused(String),
    /// The action was not taken, for this reason.
    Skipped(String),
}

impl Item {
    /// Whether nothing more will happen to the item.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        matches!(
            self,
            Self::Done | Self::Failed | Self::Refused | Self::Skipped
        )
    }

    /// The state as a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Asking => "asking",
            Self::Running(_) => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Skipped => "skipped",
        }
    }
}

impl Became {
    /// The state that follows.
    #[must_use]
    pub const fn item(&self) -> Item {
        match self {
            Self::Running(run) => Item::Running(*run),
            Self::Done => Item::Done,
            Self::Failed(_) => Item::Failed,
            Self::Refused(_) => Item::Refused,
            Self::Skipped(_) => Item::Skipped,
        }
    }

    /// The reason, where there is one.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Running(_) | Self::Done => None,
            Self::Failed(reason) | Self::Refused(reason) | Self::Skipped(reason) => Some(reason),
        }
    }

    pub(super) fn reason_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Running(_) | Self::Done => None,
            Self::Failed(reason) | Self::Refused(reason) | Self::Skipped(reason) => Some(reason),
        }
    }
}
