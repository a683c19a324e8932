//! Any event at all, sensible or not.

use domain::request::{
    Attempt, AttemptNumber, Cancelled, Event, Failed, FailedTask, Failure, Fault, Forked, Given,
    GroupIndex, GroupOutline, GroupStarted, Next, Payload, Received, Redriven, RequestId, Resource,
    ResourcesCaptured, Run, Sequence, Succeeded, TaskFailed, TaskNumber, TaskSucceeded,
    TraceParent,
};
use jiff::Timestamp;
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    any::<String>()
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    // The years 1900 to 2200, to the nanosecond.
    (-2_208_988_800_i64..7_258_118_400, 0..1_000_000_000)
        .prop_map(|(second, nanosecond)| Timestamp::new(second, nanosecond).unwrap())
}

fn payload() -> impl Strategy<Value = Payload> {
    let inline = text().prop_map(|text| Payload::Inline(text.into()));
    let stored = (text(), any::<u64>()).prop_map(|(sha256, size)| Payload::Stored { sha256, size });
    prop_oneof![inline, stored]
}

fn trace_parent() -> impl Strategy<Value = TraceParent> {
    (1_u128.., 1_u64.., any::<u8>()).prop_map(|(trace, parent, flags)| {
        let text = format!("00-{trace:032x}-{parent:016x}-{flags:02x}");
        text.parse().unwrap()
    })
}

fn received() -> impl Strategy<Value = Event> {
    let outline =
        (of(text()), any::<u32>()).prop_map(|(name, valuations)| GroupOutline { name, valuations });
    let metadata = btree_map(text(), text(), 0..3);
    let said = (text(), text(), of(text()));
    (
        payload(),
        vec(outline, 0..3),
        metadata,
        of(trace_parent()),
        said,
    )
        .prop_map(
            |(
                document,
                groups,
                metadata,
                traceparent,
                (fingerprint, submitter, idempotency_key),
            )| {
                Event::Received(Box::new(Received {
                    document,
                    fingerprint,
                    groups,
                    metadata,
                    tenant: domain::access::Tenant::default(),
                    traceparent,
                    tracestate: None,
                    submitter,
                    idempotency_key,
                }))
            },
        )
}

fn captured() -> impl Strategy<Value = Event> {
    let resource = (text(), payload()).prop_map(|(uri, content)| Resource {
        sha256: Some(uri.clone()),
        uri,
        content,
    });
    vec(resource, 0..3)
        .prop_map(|resources| Event::ResourcesCaptured(ResourcesCaptured { resources }))
}

fn started() -> impl Strategy<Value = Event> {
    (any::<u32>(), of(text()), any::<u32>(), timestamp()).prop_map(
        |(group, name, tasks, deadline)| {
            Event::GroupStarted(GroupStarted {
                group: GroupIndex::new(group),
                name,
                tasks,
                deadline,
            })
        },
    )
}

fn attempt() -> impl Strategy<Value = Attempt> {
    let fault = (text(), text(), vec(text(), 0..3)).prop_map(|(code, message, causes)| Fault {
        code,
        message,
        causes,
    });
    (any::<u32>(), text(), timestamp(), any::<u64>(), fault).prop_map(
        |(attempt, worker, started_at, duration_ms, fault)| Attempt {
            attempt: AttemptNumber::new(attempt),
            worker,
            started_at,
            duration_ms,
            fault,
        },
    )
}

fn given() -> impl Strategy<Value = Option<Given>> {
    of((text(), of(text())).prop_map(|(task_type, sha256)| Given { task_type, sha256 }))
}

fn task_succeeded() -> impl Strategy<Value = Event> {
    let said = (any::<(u32, u32)>(), attempt(), given(), payload());
    said.prop_map(|((group, task), attempt, given, result)| {
        Event::TaskSucceeded(TaskSucceeded {
            group: GroupIndex::new(group),
            task: TaskNumber::new(task),
            attempt: attempt.attempt,
            worker: attempt.worker,
            started_at: attempt.started_at,
            duration_ms: attempt.duration_ms,
            given,
            result,
        })
    })
}

