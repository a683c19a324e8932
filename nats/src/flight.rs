//! Flights: work that one caller does for others, and that goes on in a task if that caller goes
//! away. As long as the caller stays, there is no task, and so no change of threads.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio::task::JoinSet;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The flights that go on without their callers.
#[derive(Clone, Default)]
pub(crate) struct Flights(Arc<Mutex<JoinSet<()>>>);

impl Flights {
    fn take_over(&self, work: Work) {
        // Without a runtime, the process ends, and so does the connection.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while flights.try_join_next().is_some() {}
        flights.spawn_on(work, &runtime);
    }

    /// Waits for the flights that have lost their callers so far.
    pub async fn landed(&self) {
        let mut flights =
            std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        while flights.join_next().await.is_some() {}
    }
}

/// The work of a caller for others.
pub(crate) struct Flight {
    /// `None` once the work is done.
    work: Option<Work>,
    flights: Flights,
}

impl Flight {
    pub fn new(work: impl Future<Output = ()> + Send + 'static, flights: &Flights) -> Self {
        Self {
            work: Some(Box::pin(work)),
            flights: flights.clone(),
        }
    }
}

impl Future for Flight {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if let Some(work) = &mut self.work {
            std::task::ready!(work.as_mut().poll(context));
            self.work = None;
        }
        Poll::Ready(())
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            self.flights.take_over(work);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn work_for_others_goes_on_where_its_caller_left_it() {
        let flights = Flights::default();
        let steps = Arc::new(AtomicU32::new(0));
        let counted = steps.clone();
        let work = async move {
            for _ in 0..3 {
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        };
        let mut flight = Flight::new(work, &flights);
        assert!((&mut flight).now_or_never().is_none());
        drop(flight);
        assert_eq!(steps.load(Ordering::Relaxed), 1);
        flights.landed().await;
        assert_eq!(steps.load(Ordering::Relaxed), 3);
    }
}
