use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;

use super::{Command, Decision, Event, GroupIndex, Rejection, State, decide, evolve};

/// Why the framework commits nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecided {
    /// The command is rejected.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The decision needs the steps from this group on.
    #[error("the decision needs the steps from group {0} on")]
    NeedsSteps(GroupIndex),
}

/// The aggregate contract of cqrs-es over the pure functions. The `async` comes from the contract;
/// nothing here ever waits.
impl Aggregate for State {
    const TYPE: &'static str = "request";
    type Command = Command;
    type Event = Event;
    type Error = Undecided;
    type Services = ();

    async fn handle(
        &mut self,
        command: Command,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), Undecided> {
        match decide(self, command)? {
            Decision::NeedsSteps(from) => return Err(Undecided::NeedsSteps(from)),
            Decision::Events(events) => {
                for event in events {
                    sink.write(event, self).await;
                }
            }
        }
        Ok(())
    }

    fn apply(&mut self, event: Event) {
        *self = evolve(std::mem::take(self), &event);
    }
}
