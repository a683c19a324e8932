use domain::request::{Advance, Command, Effect, GroupIndex, Report, react};

use super::{Message, World};
use crate::words::*;

impl World {
    /// Performs the effects of a commit. The ack may be lost.
    pub(super) fn perform(&mut self) {
        let place = self.chance.pick(self.outbox.len());
        let commit = self.outbox[place];
        if !self.chance.strikes() {
            self.outbox.remove(place);
        }
        for event in self.log[commit].clone() {
            for effect in react(&self.state, &event) {
                self.apply(&effect);
            }
        }
    }

    fn apply(&mut self, effect: &Effect) {
        match *effect {
            Effect::Advance => self.advance(Vec::new()),
            Effect::Dispatch { group } | Effect::DispatchMore { group } => self.dispatch(group),
            Effect::SetGroupTimer { group, deadline } => {
                self.group_timers.insert(group, deadline);
            }
            Effect::ClearGroupTimer { group } => {
                let timer = self.group_timers.remove(&group);
                // Clearing is best effort: the timer may have fired already.
                if let Some(deadline) = timer.filter(|_| self.chance.strikes()) {
                    self.reports.push(Report::GroupTimedOut { group, deadline });
                }
            }
            Effect::SetRequestTimer { run } => self.request_timer = Some(run),
            Effect::ClearRequestTimer => self.request_timer = None,
            Effect::StopTasks => self.queue.clear(),
            Effect::CompleteDeadLetter { .. } => {}
            Effect::SetTaskTimer { .. } => panic!("no delay is that long here"),
        }
    }

    /// Fires a timer. The broker then no longer has it.
    pub(super) fn fire(&mut self) {
        if let Some((group, deadline)) = self.group_timers.pop_first() {
            self.reports.push(Report::GroupTimedOut { group, deadline });
        } else if let Some(run) = self.request_timer.take() {
            self.reports.push(Report::RequestTimedOut { run });
        }
    }

    /// Dispatches a task. A task that is still in the queue is not sent twice.
    fn dispatch(&mut self, index: GroupIndex) {
        let running = self.request().running().filter(|g| g.index == index);
        let pending: Vec<Message> = running.map_or_else(Vec::new, |group| {
            let messages = group.numbered().map(|(task, state)| Message {
                group: index,
                task,
                before: state.last_attempt(),
                earlier: state.earlier_attempts(),
                delivered: 0,
            });
            let open = group.pending().collect::<Vec<_>>();
            messages.filter(|m| open.contains(&m.task)).collect()
        });
        for message in pending {
            let there = |m: &Message| (m.group, m.task) == (message.group, message.task);
            if !self.queue.iter().any(there) {
                self.queue.push(message);
            }
        }
    }

    /// The orchestrator receives some of the waiting reports. Their acks may be lost.
    pub(super) fn gather(&mut self) {
        let mut batch = Vec::new();
        for _ in 0..=self.chance.pick(self.reports.len()) {
            let place = self.chance.pick(self.reports.len());
            batch.push(self.reports.remove(place));
        }
        if self.chance.strikes() {
            self.reports.extend(batch.iter().cloned());
        }
        self.advance(batch);
    }

    fn advance(&mut self, reports: Vec<Report>) {
        let mut advance = Advance {
            reports,
            steps: None,
            now: at(0),
            rules: self.rules,
        };
        if let Some(next) = self.try_to(Command::Advance(advance.clone())) {
            advance.steps = in_order(next.get(), self.steps(next));
            self.obey(Command::Advance(advance));
        }
    }

    fn steps(&self, next: GroupIndex) -> Vec<Step> {
        let mut steps = Vec::new();
        for tasks in &self.script[next.index()..] {
            steps.push(group(u32::try_from(tasks.len()).unwrap()));
            if !tasks.is_empty() {
                return steps;
            }
        }
        steps.push(Step::Response(response()));
        steps
    }
}
