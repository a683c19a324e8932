//! One request: its events, the decisions that make them, and the effects that follow from them.
//!
//! Four pure functions carry the product: [`decide`], [`evolve`], [`react`], and the read model's
//! fold, which lives in the crate `projections`.

mod aggregate;
mod attempt;
pub(crate) mod bounds;
mod cause;
mod command;
mod decide;
mod delayed;
mod event;
mod event_kind;
mod evolve;
mod exhausted;
mod failure;
mod fork;
mod id;
mod needs;
mod numbers;
mod payload;
mod progress;
mod react;
mod retry;
mod span_id;
mod state;
mod trace_parent;
mod trace_state;

pub use aggregate::Undecided;
pub use attempt::{Attempt, Fault, Given, Next, Outcome, Report, Verdict};
pub use bounds::{CAUSES_MAX, CODE_MAX_BYTES, NAME_MAX_BYTES, TEXT_MAX_BYTES, json_bytes};
pub use cause::cause;
pub use command::{Advance, Command, Decision, FirstGroup, Rejection, Rules, Steps, Then};
pub use decide::decide;
pub use delayed::delayed;
pub use event::{
    Cancelled, Event, Failed, Forked, GroupOutline, GroupStarted, Received, Recorded, Redriven,
    Resource, ResourcesCaptured, Succeeded, TaskFailed, TaskSucceeded,
};
pub use event_kind::EventKind;
pub use evolve::evolve;
pub use exhausted::given_up_early;
pub use failure::{FAILED_TASKS_MAX, FAILURE_MAX_BYTES, FailedTask, Failure};
pub use fork::{Fork, TakenGroup};
pub use id::{InvalidId, PARTITIONS, Partition, RequestId, TaskId};
pub use needs::{Need, needs};
pub use numbers::{AttemptNumber, GroupIndex, Run, Sequence, TaskNumber};
pub use payload::Payload;
pub use progress::{Progress, STUCK_AFTER, Stuck};
pub use react::{Effect, react};
pub use retry::{Retry, RetryPolicy, chance};
pub use span_id::{InvalidTraceRatio, SpanId, SpanOf, TraceId, TraceRatio};
pub use state::{
    DISPATCHED_AFTER, DISPATCHED_AT_ONCE, Group, Phase, Request, State, Status, TaskState,
};
pub use trace_parent::{InvalidTraceParent, TraceParent};
pub use trace_state::{InvalidTraceState, TraceState};
