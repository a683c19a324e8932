use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ITEM_REASON_MAX_BYTES;
use crate::request::bounds::cut;

/// The most reasons that an outlook tells apart.
pub const OUTLOOK_REASONS_MAX: usize = 20;
/// The reason of the others.
const OTHERS: &str = "other reasons";

/// What would happen to an item if the operation started now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Would {
    /// The action would be taken.
    Act,
    /// The action would be refused, for this reason.
    Refuse(String),
    /// The action would not be taken, for this reason.
    Skip(String),
}

/// How many items there are by what would happen to them: the dry run of a selection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outlook {
    /// The items for which the action would be taken.
    pub act: u32,
    /// The items for which it would be refused, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refuse: BTreeMap<String, u32>,
    /// The items for which it would not be taken, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skip: BTreeMap<String, u32>,
}

impl Outlook {
    /// All items.
    #[must_use]
    pub fn selected(&self) -> u32 {
        self.act + self.refuse.values().sum::<u32>() + self.skip.values().sum::<u32>()
    }
}

impl FromIterator<Would> for Outlook {
    fn from_iter<I: IntoIterator<Item = Would>>(all: I) -> Self {
        let mut outlook = Self::default();
        for would in all {
            match would {
                Would::Act => outlook.act += 1,
                Would::Refuse(reason) => add(&mut outlook.refuse, reason),
                Would::Skip(reason) => add(&mut outlook.skip, reason),
            }
        }
        outlook
    }
}

fn add(counts: &mut BTreeMap<String, u32>, mut reason: String) {
    cut(&mut reason, ITEM_REASON_MAX_BYTES);
    if !counts.contains_key(&reason) && counts.len() >= OUTLOOK_REASONS_MAX {
        OTHERS.clone_into(&mut reason);
    }
    *counts.entry(reason).or_default() += 1;
}
