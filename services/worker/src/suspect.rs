//! Tasks that may have ended the worker that ran them.

use std::fmt;
use std::hash::{Hash, Hasher};

use domain::request::TaskId;
use nats::{Begun, Error, TaskMessage, Verdict};

use crate::attempt::{self, Answer, Given, Span, or_again, until_hard_end};
use crate::persistence::persist;
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
pub async fn attempt(context: &WorkerContext, given: &Given<'_>) -> (Answer, u32) {
    let (task, suspects) = (given.task, &context.quarantine);
    let beginning = || suspects.begin(Suspect(task), Some(task.id.request));
    let begun = tokio::select! {
        begun = persist(context, given.lease, beginning) => begun,
        () = context.shutdown.hardly() => return (Answer::GivenBack, 0),
    };
    let begun = match begun {
        Ok(begun) => begun,
        Err(error) => return (or_again(context, Err(error)), 0),
    };
    let lost = begun.lost;
    let done = until_hard_end(context, sentence(context, given, &begun)).await;
    // A task that is given back has not ended its process, so its mark goes first.
    if begun.verdict == Verdict::Try {
        suspects.end(begun).await;
    } else {
        suspects.leave(begun).await;
    }
    (or_again(context, done), lost)
}

async fn sentence(
    context: &WorkerContext,
    given: &Given<'_>,
    begun: &Begun,
) -> Result<Answer, Error> {
    match begun.verdict {
        Verdict::Try => attempt::attempt(context, given, begun.lost).await,
        Verdict::Convicted => give_up_convicted(context, given, begun).await,
        Verdict::PassOver => {
            let reason = retry_decision::convicted(begun).message;
            let error = Error::Poisonous(reason);
            dead_lettering::set_aside_and_report(context, &given.task.delivery, &error).await
        }
    }
}

async fn give_up_convicted(
    context: &WorkerContext,
    given: &Given<'_>,
    begun: &Begun,
) -> Result<Answer, Error> {
    if let Some(letter) = dead_lettering::settled(context, given).await? {
        return dead_lettering::report_again(context, given, &letter).await;
    }
    let fault = retry_decision::convicted(begun);
    dead_lettering::give_up(context, given, fault, Span::none(), false).await
}
