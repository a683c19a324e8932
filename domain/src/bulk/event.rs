use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Became, ItemNumber, Outlook};
use crate::access::Tenant;
use crate::request::Payload;

/// What an operation does to each of its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Run failed requests again, and put back messages that could not be read.
    Redrive,
    /// Stop requests.
    Cancel,
    /// Discard dead letters.
    Discard,
}

/// The error for a text that is not an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an operation does `redrive`, `cancel` or `discard`")]
pub struct InvalidAction;

impl Action {
    /// The action as a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Redrive => "redrive",
            Self::Cancel => "cancel",
            Self::Discard => "discard",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Action {
    type Err = InvalidAction;

    fn from_str(text: &str) -> Result<Self, InvalidAction> {
        match text {
            "redrive" => Ok(Self::Redrive),
            "cancel" => Ok(Self::Cancel),
            "discard" => Ok(Self::Discard),
            _ => Err(InvalidAction),
        }
    }
}

/// A fact about a bulk operation. It never changes. Its JSON form may only grow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// The selection was made and is fixed.
    Drafted(Box<Drafted>),
    /// Somebody started it.
    Started(Started),
    /// The action is about to be taken for these items.
    Asking(Asking),
    /// Some items went on.
    Told(Told),
    /// Nothing more is asked for until somebody resumes it.
    Paused(Paused),
    /// Somebody resumed it.
    Resumed(Actor),
    /// Somebody ended it. The items that waited are skipped.
    Cancelled(Cancelled),
    /// Too many items failed. The items that waited are skipped.
    Stopped(Stopped),
    /// Every item has ended.
    Completed,
}

/// The caller who acts, and the person for whom that caller says it acts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Actor {
    /// The caller.
    pub by: String,
    /// The person for whom that caller says it acts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
}

/// The data of [`Event::Drafted`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drafted {
    /// The tenant of every item.
    pub tenant: Tenant,
    /// What is done to each item.
    pub action: Action,
    /// The number of items.
    pub selected: u32,
    /// The items: the JSON of a [`super::Selection`].
    pub selection: Payload,
    /// The filter that made the selection, as JSON.
    pub filter: String,
    /// What would happen to the items when the selection was made.
    pub outlook: Outlook,
    /// Who drafted it.
    #[serde(flatten)]
    pub actor: Actor,
    /// Why, in that person's words. The history of each request has it.
    pub reason: String,
}

/// How an operation goes through its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// How many items are tried first. The others wait until these have ended, and one that fails
    /// pauses the operation. 0 tries none first.
    #[serde(default)]
    pub canary: u32,
    /// How many items are asked for in a second at most.
    pub per_second: u32,
    /// After how many failed items the operation stops; none where it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_after_failures: Option<u32>,
}

/// The data of [`Event::Started`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    /// How the operation goes through its items.
    pub plan: Plan,
    /// Who started it.
    #[serde(flatten)]
    pub actor: Actor,
}

/// The data of [`Event::Asking`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asking {
    /// The items, in order.
    pub items: Vec<ItemNumber>,
}

/// The data of [`Event::Told`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// How the items went on.
    pub outcomes: Vec<Outcome>,
}

/// How one item went on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The item.
    pub item: ItemNumber,
    /// What became of it.
    pub became: Became,
}

/// The data of [`Event::Paused`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Paused {
    /// Somebody paused it.
    By(Actor),
    /// So many items of the canary failed.
    Canary(u32),
}

/// The data of [`Event::Cancelled`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {
    /// Who ended it.
    #[serde(flatten)]
    pub actor: Actor,
    /// Why, in that person's words.
    #[serde(default)]
    pub reason: String,
}

/// The data of [`Event::Stopped`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// How many items had failed.
    pub failed: u32,
}
