//! The tasks of one type that a worker runs at once.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use domain::request::{RequestId, Run};
use futures::{Stream, StreamExt};
use metrics::{Level as _, Pulse};
use nats::{Pull, Stop, TaskMessage};
use runtime::{LogContext, Shutdown, caught};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{WorkerContext, attempt, dead_lettering};

/// How often the loop turns where nothing comes, as a sign that it is alive.
const TURN_EVERY: Duration = Duration::from_secs(1);

/// How many stop notices a worker remembers. A task may still be in flight when its notice arrives.
const STOPS_REMEMBERED: usize = 1_000;

/// The requests whose tasks run here, by run: a token for each, and the number of its tasks.
#[derive(Default)]
struct Running {
    tokens: HashMap<(RequestId, Run), (CancellationToken, usize)>,
    stopped: VecDeque<Stop>,
}

impl Running {
    fn begin(&mut self, request: RequestId, run: Run) -> CancellationToken {
        let (token, tasks) = self.tokens.entry((request, run)).or_default();
        *tasks += 1;
        let stopped = |stop: &Stop| stop.request == request && run <= stop.run;
        if self.stopped.iter().any(stopped) {
            token.cancel();
        }
        token.clone()
    }

    fn end(&mut self, request: RequestId, run: Run) {
        if let Some((_, tasks)) = self.tokens.get_mut(&(request, run)) {
            *tasks -= 1;
            if *tasks == 0 {
                self.tokens.remove(&(request, run));
            }
        }
    }

    /// Stops the tasks of this run and of earlier runs; those of a later redrive go on.
    fn stop(&mut self, stop: Stop) {
        for ((request, run), (token, _)) in &self.tokens {
            if *request == stop.request && *run <= stop.run {
                token.cancel();
            }
        }
        if self.stopped.len() == STOPS_REMEMBERED {
            self.stopped.pop_front();
        }
        self.stopped.push_back(stop);
    }
}

/// Pulls and runs tasks until the shutdown begins. Then it gives back what it has not begun, and lets
/// the running ones finish. Those that are not finished at the hard end give themselves back.
pub async fn run(
    context: Arc<WorkerContext>,
    mut pull: Pull,
    mut stops: impl Stream<Item = Stop> + Unpin,
    pulse: Pulse,
    shutdown: Shutdown,
) {
    let mut running = Running::default();
    let mut attempts = JoinSet::new();
    let mut waiting = context.quarantine.waiting_changes();
    let mut turn = tokio::time::interval(TURN_EVERY);
    loop {
        pulse.turns();
        context.counted.busy.count(attempts.len() as u64);
        // Suspects that wait to run alone do not count against the concurrency.
        pull.hold_at_most(context.task_type.concurrency + context.quarantine.waiting());
        if let Err(error) = pull.ask().await {
            tracing::debug!(%error, "the worker could not request tasks from the broker");
        }
        tokio::select! {
            task = pull.next() => match task {
                Some(Ok(task)) => start(&context, task, &mut running, &mut attempts),
                Some(Err(unreadable)) => {
                    pull.release(1);
                    dead_lettering::set_aside(&context, &unreadable).await;
                }
                None => break,
            },
            Some(first) = attempts.join_next() => {
                let mut ended = vec![first];
                ended.extend(std::iter::from_fn(|| attempts.try_join_next()));
                pull.release(ended.len());
                for (request, run) in ended.into_iter().flatten() {
                    running.end(request, run);
                }
            }
            Ok(()) = waiting.changed() => {}
            _ = turn.tick() => {}
            Some(stop) = stops.next() => running.stop(stop),
            () = shutdown.softly() => break,
        }
    }
    give_back(&mut pull).await;
    while attempts.join_next().await.is_some() {}
}

/// Stops pulling, and gives back the tasks that were given to this worker and have not begun. Other
/// workers get them at once.
async fn give_back(pull: &mut Pull) {
    let given = pull.end().await;
    let count = given.len();
    for pulled in given {
        let delivery = match pulled {
            Ok(task) => task.delivery,
            Err(unreadable) => unreadable.delivery,
        };
        if let Err(error) = delivery.nak(Duration::ZERO).await {
            tracing::debug!(%error, "could not give a task back; its lease will end");
        }
    }
    if count > 0 {
        tracing::info!(count, "gave back tasks that had not begun");
    }
}

fn start(
    context: &Arc<WorkerContext>,
    task: TaskMessage,
    running: &mut Running,
    attempts: &mut JoinSet<(RequestId, Run)>,
) {
    let (request, run) = (task.id.request, task.run);
    let cancelled = running.begin(request, run);
    let context = context.clone();
    let about = log_context(&context, &task);
    attempts.spawn(about.around(async move {
        // The future is large; box it so that only a pointer moves.
        let running = Box::pin(attempt::run(&context, task, &cancelled));
        if let Err(panic) = caught(running).await {
            tracing::error!(panic, "an attempt broke; its lease will end");
        }
        (request, run)
    }));
}

/// What the lines of the log say of an attempt.
fn log_context(context: &WorkerContext, task: &TaskMessage) -> LogContext {
    let trace = task.origin.trace.parent.as_ref();
    let trace = trace.and_then(|trace| trace.as_str().split('-').nth(1));
    LogContext {
        request: task.id.request,
        group: task.id.group.get(),
        task: task.id.task.get(),
        attempt: task.attempt.get(),
        worker: context.worker.clone(),
        trace: trace.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> RequestId {
        RequestId::new(uuid::Uuid::now_v7())
    }

    #[test]
    fn a_notice_stops_its_run_and_earlier_ones_but_no_later_one() {
        let mut running = Running::default();
        let (one, other) = (request(), request());
        let tokens: Vec<_> = (0..3)
            .map(|run| running.begin(one, Run::new(run)))
            .collect();
        let apart = running.begin(other, Run::FIRST);
        running.stop(Stop {
            request: one,
            run: Run::new(1),
        });
        let stopped: Vec<_> = tokens.iter().map(CancellationToken::is_cancelled).collect();
        assert_eq!(stopped, [true, true, false]);
        assert!(!apart.is_cancelled());
    }

    #[test]
    fn a_task_that_comes_after_its_notice_is_stopped_too() {
        let mut running = Running::default();
        let request = request();
        running.stop(Stop {
            request,
            run: Run::FIRST,
        });
        assert!(running.begin(request, Run::FIRST).is_cancelled());
        running.end(request, Run::FIRST);
        assert!(!running.begin(request, Run::new(1)).is_cancelled());
    }

    #[test]
    fn the_oldest_notice_is_forgotten_first() {
        let mut running = Running::default();
        let oldest = request();
        running.stop(Stop {
            request: oldest,
            run: Run::FIRST,
        });
        for _ in 1..STOPS_REMEMBERED {
            running.stop(Stop {
                request: request(),
                run: Run::FIRST,
            });
        }
        assert!(running.begin(oldest, Run::FIRST).is_cancelled());
        running.stop(Stop {
            request: request(),
            run: Run::FIRST,
        });
        running.end(oldest, Run::FIRST);
        assert!(!running.begin(oldest, Run::FIRST).is_cancelled());
    }
}
