//! The subjects of single messages. The filters of streams and consumers are declared with the
//! streams and consumers.

use std::fmt::Write as _;

use domain::access::Tenant;
use domain::bulk::OperationId;
use domain::request::{GroupIndex, PARTITIONS, RequestId, Run, TaskId};

/// The subject of the facts of the deployment.
pub(crate) const DEPLOYMENT: &str = "deployment";

/// The subjects under which the broker republishes every commit when it is stored.
pub(crate) const COMMITTED: &str = "committed.>";

/// How long most subjects are.
const USUAL_BYTES: usize = 96;

/// Formats a subject that is made for every task. It takes memory once.
macro_rules! subject {
    ($($part:tt)*) => {{
        let mut subject = String::with_capacity(USUAL_BYTES);
        // Writing to a string never fails.
        let _ = write!(subject, $($part)*);
        subject
    }};
}

pub(crate) fn log(id: RequestId) -> String {
    subject!("requests.{}.{id}", id.partition())
}

pub(crate) fn task(task_type: &str, id: TaskId) -> String {
    let TaskId {
        request,
        group,
        task,
    } = id;
    let partition = request.partition();
    subject!("tasks.{task_type}.{partition}.{request}.{group}.{task}")
}

/// The tasks of one request, of every type.
pub(crate) fn tasks_of(request: RequestId) -> String {
    format!("tasks.*.{}.{request}.>", request.partition())
}

pub(crate) fn outcome(id: TaskId) -> String {
    let TaskId {
        request,
        group,
        task,
    } = id;
    subject!("reports.{}.{request}.{group}.{task}", request.partition())
}

/// The beginning of a report's subject that names the request.
pub(crate) fn about(report: &str) -> &str {
    let third = report.match_indices('.').nth(2);
    third.map_or(report, |(end, _)| &report[..end])
}

pub(crate) fn group_timed_out(request: RequestId, group: GroupIndex, run: Run) -> String {
    let report = format!(
        "reports.{}.{request}.timed-out.{group}",
        request.partition()
    );
    of_run(report, run)
}

pub(crate) fn request_timed_out(request: RequestId, run: Run) -> String {
    let report = format!(
        "reports.{}.{request}.timed-out.request",
        request.partition()
    );
    of_run(report, run)
}

/// Adds the run, so that a timer that is set late for an earlier run does not replace the timer of
/// this one. The first run has no token, as in timers of older builds.
fn of_run(report: String, run: Run) -> String {
    if run == Run::FIRST {
        report
    } else {
        format!("{report}.{run}")
    }
}

pub(crate) fn task_due(id: TaskId, run: Run) -> String {
    let TaskId {
        request,
        group,
        task,
    } = id;
    let report = format!(
        "reports.{}.{request}.due.{group}.{task}",
        request.partition()
    );
    of_run(report, run)
}

/// The subject of the timer that fires into `report`.
pub(crate) fn timer(report: &str) -> String {
    report.replacen("reports.", "timers.", 1)
}

/// The mark in a queue that the queue has all that the log wants in it.
pub(crate) fn filled(queue: &str) -> String {
    format!("filled.{}", queue.to_lowercase())
}

/// The mark in a queue that a process is about to fill it.
pub(crate) fn filling(queue: &str, by: &str) -> String {
    format!("filling.{}.{by}", queue.to_lowercase())
}

/// The subject of an event of the feed. It has the partition in it and not the request: the broker
/// keeps an index of subjects in memory, which would grow with every request.
pub(crate) fn lifecycle(tenant: &Tenant, event: &str, id: RequestId) -> String {
    let partition = id.partition();
    match tenant.named() {
        None => format!("lifecycle.{event}.{partition}"),
        Some(tenant) => format!("tenants.{tenant}.lifecycle.{event}.{partition}"),
    }
}

/// The subjects of the events of a request that builds before version 0.2 published.
pub(crate) fn earlier_lifecycle(id: RequestId) -> String {
    format!("lifecycle.*.{id}")
}

/// The subjects of the feed: the tenant `default`, and every other one.
pub(crate) fn feed() -> Vec<String> {
    vec!["lifecycle.>".into(), "tenants.*.lifecycle.>".into()]
}

/// The subjects of all events of this name, of every tenant and also of earlier builds.
pub(crate) fn events(event: &str) -> [String; 2] {
    [
        format!("lifecycle.{event}.*"),
        format!("tenants.*.lifecycle.{event}.*"),
    ]
}

