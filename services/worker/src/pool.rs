//! The tasks of one type that a worker holds at once.

use std::collections::HashMap;
use std::sync::Arc;

use domain::request::RequestId;
use futures::{Stream, StreamExt};
use nats::{Pull, TaskMessage};
use runtime::Shutdown;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{Bench, attempt};

/// The requests whose tasks run here: a token for each, and how many tasks hold it.
#[derive(Default)]
struct Running(HashMap<RequestId, (CancellationToken, usize)>);

impl Running {
    fn begin(&mut self, request: RequestId) -> CancellationToken {
        let (token, tasks) = self.0.entry(request).or_default();
        *tasks += 1;
        token.clone()
    }

    fn end(&mut self, request: RequestId) {
        if let Some((_, tasks)) = self.0.get_mut(&request) {
            *tasks -= 1;
            if *tasks == 0 {
                self.0.remove(&request);
            }
        }
    }

    fn stop(&self, request: RequestId) {
        if let Some((token, _)) = self.0.get(&request) {
            token.cancel();
        }
    }
}

/// Pulls and runs tasks until nothing new is to be taken, then lets those that run end.
pub async fn run(
    bench: Arc<Bench>,
    mut pull: Pull,
    mut stops: impl Stream<Item = RequestId> + Unpin,
    shutdown: Shutdown,
) {
    let mut running = Running::default();
    let mut attempts = JoinSet::new();
    loop {
        if let Err(error) = pull.ask().await {
            tracing::debug!(%error, "the broker cannot be asked for tasks");
        }
        tokio::select! {
            task = pull.next() => match task {
                Some(Ok(task)) => start(&bench, task, &mut running, &mut attempts),
                Some(Err(unreadable)) => {
                    pull.release(1);
                    attempt::set_aside(&bench, &unreadable).await;
                }
                None => break,
            },
            Some(first) = attempts.join_next() => {
                let mut ended = vec![first];
                ended.extend(std::iter::from_fn(|| attempts.try_join_next()));
                pull.release(ended.len());
                for request in ended.into_iter().flatten() {
                    running.end(request);
                }
            }
            Some(request) = stops.next() => running.stop(request),
            () = shutdown.softly() => break,
        }
    }
    let rest = async { while attempts.join_next().await.is_some() {} };
    shutdown.unless_hard(rest).await;
}

fn start(
    bench: &Arc<Bench>,
    task: TaskMessage,
    running: &mut Running,
    attempts: &mut JoinSet<RequestId>,
) {
    let request = task.id.request;
    let cancelled = running.begin(request);
    let bench = bench.clone();
    attempts.spawn(async move {
        attempt::run(&bench, task, &cancelled).await;
        request
    });
}
