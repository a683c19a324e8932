//! Each role of a process has its own runtime, so that its memory, waits and frees stay on its own
//! threads. With one runtime for all roles, a quarter of the time went into contention between
//! cores. On a machine with few cores, a role has one thread.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context as _;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

/// How long a computation outside the event loop may go on after its role has ended.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// A role's runtime. Dropping it drops the tasks that still run there.
pub struct RoleThread {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl RoleThread {
    /// Starts a runtime for one of `roles` roles of this process, each with its share of the cores.
    /// A role with one thread leaves the others their turns, unless it is `prompt`. A role is
    /// prompt if callers wait on its connections.
    pub fn start(name: &str, roles: usize, prompt: bool) -> anyhow::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let threads = cores / roles.max(1);
        let runtime = runtime(threads)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                if threads <= 1 && !prompt {
                    servers::put_in_batch();
                }
                // The channel closes when the holder drops the sender.
                let _ = runtime.block_on(stopped);
                runtime.shutdown_timeout(STOP_TIMEOUT);
            })
            .context("could not start a thread for a role")?;
        Ok(Self {
            handle,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Runs some work on this runtime, and returns its outcome.
    pub fn run<T, F>(&self, work: F) -> impl Future<Output = anyhow::Result<T>> + use<T, F>
    where
        T: Send + 'static,
        F: Future<Output = anyhow::Result<T>> + Send + 'static,
    {
        let working = self.handle.spawn(work);
        async { working.await.context("a role broke")? }
    }
}

fn runtime(threads: usize) -> std::io::Result<Runtime> {
    let mut builder = if threads > 1 {
        Builder::new_multi_thread()
    } else {
        Builder::new_current_thread()
    };
    builder.worker_threads(threads.max(1)).enable_all().build()
}

impl Drop for RoleThread {
    fn drop(&mut self) {
        self.stop.take();
        // A thread that panicked has already reported it.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_work_of_a_role_runs_on_its_own_thread() {
        let role = RoleThread::start("a-role", 1_000, true).unwrap();
        let name = role.run(async { Ok(thread::current().name().map(str::to_owned)) });
        assert_eq!(name.await.unwrap().as_deref(), Some("a-role"));
    }

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn a_role_without_waiting_callers_yields_the_processor_to_others() {
        // The batch policy and the normal one, by the kernel's numbers.
        for (prompt, policy) in [(false, 3), (true, 0)] {
            let role = RoleThread::start("a-role", 1_000, prompt).unwrap();
            let found = role.run(async { Ok(harness::policy("thread-self")) });
            assert_eq!(found.await.unwrap(), policy);
        }
    }

    #[tokio::test]
    async fn a_role_that_panics_is_an_error() {
        let role = RoleThread::start("a-role", 1, true).unwrap();
        let broken = role.run::<(), _>(async { panic!("on purpose") });
        let error = broken.await.unwrap_err().to_string();
        assert!(error.contains("a role broke"), "{error}");
    }

    #[tokio::test]
    async fn tasks_that_still_run_end_with_their_thread() {
        let role = RoleThread::start("a-role", 1_000, true).unwrap();
        let endless = role.run(std::future::pending::<anyhow::Result<()>>());
        drop(role);
        assert!(endless.await.is_err());
    }
}
