//! The kinds of events, one row for each. All code that lists events reads this table.

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventKind {
    /// See [`super::Event::Received`].
    Received,
    /// See [`super::Event::ResourcesCaptured`].
    ResourcesCaptured,
    /// See [`super::Event::GroupStarted`].
    GroupStarted,
    /// See [`super::Event::TaskSucceeded`].
    TaskSucceeded,
    /// See [`super::Event::TaskFailed`].
    TaskFailed,
    /// See [`super::Event::GroupTimedOut`].
    GroupTimedOut,
    /// See [`super::Event::GroupCompleted`].
    GroupCompleted,
    /// See [`super::Event::Succeeded`].
    Succeeded,
    /// See [`super::Event::Failed`].
    Failed,
    /// See [`super::Event::Cancelled`].
    Cancelled,
    /// See [`super::Event::Redriven`].
    Redriven,
    /// See [`super::Event::Forked`].
    Forked,
}

/// Whether a request ends with an event.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Yes,
    No,
}

/// Whether an event is published on the lifecycle feed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Feed {
    Published,
    /// The event occurs once for every task, which is too often for a feed.
    HistoryOnly,
}

/// A row of the table.
struct Row {
    kind: EventKind,
    name: &'static str,
    ends: Ends,
    feed: Feed,
}

const fn row(kind: EventKind, name: &'static str, ends: Ends, feed: Feed) -> Row {
    Row {
        kind,
        name,
        ends,
        feed,
    }
}

const TABLE: [Row; 12] = {
    use EventKind as Kind;
    [
        row(Kind::Received, "received", Ends::No, Feed::Published),
        row(
            Kind::ResourcesCaptured,
            "resources-captured",
            Ends::No,
            Feed::Published,
        ),
        row(
            Kind::GroupStarted,
            "group-started",
            Ends::No,
            Feed::Published,
        ),
        row(
            Kind::TaskSucceeded,
            "task-succeeded",
            Ends::No,
            Feed::HistoryOnly,
        ),
        row(Kind::TaskFailed, "task-failed", Ends::No, Feed::Published),
        row(
            Kind::GroupTimedOut,
            "group-timed-out",
            Ends::No,
            Feed::Published,
        ),
        row(
            Kind::GroupCompleted,
            "group-completed",
            Ends::No,
            Feed::Published,
        ),
        row(Kind::Succeeded, "succeeded", Ends::Yes, Feed::Published),
        row(Kind::Failed, "failed", Ends::Yes, Feed::Published),
        row(Kind::Cancelled, "cancelled", Ends::Yes, Feed::Published),
        row(Kind::Redriven, "redriven", Ends::No, Feed::Published),
        row(Kind::Forked, "forked", Ends::No, Feed::Published),
    ]
};

impl EventKind {
    /// Every kind, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> + Clone {
        TABLE.iter().map(|row| row.kind)
    }

    /// The kind with this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let row = TABLE.iter().find(|row| row.name == name)?;
        Some(row.kind)
    }

    const fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// The name of the kind in the log, the feed and the views.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// Returns whether an event of this kind ends the request.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self.row().ends, Ends::Yes)
    }

    /// Returns whether the lifecycle feed has events of this kind.
    #[must_use]
    pub const fn is_in_feed(self) -> bool {
        matches!(self.row().feed, Feed::Published)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_row() {
        for (place, kind) in EventKind::all().enumerate() {
            assert_eq!(kind as usize, place);
            assert_eq!(EventKind::of_name(kind.name()), Some(kind));
        }
        assert_eq!(EventKind::of_name("nonsense"), None);
    }
}
