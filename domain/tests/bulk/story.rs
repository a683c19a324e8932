//! Given, when, then, as in the stories of requests.

use domain::bulk::{Command, Counts, Event, Operation, Rejection, State, decide, evolve};

/// An operation with a history.
pub struct Given(pub State);

/// A command that was decided.
pub struct When {
    state: State,
    decided: Result<Vec<Event>, Rejection>,
}

pub fn given(events: impl IntoIterator<Item = Event>) -> Given {
    Given(State::Absent).and(events)
}

impl Given {
    /// Adds later events.
    pub fn and(self, events: impl IntoIterator<Item = Event>) -> Self {
        Self(events.into_iter().fold(self.0, |s, e| evolve(s, &e)))
    }

    pub fn when(self, command: Command) -> When {
        When {
            decided: decide(&self.0, command),
            state: self.0,
        }
    }

    #[track_caller]
    pub fn operation(&self) -> &Operation {
        self.0.operation().expect("there is an operation")
    }

    #[track_caller]
    pub fn counts(&self) -> Counts {
        self.operation().counts
    }
}

impl When {
    /// Expects these events and no others.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = Event>) -> Given {
        let expected: Vec<Event> = expected.into_iter().collect();
        assert_eq!(self.decided, Ok(expected.clone()));
        Given(self.state).and(expected)
    }

    /// Expects no events: the command is obeyed already, or there is nothing to do.
    #[track_caller]
    pub fn then_nothing(self) -> Given {
        self.then([])
    }

    #[track_caller]
    pub fn then_refused(self, expected: Rejection) -> Given {
        assert_eq!(self.decided, Err(expected));
        Given(self.state)
    }
}
