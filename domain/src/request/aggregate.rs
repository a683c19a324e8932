use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;

use super::{Command, Event, Rejection, State, decide, evolve};

/// The aggregate contract of cqrs-es over the pure functions. The `async` comes from the contract;
/// nothing here ever waits.
impl Aggregate for State {
    const TYPE: &'static str = "request";
    type Command = Command;
    type Event = Event;
    type Error = Rejection;
    type Services = ();

    async fn handle(
        &mut self,
        command: Command,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), Rejection> {
        for event in decide(self, command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Event) {
        *self = evolve(std::mem::take(self), &event);
    }
}
