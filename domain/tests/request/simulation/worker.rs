use super::{Message, World};
use crate::words::*;

impl World {
    /// A worker runs an attempt and reports it. The ack of its report or of its task may be lost.
    pub(super) fn work(&mut self) {
        let place = self.chance.pick(self.queue.len());
        let message = &mut self.queue[place];
        message.delivered += 1;
        let Message { group, task, .. } = *message;
        let attempt = message.before + message.delivered;
        let script = self.script[group as usize][task as usize - 1];
        let redriven = message.earlier > 0;
        let report = match attempt - message.earlier <= script.failures {
            true => again(group, task, attempt),
            false if script.succeeds || redriven => ok(group, task, attempt),
            false => given_up(group, task, attempt),
        };
        let ended = attempt - message.earlier > script.failures;
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
