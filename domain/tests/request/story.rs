//! Given, when, then. What `then` leaves is given again, so that the same command can be told
//! once more in the line below: again, nothing.

use domain::request::{Command, Effect, Event, Rejection, Request, State, decide, evolve, react};

/// A request with a history.
#[derive(Clone, Debug)]
pub struct Given(pub State);

/// A command that was decided.
#[derive(Debug)]
pub struct When {
    state: State,
    decided: Result<Vec<Event>, Rejection>,
}

/// A request of which nothing was ever heard.
pub fn given_nothing() -> Given {
    Given(State::Absent)
}

pub fn given(events: impl IntoIterator<Item = Event>) -> Given {
    given_nothing().and(events)
}

impl Given {
    /// What happened then.
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
    pub fn request(&self) -> &Request {
        self.0.request().expect("there is a request")
    }

    /// What the orchestrator does about an event, however late it comes to it.
    pub fn effects(&self, event: &Event) -> Vec<Effect> {
        react(&self.0, event)
    }
}

impl When {
    /// These events and no others.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = Event>) -> Given {
        let expected: Vec<Event> = expected.into_iter().collect();
        let events = self.decided.expect("the command is obeyed");
        assert_eq!(events, expected);
        Given(self.state).and(events)
    }

    /// No events: it is obeyed already, or there is nothing to do.
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
