//! What workers and timers said, told by the events that take it down.

use domain::request::{Event, Outcome, Report, State, Verdict};

/// What workers and timers must have said for these events.
pub fn reports(state: &State, events: &[Event]) -> Vec<Report> {
    let mut reports = Vec::new();
    let request = state.request();
    for event in events {
        match event {
            Event::TaskSucceeded(e) => reports.push(Report::Outcome(Outcome {
                group: e.group,
                task: e.task,
                run: None,
                attempt: e.attempt,
                worker: e.worker.clone(),
                started_at: e.started_at,
                duration_ms: e.duration_ms,
                given: e.given.clone(),
                checked: false,
                verdict: Verdict::Succeeded(e.result.clone()),
            })),
            Event::TaskFailed(e) => reports.push(Report::Outcome(Outcome {
                group: e.group,
                task: e.task,
                run: None,
                attempt: e.attempt.attempt,
                worker: e.attempt.worker.clone(),
                started_at: e.attempt.started_at,
                duration_ms: e.attempt.duration_ms,
                given: e.given.clone(),
                checked: false,
                verdict: Verdict::Failed {
                    fault: e.attempt.fault.clone(),
                    next: e.next.clone(),
                },
            })),
            Event::GroupTimedOut { group } => {
                let deadline = request
                    .and_then(|r| r.running())
                    .map(|group| group.deadline);
                reports.extend(deadline.map(|deadline| Report::GroupTimedOut {
                    group: *group,
                    deadline,
                }));
            }
            Event::Failed(e) if e.failure.code == "request-timed-out" => {
                let run = request.map_or(0, |request| request.redrives);
                reports.push(Report::RequestTimedOut { run });
            }
            _ => {}
        }
    }
    reports
}
