//! The parsed documents of requests that this process accepted. A role that goes on with a request
//! in this process need neither fetch its document nor parse it again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::document::Document;
use domain::request::{Payload, RequestId};

/// The largest document, in bytes, that is parsed on an event loop. The pool parses larger ones,
/// because they may take longer than a millisecond.
pub const PARSE_INLINE_MAX_BYTES: usize = 16 * 1024;
/// The most bytes of documents that wait for the next role. Beyond this, the oldest are dropped and
/// later parsed from the log.
const HANDED_OVER_MAX_BYTES: usize = 256 * 1024 * 1024;

/// Parsed documents on their way from the role that accepted them to the one that goes on.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    /// `None` if no role of this process goes on with requests.
    waiting: Option<Arc<Mutex<Waiting>>>,
}

#[derive(Debug, Default)]
struct Waiting {
    parsed: HashMap<RequestId, Parsed>,
    /// The requests in the order of their arrival.
    order: BTreeMap<u64, RequestId>,
    came: u64,
    bytes: usize,
}

/// A document, with the payload that it was parsed from. Two submissions with one key may bring two
/// documents, and the log accepts only one of them.
#[derive(Debug)]
struct Parsed {
    came: u64,
    bytes: usize,
    payload: Payload,
    document: Document,
}

impl Waiting {
    /// Returns the documents that had to make room. The caller drops them after it releases the
    /// lock.
    fn insert(&mut self, request: RequestId, mut parsed: Parsed) -> Vec<Parsed> {
        let mut dropped = Vec::from_iter(self.remove(request));
        self.came += 1;
        parsed.came = self.came;
        self.bytes += parsed.bytes;
        self.order.insert(parsed.came, request);
        self.parsed.insert(request, parsed);
        while self.bytes > HANDED_OVER_MAX_BYTES
            && let Some((_, first)) = self.order.pop_first()
        {
            dropped.extend(self.remove(first));
        }
        dropped
    }

    fn remove(&mut self, request: RequestId) -> Option<Parsed> {
        let parsed = self.parsed.remove(&request)?;
        self.order.remove(&parsed.came);
        self.bytes -= parsed.bytes;
        Some(parsed)
    }
}

impl Documents {
    /// Documents shared by two roles of one process. A role that runs alone uses the default, which
    /// keeps none.
    #[must_use]
    pub fn shared() -> Self {
        Self {
            waiting: Some(Arc::default()),
        }
    }

    fn waiting(&self) -> Option<MutexGuard<'_, Waiting>> {
        let waiting = self.waiting.as_ref()?;
        Some(waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Leaves a request's document to the role that goes on with it.
    pub fn hand_over(&self, request: RequestId, payload: &Payload, document: Document) {
        if self.waiting.is_none() {
            return;
        }
        let parsed = Parsed {
            came: 0,
            bytes: document.bytes(),
            payload: payload.clone(),
            document,
        };
        if parsed.bytes > HANDED_OVER_MAX_BYTES {
            return self.take_back(request);
        }
        let dropped = self
            .waiting()
            .map(|mut waiting| waiting.insert(request, parsed));
        drop(dropped);
    }

    /// Takes over a request's document, if it is here and is the one in the log.
    #[must_use]
    pub fn take_over(&self, request: RequestId, payload: &Payload) -> Option<Document> {
        let parsed = self.waiting()?.remove(request)?;
        (parsed.payload == *payload).then_some(parsed.document)
    }

    /// Drops a request's document that was not accepted, or that no role here goes on with.
    pub fn take_back(&self, request: RequestId) {
        let taken = self
            .waiting()
            .and_then(|mut waiting| waiting.remove(request));
        drop(taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::document::Limits;
    use uuid::Uuid;

    fn document(text: &str) -> (Payload, Document) {
        let xml = format!("<vnml><project>{text}</project></vnml>");
        let document = Document::accept(xml.as_bytes(), &Limits::default()).unwrap();
        (Payload::from(xml.as_str()), document)
    }

    fn id(number: u128) -> RequestId {
        RequestId::new(Uuid::from_u128(number))
    }

    #[test]
    fn a_document_is_taken_over_once() {
        let documents = Documents::shared();
        let (payload, parsed) = document("x");
        documents.clone().hand_over(id(1), &payload, parsed);
        let taken = documents.take_over(id(1), &payload).unwrap();
        assert_eq!(taken.canonical(), "<vnml><project>x</project></vnml>");
        assert!(documents.take_over(id(1), &payload).is_none());
    }

    #[test]
    fn a_document_that_the_log_does_not_have_is_not_taken_over() {
        let documents = Documents::shared();
        let (payload, _) = document("in the log");
        let (other, parsed) = document("another");
        documents.hand_over(id(1), &other, parsed);
        assert!(documents.take_over(id(1), &payload).is_none());
        let (payload, parsed) = document("x");
        documents.hand_over(id(1), &payload, parsed);
        documents.take_back(id(1));
        assert!(documents.take_over(id(1), &payload).is_none());
    }

    #[test]
    fn a_role_that_runs_alone_keeps_no_documents() {
        let documents = Documents::default();
        let (payload, parsed) = document("x");
        documents.hand_over(id(1), &payload, parsed);
        assert!(documents.take_over(id(1), &payload).is_none());
    }

    #[test]
    fn waiting_documents_are_bounded_by_their_bytes() {
        let documents = Documents::shared();
        let large = "x".repeat(9 * 1024 * 1024);
        for number in 0..40 {
            let (payload, parsed) = document(&large);
            documents.hand_over(id(number), &payload, parsed);
        }
        let bytes = documents.waiting().unwrap().bytes;
        assert!(bytes <= HANDED_OVER_MAX_BYTES);
        let (payload, parsed) = document(&large);
        let kept: Vec<u128> = (0..40)
            .filter(|number| documents.take_over(id(*number), &payload).is_some())
            .collect();
        let most = HANDED_OVER_MAX_BYTES / parsed.bytes();
        assert!(kept.iter().copied().eq(40 - most as u128..40), "{kept:?}");
        let waiting = documents.waiting().unwrap();
        assert_eq!((waiting.bytes, waiting.order.len()), (0, 0));
    }
}
