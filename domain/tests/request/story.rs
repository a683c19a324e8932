//! Given, when, then. What `then` leaves is given again, so that the same command can be told
//! once more in the line below: again, nothing.

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
        assert_eq!(self.decided, Ok(Decision::Events(expected.clone())));
        Given(self.state).and(expected)
    }

    /// No events: it is obeyed already, or there is nothing to do.
    #[track_caller]
    pub fn then_nothing(self) -> Given {
        self.then([])
    }

    /// The group ends, and the steps from this group on are asked for.
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
