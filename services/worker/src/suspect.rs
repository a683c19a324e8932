//! Tasks that may have ended the worker that ran them.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::pin::pin;

use domain::request::TaskId;
use nats::{Begun, Error, TaskMessage, Verdict};
use tokio_util::sync::CancellationToken;

use crate::attempt::{self, Answer, Span, keep_lease, or_again};
use crate::{WorkerContext, dead_lettering, retry_decision};

/// The name of a task among the suspects, independent of the message that carries it.
pub struct Suspect<'a>(pub &'a TaskMessage);

impl fmt::Display for Suspect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TaskId {
            request,
            group,
            task,
        } = self.0.id;
        // The request and run come first: if a task ends its worker, its siblings are likely to do
        // so too.
        write!(f, "{request}.{}/{group}.{task}", self.0.run)
    }
}

/// Hashes the displayed parts without formatting them, because every task is hashed.
impl Hash for Suspect<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0.id, self.0.run).hash(state);
    }
}

/// Attempts a task that may have ended its process before. Also returns how many earlier attempts
/// began and never ended.
pub async fn attempt(
    context: &WorkerContext,
    task: &TaskMessage,
    cancelled: &CancellationToken,
) -> (Answer, u32) {
    let suspects = &context.quarantine;
    let beginning = pin!(suspects.begin(Suspect(task), Some(task.id.request)));
    let begun = match keep_lease(context, task, beginning).await.0 {
        Ok(begun) => begun,
        Err(error) => return (or_again(task, Err(error)), 0),
    };
    let lost = begun.lost;
    let done = match begun.verdict {
        Verdict::Try => attempt::attempt(context, task, cancelled, lost).await,
        Verdict::Convicted => give_up_convicted(context, task, &begun).await,
        Verdict::PassOver => {
            let reason = retry_decision::convicted(&begun).message;
            let error = Error::Poisonous(reason);
            dead_lettering::set_aside_and_report(context, &task.delivery, &error).await
        }
    };
    if begun.verdict == Verdict::Try {
        suspects.end(begun).await;
    } else {
        suspects.leave(begun).await;
    }
    (or_again(task, done), lost)
}

async fn give_up_convicted(
    context: &WorkerContext,
    task: &TaskMessage,
    begun: &Begun,
) -> Result<Answer, Error> {
    match dead_lettering::settled(context, task).await? {
        Some(letter) => dead_lettering::report_again(context, task, &letter).await,
        None => {
            dead_lettering::give_up(
                context,
                task,
                retry_decision::convicted(begun),
                Span::none(),
            )
            .await
        }
    }
}
