//! The documents of requests that were taken in by this process, as they were parsed then:
//! whoever goes on with a request here need neither fetch its document nor parse it again.

use std::sync::Arc;

use domain::document::Document;
use domain::request::{Payload, RequestId};
use quick_cache::sync::Cache;
use quick_cache::{OptionsBuilder, Weighter};

/// The most bytes of documents that wait to be taken over. One more takes the place of others,
/// which are then parsed from the log.
const HANDED_OVER_MAX_BYTES: u64 = 256 * 1024 * 1024;
/// About so many documents wait at once.
const USUAL_COUNT: usize = 1_000;

/// Parsed documents on their way from the role that took them in to the one that goes on.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    /// None where no role of this process goes on with requests.
    waiting: Option<Arc<Waiting>>,
}

type Waiting = Cache<RequestId, Arc<Parsed>, Bytes>;

/// A document, and the payload that says the same: two submissions with one key may bring two
/// documents, of which the log takes one.
#[derive(Debug)]
struct Parsed {
    payload: Payload,
    document: Document,
}

#[derive(Clone, Debug)]
struct Bytes;

impl Weighter<RequestId, Arc<Parsed>> for Bytes {
    fn weight(&self, _: &RequestId, parsed: &Arc<Parsed>) -> u64 {
        parsed.document.bytes() as u64
    }
}

impl Documents {
    /// For two roles of one process; the default is for a role alone, which nobody takes over
    /// from.
    pub fn shared() -> Self {
        // One part: a large document would not fit into a small share.
        let options = OptionsBuilder::new()
            .shards(1)
            .estimated_items_capacity(USUAL_COUNT)
            .weight_capacity(HANDED_OVER_MAX_BYTES)
            .build();
        let waiting = options.ok().map(|options| {
            Cache::with_options(
                options,
                Bytes,
                quick_cache::DefaultHashBuilder::default(),
                quick_cache::sync::DefaultLifecycle::default(),
            )
        });
        Self {
            waiting: waiting.map(Arc::new),
        }
    }

    /// Leaves a request's document to whoever goes on with it.
    pub fn hand_over(&self, request: RequestId, payload: &Payload, document: Document) {
        if let Some(waiting) = &self.waiting {
            let payload = payload.clone();
            waiting.insert(request, Arc::new(Parsed { payload, document }));
        }
    }

    /// Takes a request's document over, where it is here and is the one that the log has.
    #[must_use]
    pub fn take_over(&self, request: RequestId, payload: &Payload) -> Option<Document> {
        let (_, parsed) = self.waiting.as_ref()?.remove(&request)?;
        let parsed = Arc::into_inner(parsed)?;
        (parsed.payload == *payload).then_some(parsed.document)
    }

    /// Drops a request's document: it was not taken in.
    pub fn take_back(&self, request: RequestId) {
        if let Some(waiting) = &self.waiting {
            waiting.remove(&request);
        }
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
    fn one_that_the_log_does_not_have_is_not_taken_over() {
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
    fn a_role_alone_keeps_nothing() {
        let documents = Documents::default();
        let (payload, parsed) = document("x");
        documents.hand_over(id(1), &payload, parsed);
        assert!(documents.take_over(id(1), &payload).is_none());
    }

    #[test]
    fn what_waits_is_bounded_by_its_bytes() {
        let documents = Documents::shared();
        let large = "x".repeat(9 * 1024 * 1024);
        let mut kept = 0;
        for number in 0..40 {
            let (payload, parsed) = document(&large);
            documents.hand_over(id(number), &payload, parsed);
        }
        let waiting = documents.waiting.as_ref().unwrap();
        assert!(waiting.weight() <= HANDED_OVER_MAX_BYTES);
        let (payload, _) = document(&large);
        for number in 0..40 {
            kept += usize::from(documents.take_over(id(number), &payload).is_some());
        }
        assert!((1..40).contains(&kept), "{kept}");
    }
}
