//! Given, when, then. The state after `then` is given again, so that the next line can repeat the
//! command, which then changes nothing.

use domain::request::{
    Command, Decision, Effect, Event, GroupIndex, Rejection, Request, State, decide, evolve, react,
};

/// A request with a history.
#[derive(Clone, Debug)]
pub struct Given(pub State);

/// A command that was decided.
#[derive(Debug)]
pub struct When {
    state: State,
    decided: Result<Decision, Rejection>,
}

/// A request without any history.
pub fn given_nothing() -> Given {
    Given(State::Absent)
}

pub fn given(events: impl IntoIterator<Item = Event>) -> Given {
    given_nothing().and(events)
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
    pub fn request(&self) -> &Request {
        self.0.request().expect("there is a request")
    }

    /// The effects of an event, however late the orchestrator handles it.
    pub fn effects(&self, event: &Event) -> Vec<Effect> {
        react(&self.0, event)
    }
}

impl When {
    /// Expects these events and no others.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = Event>) -> Given {
        let expected: Vec<Event> = expected.into_iter().collect();
        assert_eq!(self.decided, Ok(Decision::Events(expected.clone())));
        Given(self.state).and(expected)
    }

    /// Expects no events: the command is obeyed already, or there is nothing to do.
    #[track_caller]
    pub fn then_nothing(self) -> Given {
        self.then([])
    }

    /// Expects the group to end, and a request for the steps from this group on.
    #[track_caller]
    pub fn then_needs_steps(self, from: u32) -> Given {
        assert_eq!(
            self.decided,
            Ok(Decision::NeedsSteps(GroupIndex::new(from)))
        );
        Given(self.state)
    }

    #[track_caller]
    pub fn then_refused(self, expected: Rejection) -> Given {
        assert_eq!(self.decided, Err(expected));
        Given(self.state)
    }
}