/// The subjects of the events that are due to be delivered again.
pub(crate) const DUE: &str = "webhooks.due.>";
/// The subjects of the events that wait for that.
pub(crate) const POSTPONED: &str = "webhooks.postponed.>";

/// The subject of an event that is due. An id is one token.
pub(crate) fn due(request: Option<RequestId>, id: &str) -> String {
    let request = request.map_or_else(|| "none".to_owned(), |request| request.to_string());
    let token = id.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    format!("webhooks.due.{request}.{token}")
}

/// The subject of an event that is postponed until it is due.
pub(crate) fn postponed(due: &str) -> String {
    due.replacen("due", "postponed", 1)
}

/// The beginning of every dead letter's subject.
pub(crate) const DEAD_LETTERS: &str = "dead-letters.";

/// The subject of a task's dead letter. There is one for each task and run, because the stream
/// keeps one message for each subject.
pub(crate) fn dead_letter(task_type: &str, id: TaskId, run: Run) -> String {
    format!("dead-letters.{task_type}.{id}.{run}")
}

/// The subject of the dead letter of a message with this subject and sequence that cannot be read.
pub(crate) fn unreadable(of: &str, request: Option<RequestId>, sequence: u64) -> String {
    let root = match of.split('.').next().unwrap_or_default() {
        "tenants" => "lifecycle",
        root => root,
    };
    let named = || {
        of.split('.')
            .find_map(|token| token.parse::<RequestId>().ok())
    };
    let request = request.or_else(named);
    let request = request.map_or_else(|| "none".to_owned(), |request| request.to_string());
    format!("dead-letters.unreadable.{request}.{root}.{sequence}")
}

/// The subject of an operator's action, with the id of the thing that it was done to.
pub(crate) fn operation(name: &str, to: Option<&str>) -> String {
    match to {
        Some(id) => format!("operations.{name}.{id}"),
        None => format!("operations.{name}"),
    }
}

/// The subject of a lease. It is beside the marks, where a subject has its last message only.
pub(crate) fn lease(name: &str) -> String {
    format!("quarantine.lease.{name}")
}

/// The subjects of the histories of bulk operations.
pub(crate) const BULK_OPERATIONS: &str = "operations.bulk.*";

/// The subject of the history of a bulk operation.
pub(crate) fn bulk_operation(id: OperationId) -> String {
    format!("operations.bulk.{id}")
}

/// The subject of the mark of a message that a consumer has begun and not ended.
pub(crate) fn quarantined(consumer: &str, what: &str) -> String {
    format!("quarantine.{consumer}.{what}")
}

/// The subject of the notice to workers that a request's tasks must stop. It is plain NATS, and not
/// stored.
pub(crate) fn stop(request: RequestId) -> String {
    format!("stop.{request}")
}

/// The checkpoint of a shard's open requests. It is kept beside the marks, and as long as the log.
pub(crate) fn checkpoint(shard: u8) -> String {
    format!("quarantine.checkpoint.{shard}")
}

/// Up to where the feed has the events of a shard. It is kept beside the checkpoint.
pub(crate) fn published(shard: u8) -> String {
    format!("quarantine.published.{shard}")
}

/// The subjects of a shard's partitions.
pub(crate) fn partitions(root: &str, shard: u8, shards: u8, rest: &str) -> Vec<String> {
    if shards == 1 {
        return vec![format!("{root}.*.{rest}")];
    }
    each_partition(root, shard, shards, rest)
}

/// The subjects of each partition of a shard apart, so that one answer of the broker lists few.
pub(crate) fn each_partition(root: &str, shard: u8, shards: u8, rest: &str) -> Vec<String> {
    (0..PARTITIONS)
        .filter(|partition| partition % shards == shard)
        .map(|partition| format!("{root}.{partition}.{rest}"))
        .collect()
}

/// The request named in a token of a subject, counted from 0.
pub(crate) fn request(subject: &str, token: usize) -> Option<RequestId> {
    subject.split('.').nth(token)?.parse().ok()
}

/// The task named by the last three tokens of a subject.
pub(crate) fn task_id(subject: &str) -> Option<TaskId> {
    let mut tokens = subject.rsplit('.');
    let task = tokens.next()?.parse().ok()?;
    let group = tokens.next()?.parse().ok()?;
    let request = tokens.next()?.parse().ok()?;
    Some(TaskId {
        request,
        group,
        task,
    })
}
