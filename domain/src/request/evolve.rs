use super::{
    Attempt, AttemptNumber, Event, Group, GroupIndex, GroupStarted, Next, Phase, Received,
    Redriven, Request, Run, State, TaskFailed, TaskNumber, TaskState, TaskSucceeded,
};

/// The state after one more event. The function is total and has no rules, because everything in
/// the log has happened. An event that does not fit changes nothing.
#[must_use]
pub fn evolve(state: State, event: &Event) -> State {
    match (state, event) {
        (State::Absent, Event::Received(received)) => State::Present(Box::new(begun(received))),
        (State::Present(mut request), event) => {
            apply(&mut request, event);
            request.revision += 1;
            State::Present(request)
        }
        (state, _) => state,
    }
}

fn begun(received: &Received) -> Request {
    Request {
        document: received.document.clone(),
        fingerprint: received.fingerprint.clone(),
        groups: received.groups.clone(),
        tenant: received.tenant.clone(),
        traceparent: received.traceparent.clone(),
        tracestate: received.tracestate.clone(),
        resources: Vec::new(),
        completed: Vec::new(),
        run: Run::FIRST,
        revision: 1,
        phase: Phase::Planning,
    }
}

fn apply(request: &mut Request, event: &Event) {
    match event {
        Event::Received(_) | Event::Forked(_) | Event::GroupTimedOut { .. } => {}
        Event::ResourcesCaptured(captured) => {
            request.resources.extend(captured.resources.iter().cloned());
        }
        Event::GroupStarted(started) => request.phase = Phase::Running(new_group(started)),
        Event::TaskSucceeded(succeeded) => task_succeeded(request, succeeded),
        Event::TaskFailed(failed) => task_failed(request, failed),
        Event::GroupCompleted { .. } => {
            if let Some(group) = take_group(request) {
                request.completed.push(results(group));
            }
        }
        Event::Succeeded(_) => request.phase = Phase::Succeeded,
        Event::Failed(failed) => {
            let group = take_group(request);
            let failure = failed.failure.clone();
            request.phase = Phase::Failed { failure, group };
        }
        Event::Cancelled(_) => {
            let group = take_group(request);
            request.phase = Phase::Cancelled { group };
        }
        Event::Redriven(redriven) => redrive(request, redriven),
    }
}

fn new_group(started: &GroupStarted) -> Group {
    Group {
        index: started.group,
        tasks: (0..started.tasks)
            .map(|_| TaskState::Pending {
                attempts: Vec::new(),
                earlier: AttemptNumber::NONE,
            })
            .collect(),
        succeeded: 0,
        failed: 0,
        deadline: started.deadline,
    }
}

/// Takes the group out of the phase, which becomes planning.
fn take_group(request: &mut Request) -> Option<Group> {
    match std::mem::replace(&mut request.phase, Phase::Planning) {
        Phase::Running(group) => Some(group),
        Phase::Failed { group, .. } | Phase::Cancelled { group } => group,
        Phase::Planning | Phase::Succeeded => None,
    }
}

fn results(group: Group) -> Vec<super::Payload> {
    group
        .tasks
        .into_iter()
        .filter_map(|task| match task {
            TaskState::Succeeded(result) => Some(result),
            TaskState::Pending { .. } | TaskState::Failed(..) => None,
        })
        .collect()
}

fn group_mut(request: &mut Request, index: GroupIndex) -> Option<&mut Group> {
    let group = match &mut request.phase {
        Phase::Running(group) => group,
        Phase::Failed { group, .. } | Phase::Cancelled { group } => group.as_mut()?,
        Phase::Planning | Phase::Succeeded => return None,
    };
    (group.index == index).then_some(group)
}

fn task_mut(group: &mut Group, number: TaskNumber) -> Option<&mut TaskState> {
    group.tasks.get_mut(number.index()?)
}

fn task_succeeded(request: &mut Request, event: &TaskSucceeded) {
    let Some(group) = group_mut(request, event.group) else {
        return;
    };
    let Some(task) = task_mut(group, event.task) else {
        return;
    };
    if matches!(task, TaskState::Pending { .. }) {
        *task = TaskState::Succeeded(event.result.clone());
        group.succeeded += 1;
    }
}

fn task_failed(request: &mut Request, event: &TaskFailed) {
    let Some(group) = group_mut(request, event.group) else {
        return;
    };
    let Some(task) = task_mut(group, event.task) else {
        return;
    };
    match task {
        TaskState::Pending { attempts, .. } => {
            insert(attempts, event.attempt.clone());
            if let Next::DeadLetter(letter) = &event.next {
                *task = TaskState::Failed(std::mem::take(attempts), letter.clone());
                group.failed += 1;
            }
        }
        TaskState::Failed(attempts, _) => insert(attempts, event.attempt.clone()),
        TaskState::Succeeded(_) => {}
    }
}

/// Keeps the attempts ordered by number, whatever order they were reported in.
fn insert(attempts: &mut Vec<Attempt>, attempt: Attempt) {
    let place = attempts.partition_point(|a| a.attempt < attempt.attempt);
    attempts.insert(place, attempt);
}

fn redrive(request: &mut Request, redriven: &Redriven) {
    request.run = redriven.run;
    let Some(mut group) = take_group(request) else {
        return;
    };
    for task in &mut group.tasks {
        let earlier = task.last_attempt();
        if let TaskState::Failed(attempts, _) | TaskState::Pending { attempts, .. } = task {
            let attempts = std::mem::take(attempts);
            *task = TaskState::Pending { attempts, earlier };
        }
    }
    group.failed = 0;
    group.deadline = redriven.deadline;
    request.phase = Phase::Running(group);
}
