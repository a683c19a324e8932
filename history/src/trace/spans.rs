//! The spans of a run that has ended.

use domain::request::{RequestId, Run, SpanId, SpanOf, Status, TraceId, TraceParent};
use jiff::Timestamp;

use super::attempt::Attempt;
use super::fold::{End, Fold};
use super::group::Group;
use super::{Attributes, Happened, Kind, Span, Trace, Value, choice};

/// The name of the span of a run.
const VALUATION: &str = "valuation";
/// The attribute with the code of a failure.
const ERROR_TYPE: &str = "error.type";

/// The trace of a request whose caller records none.
pub(super) const fn own(request: RequestId) -> TraceId {
    TraceId::of(request)
}

/// The trace of a run.
pub(super) fn of(fold: &Fold, from: Timestamp, end: &End) -> Trace {
    let recorded = fold.caller.as_ref().filter(|caller| caller.is_sampled());
    let id = recorded.map_or_else(|| own(fold.request), TraceParent::trace_id);
    let groups = choice::of_groups(&fold.groups);
    let attempts = choice::of_attempts(&fold.groups);
    let mut spans = vec![root(fold, id, from, end)];
    let root = spans[0].id;
    for ((group, is_shown), shown) in fold.groups.iter().zip(groups).zip(attempts) {
        let mut parent = root;
        if is_shown {
            let span = of_group(fold, group, root, end);
            parent = span.id;
            spans.push(span);
        }
        let is_sample = shown.contains(&false);
        let shown = group.attempts.iter().zip(shown).filter(|(_, shown)| *shown);
        spans.extend(shown.map(|(attempt, _)| of_attempt(fold, group, attempt, parent, is_sample)));
    }
    Trace {
        id,
        state: recorded.and(fold.state.clone()),
        spans,
    }
}

fn root(fold: &Fold, trace: TraceId, from: Timestamp, end: &End) -> Span {
    let span_of = |run| SpanId::of(fold.request, SpanOf::Run(run));
    let mut links = Vec::new();
    let mut parent = None;
    match &fold.caller {
        Some(caller) if caller.is_sampled() => parent = Some(caller.span_id()),
        Some(caller) => links.push((caller.trace_id(), caller.span_id())),
        None => {}
    }
    if let Some(before) = fold.run.get().checked_sub(1) {
        links.push((trace, span_of(Run::new(before))));
    }
    let sum = |count: fn(&Group) -> usize| fold.groups.iter().map(count).sum::<usize>();
    let mut attributes: Attributes = vec![
        (
            "fanfold.request.id",
            fold.request.to_string().as_str().into(),
        ),
        ("fanfold.request.status", end.status.as_str().into()),
        ("fanfold.run", fold.run.get().into()),
        ("fanfold.groups", fold.groups.len().into()),
        ("fanfold.tasks", sum(|group| group.tasks as usize).into()),
        ("fanfold.attempts", sum(|group| group.attempts.len()).into()),
    ];
    if let Some(origin) = fold.origin.filter(|_| fold.run == Run::FIRST) {
        attributes.push(("fanfold.forked.from", origin.to_string().as_str().into()));
    }
    attributes.extend(error_type(end.code.as_deref()));
    let mut events = fold.happened.clone();
    if end.status == Status::Cancelled {
        events.push(Happened {
            name: "cancelled",
            at: end.at,
            attributes: Vec::new(),
        });
    }
    Span {
        id: span_of(fold.run),
        parent,
        name: VALUATION.to_owned(),
        kind: Kind::Internal,
        from,
        to: end.at,
        error: end.code.clone(),
        attributes,
        events,
        links,
    }
}

fn of_group(fold: &Fold, group: &Group, parent: SpanId, end: &End) -> Span {
    let mut attributes: Attributes = vec![
        ("fanfold.group", group.index.get().into()),
        ("fanfold.tasks", group.tasks.into()),
        ("fanfold.tasks.succeeded", group.succeeded.into()),
        ("fanfold.tasks.failed", group.given_up.into()),
        ("fanfold.attempts", group.attempts.len().into()),
        ("fanfold.attempts.retried", group.retried.into()),
    ];
    if let Some(name) = &group.name {
        attributes.push(("fanfold.group.name", name.as_str().into()));
    }
    if group.taken_over > 0 {
        attributes.push(("fanfold.tasks.taken_over", group.taken_over.into()));
    }
    if let Some([median, p95, most]) = group.quantiles(Attempt::ran_ms) {
        attributes.push(("fanfold.ran.p50_ms", median.into()));
        attributes.push(("fanfold.ran.p95_ms", p95.into()));
        attributes.push(("fanfold.ran.max_ms", most.into()));
    }
    if let Some([median, p95, _]) = group.quantiles(|attempt| attempt.queued_ms) {
        attributes.push(("fanfold.queued.p50_ms", median.into()));
        attributes.push(("fanfold.queued.p95_ms", p95.into()));
    }
    attributes.extend(error_type(group.error()));
    Span {
        id: SpanId::of(fold.request, SpanOf::Group(fold.run, group.index)),
        parent: Some(parent),
        name: group.label(),
        kind: Kind::Internal,
        from: group.from,
        to: group.to.unwrap_or(end.at),
        error: group.error().map(str::to_owned),
        attributes,
        events: Vec::new(),
        links: Vec::new(),
    }
}

fn of_attempt(
    fold: &Fold,
    group: &Group,
    attempt: &Attempt,
    parent: SpanId,
    is_sample: bool,
) -> Span {
    let queue = format!("tasks.{}", attempt.task_type);
    let mut attributes: Attributes = vec![
        ("messaging.system", "nats".into()),
        ("messaging.operation.type", "process".into()),
        ("messaging.destination.name", queue.as_str().into()),
        ("fanfold.group", group.index.get().into()),
        ("fanfold.task", attempt.task.get().into()),
        ("fanfold.attempt", attempt.number.get().into()),
        ("fanfold.worker", (&*attempt.worker).into()),
        ("fanfold.queued_ms", attempt.queued_ms.into()),
    ];
    let failed = attempt.failed.as_ref();
    attributes.extend(error_type(failed.map(|failed| &*failed.code)));
    if is_sample {
        attributes.push(("fanfold.sample.of", group.attempts.len().into()));
    }
    let of = SpanOf::Attempt(group.index, attempt.task, attempt.number);
    Span {
        id: SpanId::of(fold.request, of),
        parent: Some(parent),
        name: format!("process {queue}"),
        kind: Kind::Consumer,
        from: attempt.from,
        to: attempt.to,
        error: failed.map(|failed| failed.code.to_string()),
        attributes,
        events: Vec::new(),
        links: Vec::new(),
    }
}

fn error_type(code: Option<&str>) -> Option<(&'static str, Value)> {
    code.map(|code| (ERROR_TYPE, code.into()))
}
