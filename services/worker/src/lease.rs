//! The lease of one task. It counts as kept only as far as the broker has answered: what was sent
//! may never have been heard.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nats::TaskMessage;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// How often a lease is extended before it would end.
const SIGNS_OF_LIFE: u32 = 3;
/// The pause before a worker asks again whether it has the task.
const CONFIRM_PAUSE: Duration = Duration::from_millis(250);

/// Whether this worker still has its task.
pub struct Lease<'a> {
    task: &'a TaskMessage,
    length: Duration,
    /// When the last sign of life was sent that the broker has answered in time. `None` once the
    /// lease was lost: a later answer does not say that the task is still this worker's.
    heard: Mutex<Option<Instant>>,
}

impl<'a> Lease<'a> {
    /// The lease of a task that was just delivered.
    pub fn of(task: &'a TaskMessage, length: Duration) -> Self {
        Self {
            task,
            length,
            heard: Mutex::new(Some(task.given_at)),
        }
    }

    /// Whether the broker cannot have given the task to another worker yet.
    pub fn is_held(&self) -> bool {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        *heard = heard.filter(|heard| heard.elapsed() < self.length);
        heard.is_some()
    }

    /// Whether an answer to the message would reach the broker while the lease is held.
    pub fn may_answer(&self) -> bool {
        self.is_held() && self.task.delivery.is_connected()
    }

    /// Does work, and sends signs of life meanwhile.
    pub async fn kept_while<T>(&self, mut work: Pin<&mut impl Future<Output = T>>) -> T {
        let every = self.length / SIGNS_OF_LIFE;
        if let Ok(done) = timeout(every, &mut work).await {
            // Nearly every task ends here.
            return done;
        }
        let signs_of_life = Box::pin(async {
            loop {
                let next = Instant::now() + every;
                self.extend().await;
                sleep_until(next).await;
            }
        });
        tokio::select! {
            biased;
            done = work => done,
            never = signs_of_life => never,
        }
    }

    /// Asks the broker now whether it still hears this worker. Returns whether the lease is held.
    pub async fn confirm(&self) -> bool {
        while self.is_held() {
            if self.extend().await {
                return self.is_held();
            }
            sleep(CONFIRM_PAUSE).await;
        }
        false
    }

    /// Extends the lease, and returns whether the broker has answered.
    async fn extend(&self) -> bool {
        let sent = Instant::now();
        let extending = timeout(self.length / SIGNS_OF_LIFE, self.task.delivery.extend());
        match extending.await {
            Ok(Ok(())) => {
                self.heard_at(sent);
                return true;
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "could not extend the lease of a task");
            }
            Err(_) => {
                tracing::debug!("the broker did not answer a sign of life");
            }
        }
        false
    }

    /// Notes that the broker has heard what was sent at this time. The lease began anew then at the
    /// earliest, unless it had ended before.
    fn heard_at(&self, sent: Instant) {
        if self.is_held() {
            let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            *heard = (*heard).max(Some(sent));
        }
    }
}
