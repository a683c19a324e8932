use std::collections::BTreeMap;
use std::num::NonZeroU32;

use domain::access::Tenant;
use domain::document::Document;
use domain::request::{
    Command, FirstGroup, GroupOutline, Received, Rejection, RequestId, Sequence, TraceParent,
    TraceState,
};
use jiff::Timestamp;
use nats::{Error, ExecuteError, Hashed};

use crate::Operations;

/// A document that a caller submits, with everything that the log records of it.
pub struct Submission {
    /// The bytes, with their hash.
    pub bytes: Hashed,
    /// The parsed document, for the role that continues the request.
    pub document: Document,
    /// The SHA-256 of the canonical document, in hex.
    pub fingerprint: String,
    /// The groups of the document.
    pub groups: Vec<GroupOutline>,
    /// The number of tasks in the first group, if the group can start at once.
    pub first_tasks: Option<NonZeroU32>,
    /// The `x-*` headers.
    pub metadata: BTreeMap<String, String>,
    /// The traceparent of the caller.
    pub traceparent: Option<TraceParent>,
    /// The tracestate of the caller.
    pub tracestate: Option<TraceState>,
    /// The tenant to which the request belongs.
    pub tenant: Tenant,
    /// The submitter.
    pub submitter: String,
    /// The idempotency key.
    pub key: Option<String>,
}

/// A submission that is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// The last sequence of the request.
    pub sequence: Sequence,
    /// Whether the request was there before.
    pub replayed: bool,
}

/// Why a submission is not in the log.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The idempotency key names a request with another document.
    #[error(transparent)]
    KeyReused(Rejection),
    /// The log does not accept the submission now.
    #[error(transparent)]
    Log(#[from] Error),
}

impl Operations {
    /// The sequence of the request that an idempotency key already names. Its document then needs
    /// no admission. What was read of a request that is not there is kept for [`Self::submit`].
    pub async fn submitted(
        &self,
        request: RequestId,
        fingerprint: &str,
    ) -> Result<Option<Sequence>, SubmitError> {
        let sequence = {
            let loaded = self.log.load(request).await?;
            let Some(known) = loaded.state().request() else {
                return Ok(None);
            };
            if known.fingerprint != fingerprint {
                return Err(SubmitError::KeyReused(Rejection::FingerprintDiffers));
            }
            loaded.sequence()
        };
        self.log.forget(request);
        Ok(Some(sequence))
    }

    /// Forgets what [`Self::submitted`] has read, where the request is not submitted now. Another
    /// process may take it in meanwhile.
    pub fn forget(&self, request: RequestId) {
        self.log.forget(request);
    }

    /// Stores a submission in the log, and passes its document to the role of this process that
    /// continues the request. Without a key, the id is new, so that the log need not be read.
    pub async fn submit(
        &self,
        request: RequestId,
        submission: Submission,
    ) -> Result<Submitted, SubmitError> {
        if submission.key.is_none() {
            self.log.assume_new(request);
        }
        let first = self.first(&submission);
        let received = Box::new(Received {
            document: self.payloads.store_hashed(submission.bytes).await?,
            fingerprint: submission.fingerprint,
            groups: submission.groups,
            metadata: submission.metadata,
            tenant: submission.tenant,
            traceparent: submission.traceparent,
            tracestate: submission.tracestate,
            submitter: submission.submitter,
            idempotency_key: submission.key,
        });
        let bytes = received.document.size();
        self.documents
            .hand_over(request, &received.document, submission.document);
        let command = match first {
            None => Command::Submit(received),
            Some(first) => Command::Begin(received, first),
        };
        let committed = self.log.execute(request, command).await;
        let handed_over = match &committed {
            Ok(receipt) if receipt.committed => self.log.hand_over(request, receipt.sequence),
            _ => {
                self.log.forget(request);
                false
            }
        };
        if !handed_over {
            self.documents.take_back(request);
        }
        let receipt = committed.map_err(|error| match error {
            ExecuteError::Refused(rejection) => SubmitError::KeyReused(rejection),
            ExecuteError::Log(error) => error.into(),
        })?;
        self.seen.note(request, receipt.sequence);
        if receipt.committed {
            tracing::info!(%request, bytes, "accepted");
        }
        Ok(Submitted {
            sequence: receipt.sequence,
            replayed: !receipt.committed,
        })
    }

    /// The start of the first group, if the document has everything that the group needs.
    fn first(&self, submission: &Submission) -> Option<FirstGroup> {
        Some(FirstGroup {
            name: submission.groups.first()?.name.clone(),
            tasks: submission.first_tasks?,
            now: Timestamp::now(),
            rules: self.rules,
        })
    }
}
