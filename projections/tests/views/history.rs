//! Possible histories: the commits of random commands, decided by the domain.

use std::num::NonZeroU32;
use std::time::Duration;

use domain::request::{
    Advance, AttemptNumber, Command, Decision, Event, Fault, GroupIndex, Next, Outcome, Recorded,
    Report, Rules, Run, Sequence, State, Steps, TaskNumber, Then, Verdict, decide, evolve,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::words::{TASKS, at, failure, id, received};

/// A commit, and the state after it.
#[derive(Clone, Debug)]
pub struct Commit {
    pub sequence: u64,
    pub events: Vec<Event>,
    pub state: State,
}

impl Commit {
    pub fn recorded(&self) -> impl Iterator<Item = Recorded<Event>> + '_ {
        (0..).zip(&self.events).map(|(index, event)| Recorded {
            request: id(),
            sequence: Sequence::new(self.sequence),
            index,
            at: at(self.sequence),
            tenant: domain::access::Tenant::default(),
            traceparent: None,
            event: event.clone(),
        })
    }
}

fn outcome(group: u32, task: u32, attempt: u32, verdict: Verdict) -> Report {
    Report::Outcome(Outcome {
        run: None,
        group: GroupIndex::new(group),
        task: TaskNumber::new(task),
        attempt: AttemptNumber::new(attempt),
        worker: "w1".into(),
        started_at: at(0),
        duration_ms: 20,
        given: None,
        checked: false,
        exhausted: false,
        verdict,
    })
}

fn ok() -> Verdict {
    Verdict::Succeeded("<result/>".into())
}

fn fails(next: Next) -> Verdict {
    let fault = Fault {
        code: "exit-75".into(),
        message: "no curve for EUR".into(),
        causes: Vec::new(),
    };
    Verdict::Failed { fault, next }
}

fn report() -> impl Strategy<Value = Report> {
    let verdict = prop_oneof![
        6 => Just(ok()),
        2 => Just(fails(Next::RetryAt(at(60)))),
        1 => Just(fails(Next::DeadLetter("letter".into()))),
    ];
    let outcome = (
        prop_oneof![Just(0_u32), Just(2)],
        1..4_u32,
        1..6_u32,
        verdict,
    )
        .prop_map(|(group, task, attempt, verdict)| outcome(group, task, attempt, verdict));
    let group_fires = (0..3_u32).prop_map(|group| Report::GroupTimedOut {
        group: GroupIndex::new(group),
        deadline: at(900),
    });
    prop_oneof![
        30 => outcome,
        1 => group_fires,
        1 => (0..3_u32).prop_map(|run| Report::RequestTimedOut { run: Run::new(run) }),
    ]
}

fn command() -> impl Strategy<Value = (Command, bool)> {
    let rules = any::<bool>().prop_map(|fail_fast| Rules {
        group_timeout: Duration::from_mins(15),
        fail_fast,
    });
    let advance = (vec(report(), 0..5), rules.clone()).prop_map(|(reports, rules)| {
        Command::Advance(Advance {
            reports,
            steps: None,
            now: at(0),
            rules,
        })
    });
    let by = || "ada".to_owned();
    let redrive = rules.prop_map(move |rules| Command::Redrive {
        by: by(),
        on_behalf_of: None,
        reason: "again".into(),
        now: at(0),
        rules,
        only: None,
    });
    let cancel = Command::Cancel {
        by: by(),
        on_behalf_of: None,
        reason: "wrong date".into(),
    };
    let any_of_them = prop_oneof![
        20 => advance,
        6 => redrive,
        1 => Just(cancel),
        1 => Just(Command::Abort(failure())),
    ];
    (any_of_them, prop::bool::weighted(0.1))
}

/// The steps from group `from` on.
fn steps(from: u32, fails: bool) -> Steps {
    if fails {
        let (empty, then) = (Vec::new(), Then::Failure(failure()));
        return Steps {
            from: GroupIndex::new(from),
            empty,
            then,
        };
    }
    let rest = &TASKS[from as usize..];
    let tasks = rest.iter().find_map(|tasks| NonZeroU32::new(*tasks));
    let empty = rest.iter().take_while(|tasks| **tasks == 0);
    Steps {
        from: GroupIndex::new(from),
        empty: empty.map(|_| None).collect(),
        then: match tasks {
            Some(tasks) => Then::Group { name: None, tasks },
            None => Then::Response("<response/>".into()),
        },
    }
}

fn obeyed(state: &State, command: Command, fails: bool) -> Vec<Event> {
    let command = match (decide(state, command.clone()), command) {
        (Ok(Decision::Events(events)), _) => return events,
        (Ok(Decision::NeedsSteps(from)), Command::Advance(advance)) => Command::Advance(Advance {
            steps: Some(steps(from.get(), fails)),
            ..advance
        }),
        _ => return Vec::new(),
    };
    match decide(state, command) {
        Ok(Decision::Events(events)) => events,
        undecided => panic!("it has its steps: {undecided:?}"),
    }
}

/// The commits of one request. Commits of other requests lie between them in the log.
pub fn history() -> impl Strategy<Value = Vec<Commit>> {
    vec((command(), 1..4_u64), 0..40).prop_map(|commands| {
        let submit = Command::Submit(Box::new(received()));
        let commands = std::iter::once(((submit, false), 1)).chain(commands);
        let mut commits: Vec<Commit> = Vec::new();
        for ((command, fails), gap) in commands {
            let last = commits.last().cloned();
            let (before, state) = last.map_or((0, State::Absent), |c| (c.sequence, c.state));
            let events = obeyed(&state, command, fails);
            if !events.is_empty() {
                commits.push(Commit {
                    sequence: before + gap,
                    state: events.iter().fold(state, evolve),
                    events,
                });
            }
        }
        commits
    })
}
