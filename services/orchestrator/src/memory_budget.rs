//! The memory budget for the documents that an instance caches.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::document::Document;

/// The most bytes that all cached documents may have together. Beyond this, a large document is
/// cached only until its tasks are sent.
pub const KEPT_MAX_BYTES: usize = 512 * 1024 * 1024;
/// A document larger than this, in bytes, is dropped when the budget is exceeded.
pub const LARGE_BYTES: usize = 1024 * 1024;

/// The number of bytes of all cached documents.
#[derive(Clone, Default)]
pub struct MemoryBudget(Arc<AtomicUsize>);

impl MemoryBudget {
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub fn keep(&self, document: Document) -> KeptDocument {
        let mut kept = KeptDocument {
            document,
            bytes: 0,
            kept: self.clone(),
        };
        kept.count(0);
        kept
    }
}

/// A cached document, which counts against the budget until it is dropped.
pub struct KeptDocument {
    pub document: Document,
    bytes: usize,
    kept: MemoryBudget,
}

impl KeptDocument {
    /// Recounts a changed document, including the resources that it refers to.
    pub fn count(&mut self, resources: usize) {
        let bytes = self.document.bytes() + resources;
        self.kept.0.fetch_add(bytes, Ordering::Relaxed);
        self.kept.0.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = bytes;
    }

    /// Whether this document is large and all cached documents together exceed `most` bytes.
    pub fn is_too_much(&self, most: usize) -> bool {
        self.bytes > LARGE_BYTES && self.kept.bytes() > most
    }
}

impl Drop for KeptDocument {
    fn drop(&mut self) {
        self.kept.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::document::Limits;

    #[test]
    fn a_document_is_counted_with_the_results_that_are_put_in_as_long_as_it_is_kept() {
        let kept = MemoryBudget::default();
        let xml = b"<vnml><project><group/></project></vnml>";
        let document = Document::accept(xml, &Limits::accepted()).unwrap();
        let mut document = kept.keep(document);
        let before = kept.bytes();
        let text = "x".repeat(100_000);
        let result =
            format!("<vnml><project><group><valuation>{text}</valuation></group></project></vnml>");
        let results = [result.as_bytes()];
        document.document.put_results(0, results).unwrap();
        document.count(1_000);
        assert!(kept.bytes() > before + 101_000);
        drop(document);
        assert_eq!(kept.bytes(), 0);
    }
}
