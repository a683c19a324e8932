use super::{GroupIndex, Phase, Request, TaskNumber};

/// Something without which an open request would never end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// The timer of the whole request.
    RequestTimer,
    /// The timer of the running group.
    GroupTimer(GroupIndex),
    /// The message of a task that is released and has not ended. A timer that will dispatch the
    /// task, or its waiting outcome, stands in for it.
    Task(GroupIndex, TaskNumber),
    /// The next step. No message asks for it: the commit before it does, until it is acked.
    NextStep,
}

/// Returns what this request needs in order to end: its timers, the messages of its released tasks,
/// or its next step. A request that has ended needs nothing.
#[must_use]
pub fn needs(request: &Request) -> Vec<Need> {
    if request.status().is_terminal() {
        return Vec::new();
    }
    let mut needs = vec![Need::RequestTimer];
    let Phase::Running(group) = &request.phase else {
        needs.push(Need::NextStep);
        return needs;
    };
    if !group.tasks.is_empty() {
        needs.push(Need::GroupTimer(group.index));
    }
    let released = group.released();
    let tasks = group.pending().take_while(|task| task.get() <= released);
    needs.extend(tasks.map(|task| Need::Task(group.index, task)));
    if group.pending().next().is_none() {
        needs.push(Need::NextStep);
    }
    needs
}
