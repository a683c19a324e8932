//! Keeping long computations off the threads that everything else waits on.

use bytes::Bytes;
use domain::FailureCode;

use super::Fault;

/// The largest document that is processed in place: some two milliseconds of reading. The work on a
/// larger one goes to a thread of its own, so that leases and time limits are still kept.
pub const IN_PLACE_BYTES: usize = 128 * 1024;

/// Computes a document from a document, in place or on a thread of its own, by its size.
///
/// Work that has begun on a thread is not stopped, because it waits for nothing and ends soon by
/// itself.
pub async fn computed(
    document: Bytes,
    work: impl FnOnce(Bytes) -> Result<Bytes, Fault> + Send + 'static,
) -> Result<Bytes, Fault> {
    if document.len() <= IN_PLACE_BYTES {
        return work(document);
    }
    match tokio::task::spawn_blocking(move || work(document)).await {
        Ok(result) => result,
        // Either the work panicked or the runtime is going down.
        Err(error) => {
            let message = "the worker could not finish its own work on the document";
            Err(Fault::transient(FailureCode::WorkerFailed, message).because_of(&error))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// Whether a document of this size is processed on a thread of its own.
    async fn goes_aside(bytes: usize) -> bool {
        let here = thread::current().id();
        let kept_if_aside = move |document: Bytes| {
            let aside = thread::current().id() != here;
            Ok(if aside { document } else { Bytes::new() })
        };
        let result = computed(Bytes::from(vec![0; bytes]), kept_if_aside);
        !result.await.unwrap().is_empty()
    }

    #[tokio::test]
    async fn only_a_large_document_runs_on_another_thread() {
        assert!(!goes_aside(IN_PLACE_BYTES).await);
        assert!(goes_aside(IN_PLACE_BYTES + 1).await);
    }

    #[tokio::test]
    async fn a_panic_on_another_thread_is_a_fault_of_the_attempt() {
        let document = Bytes::from(vec![0; IN_PLACE_BYTES + 1]);
        let fault = computed(document, |_| panic!("out of cheese")).await;
        assert_eq!(fault.unwrap_err().code, "worker-failed");
    }
}