fn task_failed() -> impl Strategy<Value = Event> {
    let next = prop_oneof![
        timestamp().prop_map(Next::RetryAt),
        timestamp().prop_map(Next::DispatchAt),
        text().prop_map(Next::DeadLetter)
    ];
    let said = (any::<(u32, u32)>(), attempt(), given(), next);
    said.prop_map(|((group, task), attempt, given, next)| {
        Event::TaskFailed(TaskFailed {
            group: GroupIndex::new(group),
            task: TaskNumber::new(task),
            attempt,
            given,
            next,
        })
    })
}

fn failed() -> impl Strategy<Value = Event> {
    let task = (any::<u32>(), vec(attempt(), 0..3), of(text())).prop_map(
        |(task, attempts, dead_letter)| FailedTask {
            task: TaskNumber::new(task),
            attempts,
            dead_letter,
        },
    );
    let said = (text(), text(), of(any::<u32>()), any::<bool>());
    let cut = (of(any::<u32>()), any::<bool>());
    let failure = (said, vec(task, 0..3), cut);
    failure.prop_map(|(said, tasks, (task_count, truncated))| {
        let (code, message, group, redrive_may_help) = said;
        Event::Failed(Failed {
            failure: Failure {
                code,
                message,
                group: group.map(GroupIndex::new),
                tasks,
                redrive_may_help,
                task_count,
                truncated,
            },
        })
    })
}

fn redriven() -> impl Strategy<Value = Event> {
    let said = (text(), text(), any::<u32>());
    let what = (of(any::<u32>()), vec(any::<u32>(), 0..4), of(any::<u32>()));
    (said, what, timestamp()).prop_map(|((by, reason, run), what, deadline)| {
        let (group, tasks, task_count) = what;
        Event::Redriven(Redriven {
            by,
            on_behalf_of: None,
            reason,
            run: Run::new(run),
            group: group.map(GroupIndex::new),
            tasks: tasks.into_iter().map(TaskNumber::new).collect(),
            task_count,
            deadline,
        })
    })
}

fn forked() -> impl Strategy<Value = Event> {
    (any::<u128>(), any::<u64>(), text(), text()).prop_map(|(from, sequence, by, reason)| {
        Event::Forked(Forked {
            from: RequestId::new(uuid::Uuid::from_u128(from)),
            sequence: Sequence::new(sequence),
            by,
            on_behalf_of: None,
            reason,
        })
    })
}

pub fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        received(),
        captured(),
        started(),
        task_succeeded(),
        task_failed(),
        any::<u32>().prop_map(|group| Event::GroupTimedOut {
            group: GroupIndex::new(group)
        }),
        any::<u32>().prop_map(|group| Event::GroupCompleted {
            group: GroupIndex::new(group)
        }),
        payload().prop_map(|response| Event::Succeeded(Succeeded { response })),
        failed(),
        (text(), text()).prop_map(|(by, reason)| Event::Cancelled(Cancelled {
            by,
            on_behalf_of: None,
            reason
        })),
        redriven(),
        forked(),
    ]
}

fn small_group(group: GroupIndex) -> GroupIndex {
    GroupIndex::new(group.get() % 3)
}

fn small_task(task: TaskNumber) -> TaskNumber {
    TaskNumber::new(task.get() % 6)
}

/// Any event, with groups small enough for a state in a test.
pub fn small_event() -> impl Strategy<Value = Event> {
    event().prop_map(|mut event| {
        match &mut event {
            Event::GroupStarted(e) => (e.group, e.tasks) = (small_group(e.group), e.tasks % 5),
            Event::TaskSucceeded(e) => {
                (e.group, e.task) = (small_group(e.group), small_task(e.task));
            }
            Event::TaskFailed(e) => (e.group, e.task) = (small_group(e.group), small_task(e.task)),
            _ => {}
        }
        event
    })
}
