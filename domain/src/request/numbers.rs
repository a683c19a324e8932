//! The numbers by which a request, its groups, its tasks and its commits are told apart. Each is a
//! type, so that one is not taken for another. Their stored and public form is the bare number.

use std::borrow::Cow;
use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// A type around a bare number: it is read, written and shown as that number.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident($bare:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name($bare);

        impl $name {
            /// Makes it from the bare number.
            #[must_use]
            pub const fn new(number: $bare) -> Self {
                Self(number)
            }

            /// The bare number.
            #[must_use]
            pub const fn get(self) -> $bare {
                self.0
            }

            /// The one after this; the largest stays.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        /// The bare number too: log lines and messages show it.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        /// The schema of the bare number, in its place: derived, it would be a definition.
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                <$bare>::inline_schema()
            }

            fn schema_name() -> Cow<'static, str> {
                <$bare>::schema_name()
            }

            fn schema_id() -> Cow<'static, str> {
                <$bare>::schema_id()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                <$bare>::json_schema(generator)
            }
        }

        impl FromStr for $name {
            type Err = ParseIntError;

            fn from_str(text: &str) -> Result<Self, ParseIntError> {
                text.parse().map(Self)
            }
        }
    };
}

number! {
    /// A group of a document: its index among the groups of that document, from 0.
    GroupIndex(u32)
}

number! {
    /// A task of a group: its number within the group, from 1. A report of a third party may say 0,
    /// which no group has.
    TaskNumber(u32)
}

number! {
    /// An attempt of a task: its number by the broker's count of deliveries, from 1 over all runs.
    /// 0 stands for none.
    AttemptNumber(u32)
}

number! {
    /// A run of a request: 0 is the submission, and each redrive begins the next one.
    Run(u32)
}

number! {
    /// Where a commit is in its stream: the broker counts from 1 over all requests of the stream. 0
    /// is before the first.
    Sequence(u64)
}

impl GroupIndex {
    /// The first group.
    pub const FIRST: Self = Self(0);

    /// Every index, from the first.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..).map(Self)
    }

    /// The group after so many groups.
    #[must_use]
    pub fn after(groups: usize) -> Self {
        Self(u32::try_from(groups).unwrap_or(u32::MAX))
    }

    /// The place of the group in a list of all groups.
    #[must_use]
    pub fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl TaskNumber {
    /// The first task.
    pub const FIRST: Self = Self(1);

    /// Every number, from the first.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..).map(Self)
    }

    /// The tasks of a group of this size, in order.
    pub fn up_to(count: u32) -> impl Iterator<Item = Self> + Clone {
        (1..=count).map(Self)
    }

    /// Whether a group of this size has the task.
    #[must_use]
    pub const fn is_within(self, size: u32) -> bool {
        self.0 >= 1 && self.0 <= size
    }

    /// The place of the task in a list of all tasks of its group; `None` for 0, which no task has.
    #[must_use]
    pub fn index(self) -> Option<usize> {
        usize::try_from(self.0.checked_sub(1)?).ok()
    }
}

impl AttemptNumber {
    /// No attempt.
    pub const NONE: Self = Self(0);
    /// The first attempt.
    pub const FIRST: Self = Self(1);

    /// The attempt that comes so many later.
    #[must_use]
    pub const fn plus(self, more: u32) -> Self {
        Self(self.0.saturating_add(more))
    }

    /// How many attempts there are after an earlier one, up to this.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Run {
    /// The run of the submission.
    pub const FIRST: Self = Self(0);

    /// How many redrives led to this run.
    #[must_use]
    pub const fn redrives(self) -> u32 {
        self.0
    }
}

impl Sequence {
    /// Before the first commit.
    pub const NONE: Self = Self(0);
    /// The first commit of a stream.
    pub const FIRST: Self = Self(1);
    /// After every commit.
    pub const MAX: Self = Self(u64::MAX);

    /// The sequence so many commits later.
    #[must_use]
    pub const fn plus(self, commits: u64) -> Self {
        Self(self.0.saturating_add(commits))
    }

    /// The sequence so many commits earlier, or 0.
    #[must_use]
    pub const fn minus(self, commits: u64) -> Self {
        Self(self.0.saturating_sub(commits))
    }

    /// The sequence before this one.
    #[must_use]
    pub const fn before(self) -> Self {
        self.minus(1)
    }

    /// How many sequences there are after an earlier one, up to this.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The sequences from this one to the last, both included.
    pub fn through(self, last: Self) -> impl Iterator<Item = Self> {
        (self.0..=last.0).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_is_written_read_and_shown_as_the_bare_number() {
        let number = TaskNumber::new(17);
        assert_eq!(serde_json::to_value(number).unwrap(), json!(17));
        assert_eq!(
            serde_json::from_value::<TaskNumber>(json!(17)).unwrap(),
            number
        );
        assert_eq!("17".parse(), Ok(number));
        assert_eq!(format!("{number} {number:?} {number:>4}"), "17 17   17");
        assert_eq!(format!("{:?}", Some(Run::FIRST)), "Some(0)");
    }

    #[test]
    fn the_schema_of_a_number_is_that_of_the_bare_number() {
        assert_eq!(
            schemars::schema_for!(GroupIndex),
            schemars::schema_for!(u32)
        );
        assert_eq!(schemars::schema_for!(Sequence), schemars::schema_for!(u64));
    }

    #[test]
    fn no_group_has_a_task_0() {
        let none = TaskNumber::new(0);
        assert_eq!((none.index(), none.is_within(3)), (None, false));
        let places: Vec<_> = TaskNumber::up_to(3).map(TaskNumber::index).collect();
        assert_eq!(places, [Some(0), Some(1), Some(2)]);
        assert!(TaskNumber::new(3).is_within(3) && !TaskNumber::new(4).is_within(3));
    }

    #[test]
    fn the_next_of_the_largest_is_the_largest() {
        assert_eq!(Sequence::MAX.next(), Sequence::MAX);
        assert_eq!(Sequence::NONE.before(), Sequence::NONE);
        assert_eq!(GroupIndex::after(2), GroupIndex::FIRST.next().next());
    }
}
