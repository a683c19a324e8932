use domain::request::AttemptNumber;

use super::{Message, World};
use crate::words::*;

impl World {
    /// A worker runs an attempt and reports it. The ack of its report or of its task may be lost.
    pub(super) fn work(&mut self) {
        let place = self.chance.pick(self.queue.len());
        let message = &mut self.queue[place];
        message.delivered += 1;
        let Message { group, task, .. } = *message;
        let attempt = message.before.plus(message.delivered);
        let script = self.script[group.index()][task.index().unwrap()];
        let redriven = message.earlier > AttemptNumber::NONE;
        let in_run = attempt.since(message.earlier);
        let (group, task, attempt) = (group.get(), task.get(), attempt.get());
        let report = match in_run <= script.failures {
            true => again(group, task, attempt),
            false if script.succeeds || redriven => ok(group, task, attempt),
            false => given_up(group, task, attempt),
        };
        let ended = in_run > script.failures;
        let acked = !self.chance.strikes();
        if ended && (acked || !script.succeeds) {
            self.queue.remove(place);
        }
        if !acked {
            self.reports.push(report.clone());
        }
        self.reports.push(report);
    }
}
